// SPDX-License-Identifier: Apache-2.0

//go:build linux

package federation

import (
	"context"
	"crypto/x509"
	"fmt"
	"maps"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/client"
	"github.com/stonechat-im/stonechat/test/space"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// How to read this file: three servers and the DNS are each in a space (../space) of its own. On each server lives
// a resident who writes to the other two all the time, while links break and a server moves. Then a ledger tells of
// each message whether it came, how often, in which order and how late.

const (
	letterPace   = 140 * time.Millisecond // from each to each
	partition    = 10 * time.Second
	settleTime   = 2 * time.Second // after which nothing is on its way that was sent before a link broke
	ackTime      = 9 * time.Second // in which an ack comes, where TCP sends twice again what was lost (longestWait)
	dnsLag       = 3 * time.Second // for which DNS names an address where nobody is
	recoveryTime = time.Minute     // TCP doubles its waits while nothing comes through: by the loss of one more segment too
	firstLetters = 10              // from each to each, before anything breaks
	leastLetters = 200             // that are written from each to each in all
	namesAddress = "10.77.0.1"
	movedAddress = "10.77.0.99"
)

func TestNamespaces(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED: needs root, to make network namespaces")
	}
	t.Parallel()
	w := space.NewWire(wireDelay, wireLoss)
	b := newBed(t)
	b.names.host, b.names.within = namesAddress, newSpace(t, w, namesAddress)
	for i, domain := range []string{"verona.example", "mantua.example", "padua.example"} {
		s := b.add(stonechat(), domain, setting{})
		s.host = fmt.Sprintf("10.77.0.%d", 11+i)
		s.within = newSpace(t, w, s.host)
		b.names.hosts["xmpp."+domain] = s.host
	}
	b.start()
	l := &ledger{board: newBoard(), letters: map[letter]*fate{}, written: map[[2]string]int{}, arrived: map[[2]string][]int{}}
	var residents []*resident
	for i, name := range []string{"romeo", "juliet", "benvolio"} {
		residents = append(residents, newResident(t, b.servers[i], name, l))
	}
	begun := time.Now()
	stop := make(chan struct{})
	var writing sync.WaitGroup
	for _, from := range residents {
		writing.Go(func() { from.write(t, residents, stop) })
	}
	defer writing.Wait()
	end := sync.OnceFunc(func() { close(stop) })
	defer end()
	l.await(t, "before anything breaks", func() bool { return l.least() >= firstLetters })

	verona, mantua, padua := b.servers[0], b.servers[1], b.servers[2]
	if err := verona.within.Link(false); err != nil {
		t.Fatal(err)
	}
	l.mark(t, "the link of "+verona.domain+" is down", partition, verona)
	if err := verona.within.Link(true); err != nil {
		t.Fatal(err)
	}
	l.recover(t, verona)

	cut := time.Now()
	mantua.within.Silence(true)
	l.mark(t, "nothing comes from or to "+mantua.domain, partition, mantua)
	mantua.within.Silence(false)
	l.recover(t, mantua)

	// Acks that were on their way when the network broke come as late as TCP tries again. Nobody hears of the end of this
	// server: the others find out when it has come back, and proved its name.
	wait(ackTime)
	padua.within.Silence(true)
	killed := time.Now()
	padua.stop()
	if err := padua.within.Move(padua.host, movedAddress); err != nil {
		t.Fatal(err)
	}
	padua.hostMu.Lock()
	padua.host = movedAddress
	padua.hostMu.Unlock()
	padua.configure(t, padua)
	padua.within.Silence(false)
	padua.start()
	wait(dnsLag)
	b.names.move(padua.domain, movedAddress)
	l.recover(t, padua)

	l.await(t, "all is written", func() bool { return slices.Min(slices.Collect(maps.Values(l.written))) >= leastLetters })
	end()
	writing.Wait()
	written := time.Since(begun)
	l.until(recoveryTime, func() bool { return len(l.open()) == 0 })
	t.Logf("%d messages written in %.1f s, all accounted for after %.1f s", len(l.letters), written.Seconds(), time.Since(begun).Seconds())
	for _, s := range b.servers {
		found := strings.Count(s.log(), "at="+net.JoinHostPort(movedAddress, ""))
		resent, err := s.within.Resent()
		if err != nil {
			t.Error(err)
		}
		t.Logf("%s: TCP sent %d segments again; %d connections with who had moved", s.domain, resent, found)
	}
	t.Logf("the wire carried %d packets, lost %d, and %d came to a cut", w.Carried.Load(), w.Lost.Load(), w.Cut.Load())
	if w.Lost.Load() == 0 || w.Cut.Load() == 0 {
		t.Error("the wire has not been as bad as it should")
	}
	l.judge(t, padua.domain, killed, cut)
}

// wait lets time pass in which a network is broken.
func wait(d time.Duration) { <-time.After(d) }

// letter is one message, by the domains of sender and receiver.
type letter struct {
	from, to string
	n        int
}

// fate is what became of it.
type fate struct {
	written, came time.Time
	times         int
	returned      bool
}

type ledger struct {
	board
	letters map[letter]*fate
	written map[[2]string]int   // by sender and receiver: how many
	arrived map[[2]string][]int // as they came
}

func (l *ledger) await(t *testing.T, what string, so func() bool) {
	t.Helper()
	if !l.until(recoveryTime, so) {
		t.Fatalf("%s: not within %v\n%s", what, recoveryTime, l)
	}
}

// least is how many have come from each to each. mu is held.
func (l *ledger) least() int {
	if len(l.arrived) < 6 {
		return 0
	}
	least := len(l.letters)
	for _, numbers := range l.arrived {
		least = min(least, len(numbers))
	}
	return least
}

// mark is a time in which nothing comes from or to a server, and the others are as ever.
func (l *ledger) mark(t *testing.T, what string, d time.Duration, alone *server) {
	t.Helper()
	count := func() (over, beside int) {
		l.mu.Lock()
		defer l.mu.Unlock()
		for pair, numbers := range l.arrived {
			if pair[0] == alone.domain || pair[1] == alone.domain {
				over += len(numbers)
			} else {
				beside += len(numbers)
			}
		}
		return over, beside
	}
	wait(settleTime)
	over, beside := count()
	wait(d)
	over2, beside2 := count()
	t.Logf("%s: for %v, in which %d messages passed between the others", what, d, beside2-beside)
	if over2 != over {
		t.Errorf("%s, and %d messages crossed it", what, over2-over)
	}
	if beside2 == beside {
		t.Errorf("%s, and the others got nothing either", what)
	}
}

// recover waits until what is written now has come, from and to a server.
func (l *ledger) recover(t *testing.T, s *server) {
	t.Helper()
	begun := time.Now()
	l.mu.Lock()
	written := maps.Clone(l.written)
	l.mu.Unlock()
	l.await(t, s.domain+" is back", func() bool {
		for x, f := range l.letters {
			mine := x.from == s.domain || x.to == s.domain
			if mine && x.n < written[[2]string{x.from, x.to}] && f.times == 0 && !f.returned {
				return false
			}
		}
		return true
	})
	t.Logf("%s is back: what had waited has come after %.1f s", s.domain, time.Since(begun).Seconds())
}

// open are those of which nothing is known.
func (l *ledger) open() (open []letter) {
	for x, f := range l.letters {
		if f.times == 0 && !f.returned {
			open = append(open, x)
		}
	}
	return open
}

func (l *ledger) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var lines []string
	for pair, numbers := range l.arrived {
		lines = append(lines, fmt.Sprintf("%s to %s: %d", pair[0], pair[1], len(numbers)))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// judge says what is wrong. A server that was killed may not have said what it had taken, and may not have written down what the
// others had: that is sent again, once. It is what came last before, and may be all since the network was cut, for acks were as well.
func (l *ledger) judge(t *testing.T, killed string, at, cut time.Time) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	if open := l.open(); len(open) > 0 {
		t.Errorf("%d are lost: %v", len(open), open[:min(len(open), 20)])
	}
	var late []time.Duration
	twice, returned, again := 0, 0, map[[2]string][]int{}
	for x, f := range l.letters {
		if f.returned {
			returned++
		}
		if f.times > 0 {
			late = append(late, f.came.Sub(f.written))
		}
		if f.times < 2 && (f.times == 0 || !f.returned) {
			continue
		}
		twice++
		if f.times > 2 || f.returned || x.from != killed && x.to != killed {
			t.Errorf("%v came %d times, returned: %v", x, f.times, f.returned)
			continue
		}
		way := [2]string{x.from, x.to}
		again[way] = append(again[way], x.n)
		if f.came.Before(cut.Add(-ackTime)) {
			t.Errorf("%v came twice, %v before the server was killed", x, at.Sub(f.came))
		}
	}
	for way, numbers := range again {
		slices.Sort(numbers)
		first, last := numbers[0], numbers[len(numbers)-1]
		t.Logf("%s to %s: %d to %d came twice, the first of them %.2f s before the server was killed", way[0], way[1], first, last,
			at.Sub(l.letters[letter{way[0], way[1], first}].came).Seconds())
		if last-first != len(numbers)-1 {
			t.Errorf("%s to %s: those that came twice are not what was sent last: %v", way[0], way[1], numbers)
		}
	}
	for pair, numbers := range l.arrived {
		seen, last := map[int]bool{}, -1
		for _, n := range numbers {
			if !seen[n] && n < last {
				t.Errorf("%s to %s: %d came after %d", pair[0], pair[1], n, last)
			}
			seen[n], last = true, max(last, n)
		}
	}
	if len(late) == 0 {
		t.Fatal("nothing came")
	}
	slices.Sort(late)
	t.Logf("%d came, %d of them twice, %d returned; late by %.2f s (median), %.2f s (90 %%), %.2f s (most)", len(late), twice, returned,
		late[len(late)/2].Seconds(), late[len(late)*9/10].Seconds(), late[len(late)-1].Seconds())
	if late[0] < wireDelay {
		t.Errorf("one came after %v: not by the wire", late[0])
	}
	if late[len(late)-1] < partition/2 {
		t.Errorf("none was later than %v: nothing was cut", late[len(late)-1])
	}
}

// resident is a client beside its server.
type resident struct {
	client *client.Client
	jid    jid.JID
	ledger *ledger
}

func (r *resident) domain() string { return r.jid.Domain() }

func newResident(t *testing.T, s *server, name string, l *ledger) *resident {
	t.Helper()
	register(t, s, name)
	r := &resident{jid: jid.MustParse(name + "@" + s.domain), ledger: l}
	roots := x509.NewCertPool()
	roots.AddCert(s.bed.known.cert)
	var err error
	r.client, err = client.New(client.Config{Account: r.jid, Password: password, Address: s.at(clientTLSPort), DirectTLS: true, RootCAs: roots,
		BackoffMin: 100 * time.Millisecond, BackoffMax: time.Second, QueueStanzas: 5000, QueueBytes: 16 << 20,
		Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return s.within.Dial(ctx, s.at(clientTLSPort))
		}})
	if err != nil {
		t.Fatal(err)
	}
	r.client.Handle(stanza.Message, xmlstream.Name{}, func(_ context.Context, m *stanza.Stanza) {
		x, ok := letterOf(m, m.From.Domain(), r.domain())
		l.change(func() {
			f := l.letters[x]
			if !ok || f == nil {
				t.Errorf("%s got what nobody wrote: %s from %s", r.jid, m.ID, m.From)
				return
			}
			if f.times++; f.times == 1 {
				f.came = time.Now()
			}
			l.arrived[[2]string{x.from, x.to}] = append(l.arrived[[2]string{x.from, x.to}], x.n)
		})
	})
	r.client.HandleErrors(func(_ context.Context, m *stanza.Stanza) {
		x, ok := letterOf(m, r.domain(), m.From.Domain())
		l.change(func() {
			if f := l.letters[x]; ok && f != nil {
				f.returned = true
			}
		})
	})
	ctx, cancel := context.WithTimeout(t.Context(), startTime)
	defer cancel()
	if err := r.client.Connect(ctx); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.client.Close() })
	if err := r.client.Announce(ctx, client.Availability{}); err != nil {
		t.Fatal(err)
	}
	return r
}

func letterOf(m *stanza.Stanza, from, to string) (letter, bool) {
	n, err := strconv.Atoi(string(m.ID))
	return letter{from, to, n}, err == nil
}

// write sends letters to all others until told to stop.
func (r *resident) write(t *testing.T, residents []*resident, stop chan struct{}) {
	pace := time.NewTicker(letterPace)
	defer pace.Stop()
	for n := 0; ; n++ {
		select {
		case <-pace.C:
		case <-stop:
			return
		}
		for _, to := range residents {
			if to == r {
				continue
			}
			x := letter{r.domain(), to.domain(), n}
			r.ledger.change(func() {
				r.ledger.letters[x] = &fate{written: time.Now()}
				r.ledger.written[[2]string{x.from, x.to}]++
			})
			m := stanza.Text(stanza.Chat, to.jid, fmt.Sprint("letter ", n))
			m.ID = []byte(strconv.Itoa(n))
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			err := r.client.Send(ctx, m)
			cancel()
			if err != nil {
				t.Errorf("%s cannot send: %v", r.jid, err)
				return
			}
		}
	}
}
