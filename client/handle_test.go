// SPDX-License-Identifier: Apache-2.0

package client_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stonechat-im/stonechat/client"
	"github.com/stonechat-im/stonechat/internal/testserver"
	"github.com/stonechat-im/stonechat/xmpp/delay"
	"github.com/stonechat-im/stonechat/xmpp/disco"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/ping"
	"github.com/stonechat-im/stonechat/xmpp/roster"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/version"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// A stanza goes to one handler, by its kind and payload.
func TestHandlers(t *testing.T) {
	inLab(t, testserver.Options{}, func(t *testing.T, l *lab) {
		l.make()
		var got []string
		note := func(name string) client.Handler {
			return func(_ context.Context, s *stanza.Stanza) { got = append(got, name+" "+string(s.ID)) }
		}
		l.Handle(stanza.Message, zero, note("message"))
		l.Handle(stanza.Message, xmlstream.Name{Space: delay.NS, Local: "delay"}, note("delayed"))
		l.Handle(stanza.Presence, zero, note("replaced"))
		l.Handle(stanza.Presence, zero, note("presence"))
		p := l.start()
		p.Say("<message id='0' type='error'/>") // nobody listens
		synctest.Wait()
		l.HandleErrors(note("error"))
		p.Say(`<message id='1'><body>x</body></message>
			<message id='2'><body>x</body><delay xmlns='urn:xmpp:delay' stamp='2020-01-01T00:00:00Z'/></message>
			<message id='3' type='error'><delay xmlns='urn:xmpp:delay' stamp='2020-01-01T00:00:00Z'/></message>
			<presence id='4' type='subscribe'/><presence id='5'/><presence id='6' type='error'/>
			<iq type='result' id='7'/><iq type='error' id='8'/>`)
		synctest.Wait()
		want := []string{"message 1", "delayed 2", "error 3", "presence 4", "presence 5", "error 6"}
		if !slices.Equal(got, want) {
			t.Errorf("handled %q, want %q", got, want)
		}
		go func() { _ = p.End() }()
	})
}

// RFC 6120 §8.2.3: every request is answered.
func TestRequests(t *testing.T) {
	inLab(t, testserver.Options{}, func(t *testing.T, l *lab) {
		l.config.Features = []string{"urn:x:feature"}
		l.config.Identity.Name = "Balcony"
		l.make()
		l.HandleIQ(stanza.Get, (&version.Query{}).XMLName(), func(_ context.Context, s *stanza.Stanza) (stanza.Payload, error) {
			switch s.From.Resource() {
			case "good":
				return &version.Query{Name: "lute"}, nil
			case "bad":
				return nil, stanza.Forbidden.Err("not you")
			case "large":
				return &version.Query{Name: strings.Repeat("lute", 100_000)}, nil
			}
			return nil, errors.New("told to nobody")
		})
		p := l.start()
		for _, c := range []struct{ resource, request, answer string }{
			{"x", "type='get'><ping xmlns='urn:xmpp:ping'/>", "type='result'/>"},
			{"x", "type='set'><ping xmlns='urn:xmpp:ping'/>", ".*<service-unavailable .*"},
			{"x", "type='get'><query xmlns='http://jabber.org/protocol/disco#info'/>",
				".*<identity category='client' type='bot' name='Balcony'/>.*<feature var='http://jabber.org/protocol/disco#info'/><feature var='urn:x:feature'/><feature var='urn:xmpp:ping'/>.*"},
			{"x", "type='get'><query xmlns='http://jabber.org/protocol/disco#info' node='n'/>", ".*<item-not-found .*"},
			{"good", "type='get'><query xmlns='jabber:iq:version'/>", "type='result'><query xmlns='jabber:iq:version'><name>lute</name>.*"},
			{"bad", "type='get'><query xmlns='jabber:iq:version'/>", ".*<forbidden .*not you.*"},
			{"large", "type='get'><query xmlns='jabber:iq:version'/>", ".*<resource-constraint .*too large.*"},
			{"worse", "type='get'><query xmlns='jabber:iq:version'/>", ".*<internal-server-error xmlns='[^']*'/></error></iq>"},
		} {
			p.Say("<iq from='romeo@example.net/%s' id='1' %s</iq>", c.resource, c.request)
			p.Expect("<iq to='romeo@example.net/" + c.resource + "' id='1' " + c.answer)
		}
		go func() { _ = p.End() }()
	})
}

// What a program asks.
func TestAsk(t *testing.T) {
	inLab(t, testserver.Options{}, func(t *testing.T, l *lab) {
		p := l.start()
		type outcome struct {
			what any
			err  error
		}
		done := make(chan outcome, 1)
		ask := func(f func(ctx context.Context) (any, error)) {
			go func() {
				what, err := f(t.Context())
				done <- outcome{what, err}
			}()
		}
		ask(func(ctx context.Context) (any, error) { return l.Roster(ctx) })
		id := p.Expect("<iq id='([^']+)' type='get'><query xmlns='jabber:iq:roster'/></iq>")[1]
		p.Say("<iq id='%s' type='result'><query xmlns='jabber:iq:roster'><item jid='nurse@example.org'/></query></iq>", id)
		if r := <-done; r.err != nil || len(r.what.([]roster.Item)) != 1 {
			t.Errorf("roster: %v", r)
		}
		ask(func(ctx context.Context) (any, error) { return nil, l.SetContact(ctx, romeo.Bare(), "Romeo", "Lovers") })
		id = p.Expect("<iq id='([^']+)' type='set'><query xmlns='jabber:iq:roster'><item jid='romeo@example.net' name='Romeo' .*<group>Lovers</group>.*")[1]
		p.Say("<iq id='%s' type='result'/>", id)
		if r := <-done; r.err != nil {
			t.Errorf("setting a contact: %v", r)
		}
		ask(func(ctx context.Context) (any, error) { return nil, l.RemoveContact(ctx, romeo.Bare()) })
		id = p.Expect("<iq id='([^']+)' type='set'><query xmlns='jabber:iq:roster'><item jid='romeo@example.net' subscription='remove'/>.*")[1]
		p.Say("<iq id='%s' type='error'><error type='cancel'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>", id)
		var refused *stanza.Error
		if r := <-done; !errors.As(r.err, &refused) || refused.Condition != stanza.ItemNotFound {
			t.Errorf("removing a contact: %v", r)
		}
		for answer, want := range map[string]string{
			"": "something else", "<query xmlns='http://jabber.org/protocol/disco#info'><identity category='client' type='bot'/></query>": "",
			"<ping xmlns='urn:xmpp:ping'/>": "something else",
		} {
			ask(func(ctx context.Context) (any, error) {
				return nil, l.Ask(ctx, romeo, &disco.Info{}, new(disco.Info))
			})
			id = p.Expect("<iq .* id='([^']+)' .*")[1]
			p.Say("<iq id='%s' from='%s' type='result'>%s</iq>", id, romeo, answer)
			if r := <-done; want == "" && r.err != nil || want != "" && (r.err == nil || !strings.Contains(r.err.Error(), want)) {
				t.Errorf("%s: %v", answer, r.err)
			}
		}
		// No answer: with the context's deadline, or our own.
		began := time.Now()
		ask(func(ctx context.Context) (any, error) { return l.IQ(ctx, romeo, stanza.Get, &ping.Ping{}) })
		p.Expect("<iq .*")
		go func() {
			for {
				if _, err := p.Read(); err != nil { // keeps answering <r/>
					return
				}
			}
		}()
		if r := <-done; !errors.Is(r.err, context.DeadlineExceeded) || time.Since(began) != time.Minute {
			t.Errorf("after %s: %v", time.Since(began), r.err)
		}
		if _, err := l.IQ(t.Context(), romeo, stanza.Result, &ping.Ping{}); err == nil {
			t.Error("a result is taken for a request")
		}
	})
}

// The helpers of presence say what RFC 6121 wants.
func TestPresence(t *testing.T) {
	inLab(t, testserver.Options{}, func(t *testing.T, l *lab) {
		p := l.start()
		for _, c := range []struct {
			do   func(context.Context) error
			want string
		}{
			{func(ctx context.Context) error {
				return l.Announce(ctx, client.Availability{Show: "dnd", Status: "a < b", Priority: -1, Extra: []stanza.Payload{&ping.Ping{}}})
			}, "<presence id='[^']+'><show>dnd</show><status>a &lt; b</status><priority>-1</priority><ping xmlns='urn:xmpp:ping'/></presence>"},
			{l.Withdraw, "<presence id='[^']+' type='unavailable'/>"},
			{func(ctx context.Context) error { return l.Subscribe(ctx, romeo) }, "<presence to='romeo@example.net' id='[^']+' type='subscribe'/>"},
			{func(ctx context.Context) error { return l.Approve(ctx, romeo) }, "<presence to='romeo@example.net' id='[^']+' type='subscribed'/>"},
			{func(ctx context.Context) error { return l.Unsubscribe(ctx, romeo) }, "<presence to='romeo@example.net' id='[^']+' type='unsubscribe'/>"},
			{func(ctx context.Context) error { return l.Revoke(ctx, romeo) }, "<presence to='romeo@example.net' id='[^']+' type='unsubscribed'/>"},
		} {
			if err := c.do(t.Context()); err != nil {
				t.Error(err)
			}
			p.Expect(c.want)
		}
		go func() { _ = p.End() }()
	})
}

// What is handled is acknowledged, and nothing before.
func TestAcksWaitForHandlers(t *testing.T) {
	inLab(t, testserver.Options{}, func(t *testing.T, l *lab) {
		l.make()
		release := make(chan bool)
		l.Handle(stanza.Message, zero, func(context.Context, *stanza.Stanza) { <-release })
		p := l.start()
		ask := func(h int) {
			t.Helper()
			p.Say("<r xmlns='urn:xmpp:sm:3'/>")
			p.Expect(fmt.Sprintf("<a xmlns='urn:xmpp:sm:3' h='%d'/>", h))
		}
		ask(0)
		p.Say("<message id='1'/><message id='2'/><iq id='3' type='result'/>")
		synctest.Wait()
		ask(0)
		release <- true
		synctest.Wait()
		ask(1)
		p.Drop() // the session is resumed by what has arrived: it will be handled
		p = l.Accept()
		p.Resume("s1", 3, 0)
		ask(3) // counts never go back, for some servers end the stream of whose do
		p.Say("<message id='3a'/>")
		synctest.Wait()
		ask(3)
		release <- true
		synctest.Wait()
		ask(3)
		release <- true
		p.Expect("<a xmlns='urn:xmpp:sm:3' h='4'/>") // by itself: it was asked for more than it could say
		ask(4)
		// A new session counts anew, and what is left of the old one does not count in it.
		p.Say("<message id='4'/>")
		synctest.Wait()
		p.Drop()
		p = l.Accept()
		p.Expect("<resume .*")
		p.Say("<failed xmlns='urn:xmpp:sm:3'/>")
		p.Session("s2")
		p.Say("<message id='5'/>")
		synctest.Wait()
		ask(0)
		release <- true
		synctest.Wait()
		ask(0)
		release <- true
		p.Expect("<a xmlns='urn:xmpp:sm:3' h='1'/>")
		go func() { _ = p.End() }()
	})
}

// Who has heard enough leaves the rest on the server, and the end says so.
func TestStopHandling(t *testing.T) {
	inLab(t, testserver.Options{}, func(t *testing.T, l *lab) {
		l.make()
		handled := 0
		l.Handle(stanza.Message, zero, func(context.Context, *stanza.Stanza) {
			if handled++; handled == 2 {
				l.StopHandling()
				go func() { _ = l.Client.Close() }()
				<-time.After(time.Second) // and the end waits for this handler
			}
		})
		p := l.start()
		synctest.Wait()
		p.Say("<message id='1'/><message id='2'/><message id='3'/><message id='4'/>")
		p.Expect("<a xmlns='urn:xmpp:sm:3' h='2'/>")
		if err := p.End(); err != nil {
			t.Errorf("the stream ended with %v", err)
		}
		<-l.Done()
		if handled != 2 {
			t.Errorf("%d messages were handled", handled)
		}
	})
}

// A program that does not keep up is not read for; one that asks while it handles still gets its
// answer.
func TestInboxIsBounded(t *testing.T) {
	inLab(t, testserver.Options{}, func(t *testing.T, l *lab) {
		l.config.InboxStanzas = 10
		l.make()
		release := make(chan bool)
		var handled []string
		l.Handle(stanza.Message, zero, func(ctx context.Context, s *stanza.Stanza) {
			if string(s.ID) == "0" {
				<-release
				if _, err := l.IQ(ctx, romeo, stanza.Get, &ping.Ping{}); err != nil {
					t.Error(err)
				}
			}
			handled = append(handled, string(s.ID))
		})
		p := l.start()
		for i := range 20 {
			p.Say("<message id='%d'><body>%s</body></message>", i, strings.Repeat("x", 1000))
		}
		p.Say("<r xmlns='urn:xmpp:sm:3'/>")
		synctest.Wait()
		<-time.After(10 * time.Minute) // and nobody takes that for silence
		release <- true
		// Only now the server's question is read; the answer to it may be ahead of ours.
		m := p.Expect("(<a xmlns='urn:xmpp:sm:3' h='0'/>)|<iq to='romeo@example.net/orchard' id='([^']+)' .*")
		if id := m[2]; id != "" {
			p.Expect("<a xmlns='urn:xmpp:sm:3' h='0'/>")
		} else {
			m = p.Expect("(<iq) to='romeo@example.net/orchard' id='([^']+)' .*")
		}
		id := m[2]
		p.Say("<iq id='%s' type='result' from='romeo@example.net/orchard'/>", id)
		p.Expect("<a xmlns='urn:xmpp:sm:3' h='21'/>")
		if len(handled) != 20 || handled[19] != "19" {
			t.Errorf("handled %v", handled)
		}
		go func() { _ = p.End() }()
	})
}

// The queue is bounded; who waits for room is told what to do when time is up.
func TestQueueIsBounded(t *testing.T) {
	inLab(t, testserver.Options{}, func(t *testing.T, l *lab) {
		l.config.QueueStanzas = 3
		l.make()
		l.Handle(stanza.Message, zero, func(ctx context.Context, s *stanza.Stanza) {
			if err := l.Send(ctx, stanza.Text(stanza.Chat, romeo, "answer")); !errors.Is(err, client.ErrFull) {
				t.Errorf("a handler waits, or overflows: %v", err)
			}
			l.heard <- s
		})
		p := l.start()
		p.Rest = true
		for _, body := range []string{"1", "2", "3"} {
			l.send(body)
			p.Expect(message(body))
		}
		p.Say("<message/><iq id='x' type='get'><ping xmlns='urn:xmpp:ping'/></iq>")
		<-l.heard
		p.Expect("<iq id='x' type='result'/>") // answers are not held up
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := l.Send(ctx, stanza.Text(stanza.Chat, romeo, "4")); !errors.Is(err, client.ErrFull) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("sent into a full queue: %v", err)
		}
		go func() { _ = l.Send(t.Context(), stanza.Text(stanza.Chat, romeo, "5")) }()
		synctest.Wait()
		p.Ack()
		p.Expect(message("5"))
		big := stanza.Text(stanza.Chat, romeo, strings.Repeat("x", 300_000))
		if err := l.Send(t.Context(), big); !errors.Is(err, client.ErrSize) {
			t.Errorf("too large, and %v", err)
		}
		bad := stanza.New(stanza.Message, stanza.Chat, romeo, &stanza.Raw{Bytes: []byte("<a><b></a>")})
		if err := l.Send(t.Context(), bad); err == nil {
			t.Error("a stanza that ends streams is taken")
		}
		p.Ack()
		go func() { _ = p.End() }()
	})
}

// Close waits for the server, but not for ever.
func TestClose(t *testing.T) {
	for _, c := range []struct {
		name    string
		prepare func(t *testing.T, l *lab)
		want    string
	}{
		{"all is well", func(t *testing.T, l *lab) {
			p := l.start()
			l.send("x")
			go func() {
				if err := p.End(); err != nil {
					t.Errorf("the stream ended with %v", err)
				}
			}()
		}, ""},
		{"never connected", func(t *testing.T, l *lab) {
			l.make()
			_ = l.Client.Start()
			l.send("x")
		}, "1 stanzas"},
		{"never started", func(t *testing.T, l *lab) {
			l.make()
			l.send("x")
		}, "1 stanzas"},
		{"offline", func(t *testing.T, l *lab) {
			p := l.start()
			p.Drop()
			synctest.Wait()
			l.send("x")
			l.send("y")
		}, "2 stanzas"},
		{"no acknowledgement", func(t *testing.T, l *lab) {
			p := l.start()
			p.Rest = true
			l.send("x")
			go func() { _ = p.End() }()
		}, "1 stanzas"},
		{"no end of the stream", func(t *testing.T, l *lab) {
			p := l.start()
			l.send("x")
			p.Expect(message("x"))
			p.Ack()
		}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			inLab(t, testserver.Options{}, func(t *testing.T, l *lab) {
				c.prepare(t, l)
				synctest.Wait()
				began := time.Now()
				err := l.Client.Close()
				if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
					t.Errorf("closed with %v", err)
				}
				if d := time.Since(began); d > 5*time.Second {
					t.Errorf("it took %s", d)
				}
				if err := l.Client.Close(); err != nil {
					t.Errorf("closed again with %v", err)
				}
				if err := l.Client.Start(); !errors.Is(err, client.ErrClosed) {
					t.Errorf("started again: %v", err)
				}
			})
		})
	}
}

// What cannot work is said before anything is tried.
func TestConfig(t *testing.T) {
	good := client.Config{Account: juliet, Password: "x"}
	if _, err := client.New(good); err != nil {
		t.Error(err)
	}
	for name, change := range map[string]func(*client.Config){
		"no account":    func(c *client.Config) { c.Account = jid.JID{} },
		"a domain":      func(c *client.Config) { c.Account = jid.MustParse("example.org/x") },
		"no password":   func(c *client.Config) { c.Password = "" },
		"no port":       func(c *client.Config) { c.Address = "example.org" },
		"direct, where": func(c *client.Config) { c.DirectTLS = true },
		"backoff":       func(c *client.Config) { c.BackoffMin = -1 },
	} {
		c := good
		change(&c)
		if _, err := client.New(c); err == nil {
			t.Errorf("%s is taken", name)
		}
		if _, err := client.Dial(t.Context(), c); err == nil {
			t.Errorf("%s is dialled", name)
		}
	}
}

// Whoever asks together with what it sends is answered once, when that is handled; where a handler takes long it is answered
// with what it knows.
func TestAnswerWaitsForNews(t *testing.T) {
	inLab(t, testserver.Options{}, func(t *testing.T, l *lab) {
		l.make()
		release := make(chan bool)
		l.Handle(stanza.Message, zero, func(_ context.Context, s *stanza.Stanza) {
			if string(s.ID) != "quick" {
				<-release
			}
		})
		p := l.start()
		const ask = "<r xmlns='urn:xmpp:sm:3'/>"
		// tells waits for a count. The one before may come again, where the question and the end of a handler meet.
		tells := func(h int) {
			t.Helper()
			for got := h - 1; got != h; {
				if n, err := strconv.Atoi(p.Expect("<a xmlns='urn:xmpp:sm:3' h='([0-9]+)'/>")[1]); err != nil || n < got || n > h {
					t.Fatalf("told %d, want %d", n, h)
				} else {
					got = n
				}
			}
		}
		for h := range 3 {
			p.Say("<message id='quick'/>" + ask)
			tells(h + 1)
		}
		began := time.Now()
		p.Say("<message id='slow'/><message id='slow'/>" + ask)
		for tells(3); time.Since(began) == 0; {
			tells(3)
		}
		if took := time.Since(began); took != time.Second {
			t.Errorf("told the same after %s", took)
		}
		p.Say(ask)
		synctest.Wait()
		release <- true
		tells(4) // at once, and not when all is handled
		if took := time.Since(began); took != time.Second {
			t.Errorf("told of one more after %s", took)
		}
		release <- true
		tells(5)
		p.Say(ask)
		tells(5)
		go func() { _ = p.End() }()
	})
}
