// SPDX-License-Identifier: Apache-2.0

package drive_test

import (
	"errors"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/stonechat-im/stonechat/internal/drive"
)

// deafen makes a socket drop whatever comes from the network, like a peer that lost it.
func deafen(t testing.TB, p peer) {
	t.Helper()
	raw, err := p.tcp.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	drop := unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: 0}
	var optErr error
	err = raw.Control(func(fd uintptr) {
		optErr = unix.SetsockoptSockFprog(int(fd), unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: 1, Filter: &drop})
	})
	if err := errors.Join(err, optErr); err != nil {
		t.Fatal(err)
	}
}

// A peer whose network is gone is given up after the time of its listener, both while nothing is
// said and while it has something to take.
func TestDeadPeer(t *testing.T) {
	onEach(t, drive.Patience{}, func(b *bed) {
		if b.tls {
			return // that is the same
		}
		b.deadAfter = 2 * time.Second
		began := time.Now()
		idle, idlePeer := b.pair(machine{})
		busy, busyPeer := b.pair(machine{})
		deafen(b, idlePeer)
		deafen(b, busyPeer)
		busy.Queue([]byte("hello?"))
		busy.Flush()
		for name, m := range map[string]*machine{"idle": idle, "busy": busy} {
			if err := await(b, m.gone, "Gone"); !errors.Is(err, unix.ETIMEDOUT) {
				b.Errorf("%s: gone: %v", name, err)
			}
			if took := time.Since(began); took < time.Second || took > patience {
				b.Errorf("%s: gone after %v", name, took)
			}
		}
	})
}
