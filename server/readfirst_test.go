// SPDX-License-Identifier: Apache-2.0

package server

import (
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// pager sends whoever asks a page of messages before the answer, as an archive does.
type pager struct{}

const pageOf, lineOf = 8, 1000

func (pager) Name() string { return "pager" }

func (pager) Init(h *Host) error {
	h.IQ(IQHandler{At: AtHost, Type: stanza.Get, Name: xmlstream.Name{Space: "urn:page", Local: "page"}, Blocking: true,
		Do: func(t *Turn, q *Query) (stanza.Payload, error) {
			for range pageOf {
				t.Origin.Send(t, stanza.New(stanza.Message, stanza.Normal, q.From, stanza.Body(strings.Repeat("x", lineOf))))
			}
			return nil, nil
		}})
	return nil
}

// TestReadFirst: who asks for many pages at once gets the next ones when it has read those before, however slowly it reads: no
// more waits than may, and its stream lives.
func TestReadFirst(t *testing.T) {
	const pages, request = 20, "<iq type='get' to='d' id='page'><page xmlns='urn:page'/></iq>"
	limits := Limits{QueueBytes: 4 * pageOf * lineOf, SpoolAfter: time.Hour}
	begin := func(t *testing.T) (*bench, *peer) {
		b := newBench(t, limits, "a", pager{})
		a := b.online("a/1")
		a.got()
		a.st.stick()
		if err := a.batch(strings.Repeat(request, pages)); err != nil {
			t.Fatal(err)
		}
		return b, a
	}
	inBubble(t, func(t *testing.T) {
		b, a := begin(t)
		for range 3 * pages { // more often than there are requests
			time.Sleep(20 * time.Millisecond)
			synctest.Wait()
			if a.st.isPaused() {
				continue
			}
			if err := a.goOn(); err != nil {
				t.Fatal(err)
			}
		}
		if n := a.st.Queued(); a.st.isAborted() || n > limits.QueueBytes || n < pageOf*lineOf {
			t.Fatalf("%d bytes wait; aborted %v", n, a.st.isAborted())
		}
		if !a.st.isPaused() {
			t.Error("its requests are read though it does not read")
		}
		a.st.unstick()
		a.st.awaitResume()
		a.send("")
		if got := strings.Join(a.got(), "\n"); strings.Count(got, "<message") != pages*pageOf || strings.Count(got, "type='result'") != pages {
			t.Errorf("%d messages and %d answers came", strings.Count(got, "<message"), strings.Count(got, "type='result'"))
		}
		if b.counts("stonechat_sessions_waiting_to_read_total 0") || !b.counts("stonechat_readers_stalled_total 0") {
			t.Error("the waiting is not counted, or as that of one who does not read")
		}
	})
	inBubble(t, func(t *testing.T) { // nothing leaves, perhaps since the connection is broken: it is read on, to find out
		b, a := begin(t)
		for range 500 {
			time.Sleep(20 * time.Millisecond)
			synctest.Wait()
			if a.st.isPaused() || a.st.isAborted() {
				continue
			}
			if err := a.goOn(); err != nil {
				t.Fatal(err)
			}
		}
		if !a.st.isAborted() || !b.counts("stonechat_readers_stalled_total 1") {
			t.Error("a client that never reads is waited for without end")
		}
	})
}

// TestAckFirst: a client with stream management that asks for many pages at once, whose acks stand behind all that, gets each page when
// it has acked enough of those before. What others send it comes at once, and what it sends behind its requests in its order.
func TestAckFirst(t *testing.T) {
	const pages, request = 40, "<iq type='get' to='d' id='page'><page xmlns='urn:page'/></iq>"
	invalid := "<iq type='strange' to='d' id='invalid'><page xmlns='urn:page'/></iq>"
	begin := func(t *testing.T, limits Limits, behind string) (b *bench, a, other *peer) {
		limits.WindowBytes, limits.SpoolAfter = 6*pageOf*lineOf, time.Hour
		b = newBench(t, limits, "a b", pager{})
		a, other = b.managed("a/1"), b.online("b/1")
		a.got()
		other.got()
		if err := a.batch(strings.Repeat(request, pages) + invalid + behind); err != nil {
			t.Fatal(err)
		}
		for limits.UnackedStanzas == 0 && a.in.Buffered() > 0 {
			a.st.awaitResume()
			if err := a.goOn(); err != nil {
				t.Fatal(err)
			}
		}
		return b, a, other
	}
	stanzas := func(got []string) (n int) {
		for _, xml := range got {
			if !strings.HasPrefix(xml, "<r ") && !strings.HasPrefix(xml, "<a ") {
				n++
			}
		}
		return n
	}
	inBubble(t, func(t *testing.T) {
		b, a, other := begin(t, Limits{}, chat("b@d/1", "behind")+ask)
		all := a.got()
		if n := stanzas(all); n < 2*pageOf || n > 6*pageOf || a.st.isAborted() || a.st.isPaused() {
			t.Fatalf("%d stanzas came; paused %v, aborted %v", n, a.st.isPaused(), a.st.isAborted())
		}
		other.send(chat("a@d/1", "live"))
		if got := a.got(); len(got) == 0 || !strings.Contains(got[0], "live") {
			t.Fatalf("what another sends waits: %s", got)
		} else {
			all = append(all, got...)
		}
		other.gets()
		for range 2 * pages {
			a.send(ack(strconv.Itoa(stanzas(all))))
			time.Sleep(20 * time.Millisecond)
			all = append(all, a.got()...)
		}
		got := strings.Join(all, "\n")
		if n := stanzas(all); n != pages*(pageOf+1)+2 || strings.Count(got, "type='result'") != pages {
			t.Errorf("%d stanzas and %d answers came", n, strings.Count(got, "type='result'"))
		}
		if !strings.Contains(all[len(all)-1], "<a ") || !strings.Contains(all[len(all)-1], "h='43'") || strings.LastIndex(got, "type='result'") > strings.Index(got, "id='invalid'") {
			t.Errorf("the end is %q, all of it in no order", all[len(all)-3:])
		}
		other.gets("behind")
		if b.counts("stonechat_sessions_waiting_to_read_total 0") || !b.counts("stonechat_windows_overflowed_total 0") {
			t.Error("the waiting is not counted, or as an overflow")
		}
	})
	inBubble(t, func(t *testing.T) { // it never acks: the stream is dropped, and the session can be resumed
		b, a, other := begin(t, Limits{}, chat("b@d/1", "behind"))
		time.Sleep(paceTime + time.Second)
		if !a.st.isAborted() || !b.counts("stonechat_readers_stalled_total 1") {
			t.Fatal("a client that never acks is waited for without end")
		}
		n := stanzas(a.got())
		again, err := a.resume(uint32(n))
		if err != nil {
			t.Fatal(err)
		}
		handled := n / (pageOf + 1)
		again.gets("<resumed xmlns='urn:xmpp:sm:3' h='" + strconv.Itoa(1+handled) + "'")
		other.gets()
		again.send(chat("b@d/1", "again"))
		other.gets("again")
	})
	inBubble(t, func(t *testing.T) { // no more is kept than may be
		_, a, _ := begin(t, Limits{UnackedStanzas: 8}, ack("0"))
		for range pages {
			time.Sleep(20 * time.Millisecond)
			synctest.Wait()
			if a.st.isPaused() {
				continue
			}
			if err := a.goOn(); err != nil {
				t.Fatal(err)
			}
		}
		if !a.st.isPaused() || a.se.postponed() != 8 {
			t.Errorf("%d wait, paused %v", a.se.postponed(), a.st.isPaused())
		}
		all := a.got()
		for range 3 { // as if its acks had come before
			turn := a.b.NewTurn()
			if err := a.se.Acked(turn, uint32(stanzas(all))); err != nil {
				t.Fatal(err)
			}
			turn.End()
			time.Sleep(time.Second)
			all = append(all, a.got()...)
		}
		if a.st.isAborted() || a.st.isPaused() || a.se.postponed() > 4 {
			t.Errorf("%d wait, %d came; paused %v", a.se.postponed(), stanzas(all), a.st.isPaused())
		}
	})
	inBubble(t, func(t *testing.T) { // a mistake that ends a stream does so in its turn
		_, a, _ := begin(t, Limits{}, "<message from='b@d/1' to='b@d'/>")
		if over, e := a.st.how(); over {
			t.Fatal("the stream has ended before what came before that", e)
		}
		for range 2 * pages {
			a.got()
			turn := a.b.NewTurn()
			_, _ = a.se.out.ackedTo(turn, a.se.out.sentCount())
			turn.End()
			time.Sleep(20 * time.Millisecond)
		}
		if over, e := a.st.how(); !over || e == nil || e.Condition != "invalid-from" {
			t.Errorf("ended %v: %v", over, e)
		}
	})
}
