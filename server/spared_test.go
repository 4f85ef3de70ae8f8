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

// orator answers a request with as many bytes as it asks for.
type orator struct{}

func (orator) Name() string { return "orator" }

func (orator) Init(h *Host) error {
	h.IQ(IQHandler{At: AtHost, Type: stanza.Get, Name: xmlstream.Name{Space: "urn:long", Local: "speak"}, Blocking: true, // as that of rosters
		Do: func(_ *Turn, q *Query) (stanza.Payload, error) {
			n, err := strconv.Atoi(q.Reader(0).Attr("bytes"))
			return stanza.Body(strings.Repeat("x", n)), err
		}})
	return nil
}

func speak(n int) string {
	return "<iq type='get' to='d' id='long'><speak xmlns='urn:long' bytes='" + strconv.Itoa(n) + "'/></iq>"
}

// TestLongAnswer: an answer that is longer than all that may wait is sent all the same, one at a time.
func TestLongAnswer(t *testing.T) {
	const most, long = 2000, 10_000
	limits := Limits{QueueBytes: most, WindowBytes: 2 * most, SpoolAfter: time.Hour}
	for _, managed := range []bool{false, true} {
		begin := func(t *testing.T) (b *bench, a, c *peer) {
			b = newBench(t, limits, "a b", orator{})
			if a = b.online("a/1"); managed {
				c = b.managed("b/1")
			} else {
				c = b.online("b/1")
			}
			return b, a, c
		}
		inBubble(t, func(t *testing.T) {
			b, a, c := begin(t)
			c.st.stick()
			c.send(speak(long))
			a.send(chat("b@d/1", "1"))
			if c.st.isAborted() {
				t.Fatalf("managed %v: its client asked for it", managed)
			}
			c.st.unstick()
			got := strings.Join(c.got(), "")
			if !strings.Contains(got, strings.Repeat("x", long)) || !strings.Contains(got, "id='1'") {
				t.Errorf("managed %v: %d bytes came", managed, len(got))
			}
			if managed != strings.Contains(got, asks) {
				t.Errorf("managed %v: asked for an ack of it, or not", managed)
			}
			if b.counts("stonechat_windows_overflowed_total 1") {
				t.Errorf("managed %v: its window is full", managed)
			}
		})
		inBubble(t, func(t *testing.T) { // no second one before the first is read, ...
			b, _, c := begin(t)
			c.st.stick()
			c.send(speak(long))
			if c.st.isAborted() {
				t.Fatal("the first one is too much")
			}
			c.send(speak(long))
			if managed { // the request waits for an ack, and that for a minute
				if waits := c.st.Queued(); c.st.isAborted() || waits > long+most {
					t.Errorf("%d bytes wait", waits)
				}
				time.Sleep(paceTime + time.Second)
				synctest.Wait()
			}
			if !c.st.isAborted() || !b.counts("stonechat_readers_stalled_total 1") {
				t.Errorf("managed %v: two wait", managed)
			}
		})
		inBubble(t, func(t *testing.T) { // ... nor much else behind it
			_, a, c := begin(t)
			c.st.stick()
			c.send(speak(long))
			for i := 0; !c.st.isAborted(); i++ {
				if i > most/20 {
					t.Fatalf("managed %v: more than the bound waits", managed)
				}
				a.send(chat("b@d/1", strconv.Itoa(i)))
			}
		})
		inBubble(t, func(t *testing.T) { // what is not an answer of ours gets no more room
			_, a, c := begin(t)
			c.st.stick()
			a.send("<iq type='result' id='x' to='b@d/1'><query xmlns='urn:long'>" + strings.Repeat("x", long) + "</query></iq>")
			if !c.st.isAborted() {
				t.Errorf("managed %v: somebody else's answer waits", managed)
			}
		})
	}
	inBubble(t, func(t *testing.T) { // not acked: one more has to wait, though it is read
		b := newBench(t, limits, "a", orator{})
		c := b.managed("a/1")
		c.send(speak(long))
		if !c.se.Attached() {
			t.Fatal("the first one has ended the session")
		}
		r, err := c.resume(0)
		if err != nil {
			t.Fatal(err)
		}
		r.gets("<resumed", strings.Repeat("x", long), asks)
		r.send("<a xmlns='urn:xmpp:sm:3' h='1'/>" + speak(long))
		if !r.se.Attached() {
			t.Fatal("it was acked, and there is room again")
		}
		r.got()
		r.send(speak(long))
		if got := r.got(); len(got) > 0 || !b.counts("stonechat_windows_overflowed_total 0") {
			t.Errorf("two are not acked: %d elements came", len(got))
		}
		r.send(ack("2"))
		time.Sleep(paceInterval)
		r.gets(strings.Repeat("x", long), asks)
	})
}
