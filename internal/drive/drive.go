// SPDX-License-Identifier: Apache-2.0

// Package drive moves bytes between sockets and the state machines that understand them, so
// that a protocol is written without I/O.
//
// How to read this package: drive.go has the two contracts, Machine and Conn. goroutine.go is
// the portable driver, one goroutine a connection; epoll_linux.go the one for many connections;
// wire.go is the side of a connection that
// faces the socket, under TLS or not; slots.go bounds the handshakes that compute at one time.
//
// A driver reads once, gives the machine what came (Machine.Input), and at the end of a batch every
// receiver that was made dirty is flushed, each with one write. Drivers mix in one process: all they share is Conn.
package drive

import (
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"time"
)

// Driver moves the bytes of accepted connections.
type Driver interface {
	// Serve drives nc until it ends. With direct set, the connection begins with a TLS
	// handshake as the server. start makes the machine; it is called before Serve returns.
	Serve(nc net.Conn, direct *tls.Config, start func(Conn) Machine)
	// Close aborts all connections and returns when their machines are gone.
	Close()
}

// Machine is the protocol of one connection. Its driver calls the methods one at a time, never
// two at once; the machine must not block in them.
type Machine interface {
	// Input takes plaintext. data is the driver's and changes after the return. After
	// Conn.Resume, Input is called with what is at hand, or with nothing.
	Input(b *Batch, data []byte)
	// Secured says that TLS is up, after Conn.StartTLS or on a connection that began with it.
	Secured(tls.ConnectionState)
	// Expired says that the deadline of Conn.SetDeadline has passed.
	Expired(b *Batch)
	// Gone is the last call: the peer has closed (io.EOF), or err broke the connection.
	Gone(err error)
}

// Batch is the work that a driver does between two waits: input of one connection or of many.
// What it brings about leaves when it ends, so that a receiver to whom much is sent is written to
// once. Turn is the machines': the first one of a batch puts it there, and the driver calls
// its End.
type Batch struct{ Turn interface{ End() } }

func (b *Batch) end() {
	if t := b.Turn; t != nil {
		b.Turn = nil
		t.End()
	}
}

// Conn is a connection as its machine sees it. All methods may be called from any goroutine,
// except StartTLS, which belongs in Machine.Input.
type Conn interface {
	// Queue copies p behind what is queued. Nothing is sent before Flush.
	Queue(p []byte)
	// Flush sends what is queued with one write, as far as the socket takes it; the rest
	// follows by itself. It never blocks.
	Flush()
	// Queued is how many bytes have not left for the socket. What a connection that breaks or
	// is aborted has not sent by then is counted for good.
	Queued() int
	// StartTLS begins a handshake as the server when Input has returned and what is queued
	// has left. Machine.Secured or Machine.Gone follows.
	StartTLS(*tls.Config)
	// SetDeadline asks for Machine.Expired at t; the zero time asks for nothing.
	SetDeadline(t time.Time)
	// Pause stops reading after the current Input; Resume undoes one Pause and is followed by
	// an Input.
	Pause()
	Resume()
	// Close sends what is queued, then closes. A peer that does not read has five seconds.
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

// Errors that Gone reports besides io.EOF and what the network said.
var (
	ErrAborted   = errors.New("drive: connection aborted here")
	ErrHandshake = errors.New("drive: TLS handshake failed")
)

const (
	handshakeTime = 10 * time.Second // a handshake ends after this
	lingerTime    = 5 * time.Second  // for the peer to take the last bytes
	stallTime     = 60 * time.Second // a peer that took no byte for so long is gone
)
