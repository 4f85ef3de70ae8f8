// SPDX-License-Identifier: Apache-2.0

package drive_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/internal/drive"
)

// counted hides from an Outlet that it could write without waiting, and counts its writes.
type counted struct {
	net.Conn
	writes atomic.Int32
}

func (c *counted) Write(p []byte) (int, error) {
	c.writes.Add(1)
	return c.Conn.Write(p)
}

// outlets runs a test with an Outlet that can try to write and with one that has to wait.
func outlets(t *testing.T, f func(t *testing.T, o *drive.Outlet, peer net.Conn)) {
	for name, wrap := range map[string]func(net.Conn) net.Conn{
		"tries": func(c net.Conn) net.Conn { return c },
		"waits": func(c net.Conn) net.Conn { return &counted{Conn: c} },
	} {
		t.Run(name, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close() //nolint:errcheck // a test's
			peer, err := net.Dial("tcp", l.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer peer.Close() //nolint:errcheck // a test's
			_ = peer.SetDeadline(time.Now().Add(30 * time.Second))
			nc, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			o := drive.NewOutlet(wrap(nc))
			defer o.Close() //nolint:errcheck // a test's
			f(t, o, peer)
		})
	}
}

// eventually waits until f.
func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	late := time.After(20 * time.Second)
	for tick := time.NewTicker(time.Millisecond); !f(); {
		select {
		case <-tick.C:
		case <-late:
			t.Fatal(what, "takes too long")
		}
	}
}

// A peer that does not read makes nobody wait, and gets everything in order when it reads.
func TestOutletDoesNotWait(t *testing.T) {
	outlets(t, func(t *testing.T, o *drive.Outlet, peer net.Conn) {
		o.Eager()
		var sent bytes.Buffer
		for i := range 2000 {
			p := bytes.Repeat([]byte{byte(i), byte(i >> 8)}, 4<<10)
			sent.Write(p)
			if n, err := o.Write(p); n != len(p) || err != nil {
				t.Fatal(n, err)
			}
		}
		if o.Pending() == 0 {
			t.Error("all of 16 MB has left for a socket that nobody reads")
		}
		got := make([]byte, sent.Len())
		if _, err := io.ReadFull(peer, got); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, sent.Bytes()) {
			t.Error("the peer got something else")
		}
		eventually(t, "to send all", func() bool { return o.Pending() == 0 })
		if o.Broken() != nil {
			t.Error(o.Broken())
		}
	})
}

// What is written while it is corked leaves with one write.
func TestOutletCork(t *testing.T) {
	outlets(t, func(t *testing.T, o *drive.Outlet, peer net.Conn) {
		o.Eager()
		o.Cork()
		for range 100 {
			if _, err := o.Write([]byte("0123456789")); err != nil {
				t.Fatal(err)
			}
		}
		if o.Pending() != 1000 {
			t.Errorf("%d bytes are pending", o.Pending())
		}
		o.Uncork()
		if _, err := io.ReadFull(peer, make([]byte, 1000)); err != nil {
			t.Fatal(err)
		}
		if c, ok := o.Conn.(*counted); ok && c.writes.Load() != 1 {
			t.Errorf("%d writes", c.writes.Load())
		}
		o.Uncork() // without anything
	})
}

// A peer that takes nothing for too long loses the connection, and its reader comes to an end.
func TestOutletStalls(t *testing.T) {
	outlets(t, func(t *testing.T, o *drive.Outlet, _ net.Conn) {
		o.SetStall(50 * time.Millisecond)
		o.Eager()
		for range 2000 {
			if _, err := o.Write(make([]byte, 8<<10)); err != nil {
				break
			}
		}
		if _, err := o.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
			t.Error("read:", err)
		}
		if !errors.Is(o.Broken(), drive.ErrStalled) {
			t.Error("broken:", o.Broken())
		}
	})
}

// After Abort nothing leaves, and the count of what has not stays.
func TestOutletAbort(t *testing.T) {
	outlets(t, func(t *testing.T, o *drive.Outlet, _ net.Conn) {
		o.Eager()
		for range 2000 {
			_, _ = o.Write(make([]byte, 8<<10))
		}
		o.Abort()
		n := o.Pending()
		if n == 0 {
			t.Error("nothing was pending")
		}
		if _, err := o.Write([]byte("more")); !errors.Is(err, drive.ErrAborted) {
			t.Error("write:", err)
		}
		if _, err := o.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
			t.Error("read:", err)
		}
		if o.Pending() != n {
			t.Errorf("%d pending, then %d", n, o.Pending())
		}
	})
}

// Before Eager a write waits, as any socket's does.
func TestOutletWaits(t *testing.T) {
	outlets(t, func(t *testing.T, o *drive.Outlet, peer net.Conn) {
		_ = o.SetWriteDeadline(time.Now().Add(50 * time.Millisecond))
		n, err := o.Write(make([]byte, 64<<20))
		if err == nil || n == 64<<20 || o.Pending() != 0 {
			t.Errorf("wrote %d, %v, %d pending", n, err, o.Pending())
		}
	})
}
