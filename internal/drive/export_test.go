// SPDX-License-Identifier: Apache-2.0

package drive

import (
	"crypto/tls"
	"time"
	"unsafe"
)

// Patience makes a driver less patient than it is, before it serves anything.
type Patience struct{ Handshake, Linger, Stall time.Duration }

// SetPatience changes what is not zero.
func (d *common) SetPatience(p Patience) {
	for _, x := range []struct {
		to   *time.Duration
		from time.Duration
	}{{&d.times.handshake, p.Handshake}, {&d.times.linger, p.Linger}, {&d.times.stall, p.Stall}} {
		if x.from != 0 {
			*x.to = x.from
		}
	}
}

// Times are the ones that drivers have by themselves.
func Times() Patience {
	t := defaultTimes()
	return Patience{t.handshake, t.linger, t.stall}
}

// Slim, and whether this version of crypto/tls is one that it knows.
func Slim(t *tls.Conn) { slim(t) }

// SlimKnows reports whether this version of crypto/tls has the fields that Slim expects.
func SlimKnows() bool { return tlsBuffers.known }

// ConnSize is the size of what all connections have.
const ConnSize = unsafe.Sizeof(conn{})

// GoroutineSize is the size of the goroutine driver's connection.
const GoroutineSize = unsafe.Sizeof(gconn{})

// SetStall shortens the patience of an Outlet.
func (o *Outlet) SetStall(d time.Duration) { o.times.stall = d }
