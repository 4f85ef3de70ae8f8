// SPDX-License-Identifier: Apache-2.0

package pubsub_test

import (
	"fmt"
	"net"
	"runtime"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	ps "github.com/stonechat-im/stonechat/xmpp/pubsub"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// BenchmarkPublish is a publication with its notifications, up to their way to the receivers' streams: 15,000 nodes
// with 13 subscribers each, one after the other.
func BenchmarkPublish(b *testing.B) {
	for _, persist := range []string{"0", "1"} {
		for _, cached := range []int{20_000, 100} {
			b.Run(fmt.Sprintf("persist=%s/cached=%d", persist, cached), func(b *testing.B) {
				benchPublish(b, persist, cached)
			})
		}
	}
}

const benchNodes, benchSubscribers = 15_000, 13

func benchPublish(b *testing.B, persist string, cached int) {
	c := defaults()
	c.Nodes, c.NodesPerOwner, c.Subscriptions, c.CachedNodes = 1<<20, 1<<20, 1<<20, cached
	w := newWorld(b, b.TempDir(), c, nil)
	fill(b, w, persist)
	e := &counter{more: make(chan struct{}, 1)}
	if _, err := w.Attach("crowd", e); err != nil {
		b.Fatal(err)
	}
	t := w.NewTurn()
	sent := int64(0)
	publishTo := func(n int) {
		s, err := stanza.Parse(fmt.Appendf(nil, "<iq xmlns='jabber:client' type='set' id='p%d'><pubsub xmlns='%s'><publish node='node%d'><item id='i'>"+
			"<e xmlns='urn:example:reading'><temperature unit='Cel'>21.5</temperature><at>2026-01-01T00:00:00Z</at></e></item></publish></pubsub></iq>", n, ps.NS, n%benchNodes))
		if err != nil {
			b.Fatal(err)
		}
		s.From, s.To = jid.MustParse("owner@crowd/r"), jid.MustParse(service)
		w.inlet.Receive(t, s)
		t.Flush()
		sent += 1 + benchSubscribers
		e.await(sent - 200*(1+benchSubscribers)) // so many are under way
	}
	finish := func() { e.await(sent) }
	heap := heapNow()
	for i := range min(cached, benchNodes) { // what is loaded once is not counted
		publishTo(i)
	}
	finish()
	perNode := float64(heapNow()-heap) / float64(min(cached, benchNodes))
	b.ResetTimer()
	before := cpu(b)
	for i := range b.N {
		publishTo(i * 7919)
	}
	finish()
	b.ReportMetric(float64((cpu(b)-before).Microseconds())/float64(b.N), "cpu-µs/publish")
	b.ReportMetric(perNode, "heap-B/node")
	b.StopTimer()
	t.End()
}

// BenchmarkFloor is what a publication to 13 subscribers costs whoever only writes their bytes, without TLS, to 13 of 1,000
// sockets and one more for the answer: what BenchmarkPublish does comes on top of it.
func BenchmarkFloor(b *testing.B) {
	const sockets, size, window = 1000, 480, 200
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	e := &counter{more: make(chan struct{}, 1)}
	var out []int
	for range sockets {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			b.Fatal(err)
		}
		defer c.Close()
		s, err := l.Accept()
		if err != nil {
			b.Fatal(err)
		}
		defer s.Close()
		raw, err := s.(*net.TCPConn).SyscallConn()
		if err == nil {
			err = raw.Control(func(fd uintptr) { out = append(out, int(fd)) })
		}
		if err != nil {
			b.Fatal(err)
		}
		go func() {
			for p := make([]byte, 4*size); ; {
				n, err := c.Read(p)
				if err != nil {
					return
				}
				e.n.Add(int64(n))
				select {
				case e.more <- struct{}{}:
				default:
				}
			}
		}()
	}
	runtime.LockOSThread() // its own time is the writer's
	defer runtime.UnlockOSThread()
	spent := func() time.Duration {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_THREAD, &u); err != nil {
			b.Fatal(err)
		}
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	text := make([]byte, size)
	b.ResetTimer()
	before := spent()
	for i := range b.N {
		for k := range benchSubscribers + 1 {
			if _, err := syscall.Write(out[(i*7919+k*61)%sockets], text); err != nil {
				b.Fatal(err)
			}
		}
		e.await(int64(i+1-window) * (benchSubscribers + 1) * size)
	}
	b.ReportMetric(float64((spent()-before).Microseconds())/float64(b.N), "cpu-µs/publish")
}

func heapNow() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// cpu is the processor time of this process.
func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// counter is a place that counts.
type counter struct {
	n    atomic.Int64
	more chan struct{} // holds one token when there is more
}

// await returns when so many have come.
func (c *counter) await(n int64) {
	for c.n.Load() < n {
		<-c.more
	}
}

func (c *counter) Take(*server.Turn, *stanza.Stanza) error {
	c.n.Add(1)
	select {
	case c.more <- struct{}{}:
	default:
	}
	return nil
}
func (*counter) Present() bool { return true }

// fill makes the nodes in the store.
func fill(b *testing.B, w *world, persist string) {
	at := jid.MustParse(service)
	owner := jid.MustParse("owner@crowd")
	config := []byte(form("node_config", "pubsub#persist_items", persist, "pubsub#max_items", "10"))
	var last *store.Pending
	for i := range benchNodes {
		name := store.NodeName{JID: at, Node: fmt.Sprint("node", i)}
		ops := []store.Op{store.CreateNode{Node: store.Node{Name: name, Creator: owner, Created: time.Now(), Config: config}, Owner: owner}}
		for k := range benchSubscribers {
			ops = append(ops, store.SetSubscription{Name: name, NodeSubscription: store.NodeSubscription{
				JID: jid.MustParse(fmt.Sprintf("user%d@crowd/r", (i*31+k*997)%20_000)),
			}})
		}
		last = w.store.Commit(ops...)
		if i%100 == 99 {
			if err := last.Wait(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
	}
	if err := last.Wait(b.Context()); err != nil {
		b.Fatal(err)
	}
}
