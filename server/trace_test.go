// SPDX-License-Identifier: Apache-2.0

package server

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/internal/trace"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// told is what a tracer has heard, a word or two for each event, with the number of the way where
// that changes.
func told(t *trace.Tracer) string {
	var words []string
	ways := map[int64]bool{}
	for {
		select {
		case e := <-t.Events():
			word := e.Event
			if !ways[e.Way] {
				ways[e.Way] = true
				word = fmt.Sprintf("%d:%s", len(ways), word)
			}
			for _, more := range []string{e.Module, e.Phase, e.Session, e.Detail} {
				if more != "" {
					word += " " + more
				}
			}
			words = append(words, word)
		default:
			return strings.Join(words, ", ")
		}
	}
}

// guarded refuses messages that bear a subject, and takes those with a thread away.
func guarded(h *Host) {
	h.OnArriving(Guard, func(_ *Turn, _ *User, s *stanza.Stanza) error {
		if s.Has(stanza.NSClient, "thread") {
			return Handled
		}
		if s.Has(stanza.NSClient, "subject") {
			return stanza.NotAllowed.Err("")
		}
		return nil
	})
	h.IQ(IQHandler{At: AtHost, Type: stanza.Get, Name: xmlstream.Name{Space: "u:x", Local: "x"}, Do: func(*Turn, *Query) (stanza.Payload, error) {
		return nil, nil
	}})
}

func TestTrace(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, DefaultLimits(), "a b c", &hooked{"warden", guarded})
		watched := jid.MustParse("b@d")
		tracer, err := b.Tracers().Begin(watched, false)
		if err != nil {
			t.Fatal(err)
		}
		full, err := b.Tracers().Begin(watched, true)
		if err != nil {
			t.Fatal(err)
		}
		a, c := b.managed("a/1"), b.managed("c/1")
		a.send(chat("c@d", "0")) // none of its business
		c.send(ack("1"))
		for _, step := range []struct {
			name string
			do   func()
			want string
		}{
			{"to one who is away", func() { a.send(chat("b@d", "1")) }, "1:received, spooling, handled postman handle, spooled"},
			{"refused", func() { a.send("<message to='b@d' type='chat'><subject/></message>") },
				"1:received, refused warden guard not-allowed, returned not-allowed"},
			{"taken away", func() { a.send("<message to='b@d' type='chat'><thread/></message>") }, "1:received, handled warden guard"},
		} {
			step.do()
			if got := told(tracer); !strings.HasPrefix(got, step.want) {
				t.Errorf("%s: %s, want %s", step.name, got, step.want)
			}
		}
		r := b.managed("b/1")
		if got, want := told(tracer), "1:received, handled postman handle, 2:drained, queued b@d/1"; got != want {
			t.Errorf("somebody comes: %s, want %s", got, want)
		}
		r.send(ack("1"))
		if got := told(tracer); got != "1:acked" {
			t.Errorf("the client acks: %s", got)
		}
		a.send(chat("b@d", "2"))
		r.send(ack("2"))
		if got, want := told(tracer), "1:received, queued b@d/1, handled postman handle, acked"; got != want {
			t.Errorf("live: %s, want %s", got, want)
		}
		r.send("<iq type='get' id='3' to='d'><x xmlns='u:x'/></iq>")
		if got, want := told(tracer), "1:received, asked warden, queued b@d/1"; got != want {
			t.Errorf("a request: %s, want %s", got, want)
		}
		r.send("<iq type='get' id='4' to='elsewhere.example'><x xmlns='u:x'/></iq>")
		if got, want := told(tracer), "1:received, returned remote-server-not-found, queued b@d/1"; got != want {
			t.Errorf("to nobody: %s, want %s", got, want)
		}
		a.send(chat("b@d/1", "5"))
		if got, want := told(full), "received, passed postman handle, passed warden guard, queued b@d/1, handled postman handle"; !strings.HasSuffix(got, want) {
			t.Errorf("with all: %s, want %s", got, want)
		}
		b.Tracers().End(tracer)
		b.Tracers().End(full)
		b.Tracers().End(full)
		told(tracer)
		a.send(chat("b@d/1", "6"))
		if got := told(tracer); got != "" {
			t.Errorf("it goes on: %s", got)
		}
		if b.tracers.Any() {
			t.Error("the trace costs something after its end")
		}
	})
}

// What the disk does not take is told, and what it takes later.
func TestTraceDisk(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, DefaultLimits(), "a b")
		tracer, err := b.Tracers().Begin(jid.MustParse("b@d"), false)
		if err != nil {
			t.Fatal(err)
		}
		a := b.managed("a/1")
		b.store.failing.Store(true)
		a.send(chat("b@d", "1"))
		if got, want := told(tracer), "1:received, spooling, handled postman handle, failed, returned resource-constraint, queued a@d/1, handled postman handle"; got != want {
			t.Errorf("%s, want %s", got, want)
		}
		b.store.failing.Store(false)
		r := b.managed("b/1")
		told(tracer)
		a.send(chat("b@d", "2"))
		time.Sleep(time.Second) // the client does not ack
		if got, want := told(tracer), "1:received, queued b@d/1, handled postman handle, spooling, spooled"; got != want {
			t.Errorf("%s, want %s", got, want)
		}
		r.got()
	})
}

// Nothing of what people say is told.
func TestTraceIsDiscreet(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, DefaultLimits(), "a b")
		tracer, err := b.Tracers().Begin(jid.MustParse("b@d"), true)
		if err != nil {
			t.Fatal(err)
		}
		a := b.managed("a/1")
		a.send("<message to='b@d' type='chat' id='1'><body>swordfish</body><x xmlns='u:x' a='swordfish'><y/>swordfish</x></message>")
		e := <-tracer.Events()
		if strings.Join(e.Children, " ") != "{jabber:client}body {u:x}x" || e.Kind != "message" || e.Type != "chat" || e.ID != "1" || e.From != "a@d/1" || e.To != "b@d" {
			t.Errorf("%+v", e)
		}
		for len(tracer.Events()) > 0 {
			if s := fmt.Sprintf("%+v", <-tracer.Events()); strings.Contains(s, "swordfish") {
				t.Error(s)
			}
		}
	})
}

func TestTraceBounds(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, DefaultLimits(), "a b")
		var all []*trace.Tracer
		for range trace.MaxTracers {
			tracer, err := b.Tracers().Begin(jid.MustParse("b@d"), false)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, tracer)
		}
		if _, err := b.Tracers().Begin(jid.MustParse("b@d"), false); !errors.Is(err, trace.ErrTracers) {
			t.Errorf("one more: %v", err)
		}
		for _, tracer := range all[1:] {
			b.Tracers().End(tracer)
		}
		if _, err := b.Tracers().Begin(jid.MustParse("a@d"), false); err != nil {
			t.Errorf("after others have ended: %v", err)
		}
		a := b.managed("a/1")
		for range trace.Queue / 2 { // four events each, and nobody reads
			a.send(chat("b@d", "1"))
		}
		if n := len(all[0].Events()); n != trace.Queue {
			t.Errorf("%d events wait", n)
		}
		if all[0].Lost() != trace.Queue || all[0].Lost() != 0 {
			t.Error("what is lost is not counted once")
		}
	})
}

// A message that has waited longer than limits.spool_age is dropped when its account comes, and
// the next one is not.
func TestSpoolAge(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		limits := DefaultLimits()
		limits.SpoolAge = time.Hour
		b := newBench(t, limits, "a b")
		a := b.managed("a/1")
		a.send(chat("b@d", "old"))
		time.Sleep(50 * time.Minute)
		a.send(chat("b@d", "young"))
		time.Sleep(20 * time.Minute)
		tracer, err := b.Tracers().Begin(jid.MustParse("b@d"), false)
		if err != nil {
			t.Fatal(err)
		}
		r := b.managed("b/1")
		r.gets("id='young'", asks)
		if got := told(tracer); !strings.Contains(got, "expired") {
			t.Errorf("it goes without a word: %s", got)
		}
		time.Sleep(time.Second)
		if n := b.spooled("b"); n != 1 { // the young one, until it is acked
			t.Errorf("%d rows", n)
		}
		r.send(ack("1"))
		time.Sleep(time.Second)
		if n := b.spooled("b"); n != 0 {
			t.Errorf("%d rows in the end", n)
		}
	})
}
