// SPDX-License-Identifier: Apache-2.0

// Package drive moves bytes between sockets and the state machines that understand them, so
// that a protocol is written without I/O.
//
// How to read this package: drive.go has the two contracts, Machine and Conn. conn.go is a
// connection, send.go the half of it that any goroutine may use, handshake.go how TLS begins:
// all of that is the same for both drivers. A driver knows how to wait for sockets:
// goroutine.go, with a goroutine per connection, is the portable one, epoll_linux.go the one for
// many connections. listen.go accepts, slots.go bounds the handshakes that compute at one time.
// outlet.go stands apart: a socket for those whose bytes a library moves.
//
// A driver reads once, gives the machine what came (Machine.Input), and at the end of a batch
// every receiver that was made dirty is flushed, each with one write. Drivers mix in one process:
// all they share is Conn.
package drive

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"time"
)

// Driver moves the bytes of connections, accepted ones mostly.
type Driver interface {
	// Serve takes nc over and drives it until it ends. With direct set, the connection begins
	// with a TLS handshake as the server. start makes the machine; it is called soon, on the
	// goroutine that will call the machine. taken is false, and nc closed, where the driver is
	// closed or the system has no descriptor left.
	Serve(nc net.Conn, direct *tls.Config, start func(Conn) Machine) (taken bool)
	// Time has seconds told to o, for each batch: how long it took from the moment that there was something to read until
	// all that came of it had left for the sockets. So long others waited for the same loop. It may be called at any time.
	Time(o Observer)
	// Close closes all connections, as Conn.Close does, and returns when their machines are
	// gone. Those that are left when ctx ends are aborted. What Serve is given from then on is
	// closed at once.
	Close(ctx context.Context)
}

// Observer takes measurements, from any goroutine. A histogram is one.
type Observer interface{ Observe(value float64) }

// Machine is the protocol of one connection. Its driver calls the methods one at a time, never
// two at once; the machine must not block in them. A panic costs the connection, no other.
type Machine interface {
	// Input takes plaintext. data is the driver's and changes after the return. After
	// Conn.Resume, Input is called with what is at hand, or with nothing.
	Input(b *Batch, data []byte)
	// Secured says that TLS is up, after Conn.StartTLS or ConnectTLS, or on a connection that began with it.
	Secured(tls.ConnectionState)
	// Expired says that the deadline of Conn.SetDeadline has passed; also while paused.
	Expired(b *Batch)
	// Gone is the last call: the connection is over because the peer has closed it, or was
	// closed and has had its time (io.EOF), or because err broke it.
	Gone(err error)
}

// Framed is a Machine of messages instead of bytes: Input is given one whole message each time, and
// its Conn's Queue takes one whole message each time.
type Framed interface {
	Machine
	// MessageBytes is how long a message may be at present. Of a longer one the driver gives
	// that much and one byte more, and nothing after it. It may be called from any goroutine.
	MessageBytes() int
}

// Batch is the work that a driver does between two waits: input of one connection or of many.
// What it brings about leaves when it ends, so that a receiver to whom much is sent is written to
// once. Turn is the machines': the first one of a batch puts it there, and the driver calls
// its End.
type Batch struct{ Turn interface{ End() } }

// End ends it. A driver calls it when what it read is handled.
func (b *Batch) End() {
	if t := b.Turn; t != nil {
		b.Turn = nil
		t.End()
	}
}

// Conn is a connection as its machine sees it. All methods may be called from any goroutine,
// except StartTLS and ConnectTLS, which belong in Machine.Input, or where the machine is made.
type Conn interface {
	// Queue copies p behind what is queued. Nothing is sent before Flush, nor during a
	// handshake, and nothing is taken after Close.
	Queue(p []byte)
	// Flush sends what is queued with one write, as far as the socket takes it; the rest
	// follows by itself. It never blocks.
	Flush()
	// Queued is how many bytes have not left for the socket. It is for the caller to bound. What
	// a connection that breaks or is aborted has not sent by then is counted for good.
	Queued() int
	// StartTLS begins a handshake as the server when Input has returned and what is queued
	// has left. Machine.Secured or Machine.Gone follows. After Close it does nothing.
	StartTLS(*tls.Config)
	// ConnectTLS is StartTLS as the client, for a connection that was made from here.
	ConnectTLS(*tls.Config)
	// SetDeadline asks for Machine.Expired at t, give or take a fifth of a second; the zero
	// time asks for nothing. A handshake that is under way at t fails instead.
	SetDeadline(t time.Time)
	// Pause stops reading after the current Input, or, where another goroutine calls it, after
	// the one that is just being read. Resume undoes one Pause, and the last one is
	// followed by an Input.
	Pause()
	Resume()
	// Close sends what is queued, then closes; nothing is given to Input any more. A peer that
	// does not read, or does not close its side, has five seconds. During a handshake it is
	// Abort.
	Close()
	// Abort closes at once; what is queued is lost. When it returns, nothing more leaves.
	Abort()
	// Remote is the peer's address.
	Remote() netip.AddrPort
	// Served is the certificate that the handshake sent, for channel binding; nil before.
	Served() *tls.Certificate
}

// Leafer is a net.Conn that remembers the certificate served on it. GetCertificate callbacks
// find it in ClientHelloInfo.Conn.
type Leafer interface{ SetServed(*tls.Certificate) }

// Errors that Gone reports besides io.EOF and what the system said.
var (
	ErrAborted   = errors.New("drive: connection aborted here")
	ErrHandshake = errors.New("drive: TLS handshake failed")
	ErrStalled   = errors.New("drive: the peer does not read")
	ErrPanic     = errors.New("drive: the connection's machine panicked")
)

// times are the patience of a driver.
type times struct {
	handshake time.Duration // for a handshake
	linger    time.Duration // for the peer to take the last bytes and to close
	stall     time.Duration // for the peer to take any byte
	tick      time.Duration // how exact deadlines are
}

func defaultTimes() times {
	return times{handshake: 10 * time.Second, linger: 5 * time.Second, stall: time.Minute, tick: 200 * time.Millisecond}
}
