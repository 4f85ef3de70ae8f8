// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"errors"
	"net"
	"time"
)

// maxQueued bounds what a session keeps for a server that does not read.
const maxQueued = 1 << 20

var errNotReading = errors.New("bench: the server does not read: output queue full")

// wouldBlock is what a read on a loop ends with. crypto/tls takes an error
// whose Temporary is true as passing and goes on with the same record later;
// of write errors it takes none, which is why sock.Write never fails for want
// of room but queues.
type wouldBlock struct{}

func (wouldBlock) Error() string   { return "bench: no more input for now" }
func (wouldBlock) Timeout() bool   { return true }
func (wouldBlock) Temporary() bool { return true }

// sock is a TCP connection beneath an optional tls.Conn. It is a blocking
// net.Conn with deadlines while the session logs in; detached, it is a bare
// non-blocking descriptor that one loop reads and flushes. Not safe for
// concurrent use.
type sock struct {
	conn net.Conn // nil once detached
	fd   int
	in   []byte // read by the loop, not yet taken by tls.Conn
	out  []byte // refused by the socket, waits for EPOLLOUT
	want func() // tells the loop that out is no longer empty

	read, written int64 // bytes on the wire, TLS records included
}

func (k *sock) Read(p []byte) (int, error) {
	if k.conn != nil {
		n, err := k.conn.Read(p)
		k.read += int64(n)
		return n, err
	}
	if len(k.in) == 0 {
		return 0, wouldBlock{}
	}
	n := copy(p, k.in)
	k.in = k.in[n:]
	return n, nil
}

func (k *sock) Write(p []byte) (int, error) {
	if k.conn != nil {
		n, err := k.conn.Write(p)
		k.written += int64(n)
		return n, err
	}
	k.written += int64(len(p))
	n := 0
	if len(k.out) == 0 {
		var err error
		if n, err = writeFD(k.fd, p); err != nil {
			return n, err
		}
	}
	if n < len(p) {
		if len(k.out)+len(p)-n > maxQueued {
			return n, errNotReading
		}
		k.out = append(k.out, p[n:]...)
		k.want()
	}
	return len(p), nil
}

// flush writes what is queued and reports whether nothing is left.
func (k *sock) flush() (bool, error) {
	n, err := writeFD(k.fd, k.out)
	if err != nil {
		return false, err
	}
	if k.out = k.out[n:]; len(k.out) > 0 {
		return false, nil
	}
	k.out = nil
	return true, nil
}

func (k *sock) Close() error {
	if k.conn != nil {
		return k.conn.Close()
	}
	return closeFD(k.fd)
}

// The rest of net.Conn, for crypto/tls.

func (k *sock) LocalAddr() net.Addr {
	if k.conn != nil {
		return k.conn.LocalAddr()
	}
	return nil
}

func (k *sock) RemoteAddr() net.Addr {
	if k.conn != nil {
		return k.conn.RemoteAddr()
	}
	return nil
}

func (k *sock) SetDeadline(t time.Time) error {
	if k.conn != nil {
		return k.conn.SetDeadline(t)
	}
	return nil
}

func (k *sock) SetReadDeadline(t time.Time) error {
	if k.conn != nil {
		return k.conn.SetReadDeadline(t)
	}
	return nil
}

func (k *sock) SetWriteDeadline(t time.Time) error {
	if k.conn != nil {
		return k.conn.SetWriteDeadline(t)
	}
	return nil
}
