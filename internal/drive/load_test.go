// SPDX-License-Identifier: Apache-2.0

package drive_test

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/internal/drive"
)

// Five thousand connections are served at once.
func TestManyConnections(t *testing.T) {
	const n = 5000
	if limit := openFiles(); limit < 2*n+500 {
		t.Skipf("%d connections with both ends need more than the %d files that this process may open", n, limit)
	}
	onEach(t, drive.Patience{}, func(b *bed) {
		if b.tls {
			return // the memory test has many with TLS
		}
		address := b.listen(machine{input: echo}, nil)
		peers := make([]peer, n)
		for i := range peers {
			peers[i] = b.dial(address)
		}
		for range 3 {
			var wg sync.WaitGroup
			for part := range 10 {
				wg.Go(func() {
					for i := part; i < n; i += 10 {
						_ = peers[i].SetDeadline(time.Now().Add(patience)) // dialling all took long
						peers[i].write(strconv.Itoa(i))
					}
					for i := part; i < n; i += 10 {
						peers[i].expect(strconv.Itoa(i))
					}
				})
			}
			wg.Wait()
		}
	})
}

// An idle connection holds its structs and what TLS needs: no buffer. In the environment of a
// child the clients' side does not count.
func TestIdleMemory(t *testing.T) {
	const n = 1000
	// Upper bounds in bytes of heap, and of heap with stacks; they leave some room for the
	// runtime's own moods.
	bounds := map[string]struct{ heap, all float64 }{
		"epoll":     {600, 700},
		"goroutine": {2000, 6500}, // with what the runtime has of a goroutine beside its stack
	}
	const tlsBytes = 3500 // two AES-GCM keys are half of it
	if address := os.Getenv(childAddress); address != "" {
		idleClients(t, address, os.Getenv(childTLS) == "true")
		return
	}
	onEach(t, drive.Patience{}, func(b *bed) {
		var mu sync.Mutex
		echoed := 0
		address := b.listen(machine{input: func(m *machine, data []byte) {
			echo(m, data)
			mu.Lock()
			echoed += len(data)
			mu.Unlock()
		}}, nil)
		heap, all := memory()
		child := exec.Command(os.Args[0], "-test.run=^TestIdleMemory$", "-test.v")
		child.Env = append(os.Environ(), childAddress+"="+address, childTLS+"="+strconv.FormatBool(b.tls))
		child.Stderr = os.Stderr
		in, err := child.StdinPipe()
		if err != nil {
			b.Fatal(err)
		}
		out, err := child.StdoutPipe()
		if err != nil {
			b.Fatal(err)
		}
		if err := child.Start(); err != nil {
			b.Fatal(err)
		}
		for s := bufio.NewScanner(out); s.Scan() && s.Text() != childReady; {
		}
		name := "epoll"
		if _, ok := b.driver.(*drive.Goroutines); ok {
			name = "goroutine"
		}
		bound := bounds[name]
		if b.tls {
			bound.heap += tlsBytes
			bound.all += tlsBytes
		}
		// A client that has its answer is idle; the goroutine that wrote it
		// may not have put its buffers back yet.
		var perHeap, perAll float64
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for end := time.Now().Add(3 * time.Second); ; <-tick.C {
			heap2, all2 := memory()
			perHeap, perAll = (float64(heap2)-float64(heap))/n, (float64(all2)-float64(all))/n
			if perHeap <= bound.heap && perAll <= bound.all || time.Now().After(end) {
				break
			}
		}
		in.Close()
		_, _ = io.Copy(io.Discard, out)
		if err := child.Wait(); err != nil {
			b.Error("the clients: ", err)
		}
		b.Logf("an idle connection has %.0f bytes of heap, %.0f with its stack", perHeap, perAll)
		if raceEnabled {
			return // its memory is not what is measured
		}
		if perHeap > bound.heap || perAll > bound.all {
			b.Errorf("more than %.0f, or %.0f", bound.heap, bound.all)
		}
	})
}

const (
	childAddress = "STONECHAT_TEST_ADDRESS"
	childTLS     = "STONECHAT_TEST_TLS"
	childReady   = "clients are idle"
)

// memory is what is used of heap, and of heap and stacks, after a collection.
func memory() (heap, all uint64) {
	for range 3 {
		runtime.GC()
	}
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return s.HeapAlloc, s.HeapAlloc + s.StackInuse
}

// idleClients connects clients, has each say a little, one large record among it, and waits.
func idleClients(t *testing.T, address string, secure bool) {
	const n = 1000
	conns := make([]net.Conn, n)
	for i := range conns {
		nc, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		_ = nc.SetDeadline(time.Now().Add(patience))
		if secure {
			cfg := clientTLS()
			cfg.InsecureSkipVerify = true // the server is the parent
			nc = tls.Client(nc, cfg)
		}
		for _, size := range []int{100, 16 << 10, 600} {
			want := noise(1, size)
			if _, err := nc.Write(want); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(nc, want); err != nil {
				t.Fatal(err)
			}
		}
		conns[i] = nc
	}
	fmt.Println(childReady)
	_, _ = io.Copy(io.Discard, os.Stdin)
	for _, c := range conns {
		c.Close()
	}
}

// The structs of a connection: whoever makes one larger knows it.
func TestSizes(t *testing.T) {
	for _, c := range []struct {
		name      string
		got, want uintptr
	}{
		{"conn", drive.ConnSize, 208},
		{"gconn", drive.GoroutineSize, 456},
		{"econn", epollSize, 224},
	} {
		if c.got > c.want {
			t.Errorf("%s has %d bytes, more than %d", c.name, c.got, c.want)
		}
	}
}

// What crypto/tls keeps of records goes, and it goes on working.
func TestSlim(t *testing.T) {
	if !drive.SlimKnows() {
		t.Fatalf("%s has other fields in tls.Conn than slim.go expects: idle connections cost 1 to 4 kB more", runtime.Version())
	}
	ours, theirs := net.Pipe()
	defer ours.Close()
	server, client := tls.Server(ours, serverTLS()), tls.Client(theirs, clientTLS())
	go func() {
		for i := range 100 {
			_, _ = client.Write(noise(uint64(i), 1+i*400))
		}
		client.Close()
	}()
	for i := range 100 {
		want := noise(uint64(i), 1+i*400)
		for len(want) > 0 { // half of what is left of a record, and the record after it perhaps
			got := make([]byte, (len(want)+1)/2)
			if _, err := io.ReadFull(server, got); err != nil || string(got) != string(want[:len(got)]) {
				t.Fatal("other bytes came, ", err)
			}
			want = want[len(got):]
			drive.Slim(server)
		}
	}
}
