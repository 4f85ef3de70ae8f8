// SPDX-License-Identifier: Apache-2.0

package client_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stonechat-im/stonechat/client"
	"github.com/stonechat-im/stonechat/internal/testserver"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/ping"
	"github.com/stonechat-im/stonechat/xmpp/roster"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/stream"
)

// XEP-0198 §5: what the server had not counted is sent again on the resumed stream, the rest is not.
func TestResume(t *testing.T) {
	inLab(t, testserver.Options{}, func(t *testing.T, l *lab) {
		p := l.start()
		p.Rest = true
		var acked []string
		for _, body := range []string{"one", "two", "three"} {
			err := l.SendAcked(t.Context(), stanza.Text(stanza.Chat, romeo, body), func(err error) {
				if err != nil {
					t.Error(err)
				}
				acked = append(acked, body)
			})
			if err != nil {
				t.Fatal(err)
			}
			p.Expect(message(body))
			if body == "one" {
				p.Expect("<r .*")
				p.Ack()
			}
		}
		p.Say("<message from='romeo@example.net/orchard'><body>lost?</body></message>")
		<-l.heard
		synctest.Wait()
		if strings.Join(acked, " ") != "one" {
			t.Errorf("acknowledged: %v", acked)
		}
		p.Drop()

		l.Refuse() // and tries again
		l.send("four")
		p = l.Accept()
		p.Resume("s1", 1, 2)
		p.Expect(message("three"))
		p.Expect(message("four"))
		p.SayXML([]byte("<r xmlns='urn:xmpp:sm:3'/>"))
		p.Expect("<a xmlns='urn:xmpp:sm:3' h='1'/>")
		l.send("five")
		p.Expect(message("five"))
		go func() { _ = p.End() }()
		if err := l.Sync(t.Context()); err != nil {
			t.Error(err)
		}
		if synctest.Wait(); strings.Join(acked, " ") != "one two three" { // who waits in Sync may be told before
			t.Errorf("acknowledged: %v", acked)
		}
	})
}

// Where the server has lost the session a new one is made, and all that is known of what it took
// is used.
func TestNewSession(t *testing.T) {
	for name, c := range map[string]struct {
		failed string
		again  []string
	}{
		"no count": {"<failed xmlns='urn:xmpp:sm:3'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>",
			[]string{"one", "two"}},
		"a count": {"<failed xmlns='urn:xmpp:sm:3' h='2'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>",
			[]string{"two"}},
	} {
		t.Run(name, func(t *testing.T) {
			inLab(t, testserver.Options{}, func(t *testing.T, l *lab) {
				sessions := 0
				l.make()
				l.HandleSession(func(context.Context) { sessions++ })
				if err := l.Announce(t.Context(), client.Availability{Status: "here"}); err != nil {
					t.Fatal(err)
				}
				p := l.start()
				presence := func(status string) string {
					return "<presence id='[^']+'><status>" + status + "</status></presence>"
				}
				p.Expect(presence("here"))
				p.Rest = true
				l.send("one")
				p.Expect("<r .*")
				p.Expect(message("one"))
				l.send("two")
				p.Expect(message("two"))
				if err := l.Announce(t.Context(), client.Availability{Status: "still here"}); err != nil {
					t.Fatal(err)
				}
				p.Expect(presence("still here"))
				p.Drop()
				p = l.Accept()
				p.Rest = true
				p.Expect("<resume .*")
				p.Say("%s", c.failed)
				p.Session("s2")
				p.Expect(presence("still here")) // and what is older is not told any more
				for _, body := range c.again {
					p.Expect(message(body))
				}
				p.Expect("<r .*")
				p.H--
				p.Ack()
				p.Drop()
				p = l.Accept()
				p.Resume("s2", 0, uint32(len(c.again)))
				p.Expect(message("two"))
				go func() { _ = p.End() }()
				if err := l.Sync(t.Context()); err != nil {
					t.Error(err)
				}
				if synctest.Wait(); sessions != 2 {
					t.Errorf("%d sessions were made", sessions)
				}
			})
		})
	}
}

// A message that has waited says for how long. XEP-0203
func TestDelay(t *testing.T) {
	inLab(t, testserver.Options{}, func(t *testing.T, l *lab) {
		p := l.start()
		l.send("prompt")
		p.Expect(message("prompt"))
		p.Ack()
		p.Drop()
		l.send("early")
		<-time.After(20 * time.Second)
		l.send("late")
		p = l.Accept()
		p.Resume("s1", 0, 1)
		p.Expect(delayed("early"))
		p.Expect(message("late"))
		go func() { _ = p.End() }()
		if err := l.Sync(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// Without stream management the answer to a ping tells what the server has taken.
func TestWithoutStreamManagement(t *testing.T) {
	inLab(t, testserver.Options{NoSM: true}, func(t *testing.T, l *lab) {
		p := l.start()
		l.send("one")
		p.Expect(message("one"))
		m := p.Expect("<iq to='example.org' id='([^']+)' type='get'><ping xmlns='urn:xmpp:ping'/></iq>")
		l.send("two")
		p.Expect(message("two"))
		p.Say("<iq type='error' id='%s' from='example.org'><error type='cancel'><service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>", m[1])
		m = p.Expect("<iq to='example.org' id='([^']+)' type='get'><ping xmlns='urn:xmpp:ping'/></iq>")
		p.Say("<iq type='result' id='%s' from='romeo@example.net/orchard'/>", m[1]) // a guess of a stranger's
		synctest.Wait()
		if n := l.Unacked(); n != 1 {
			t.Errorf("%d stanzas are not acknowledged", n)
		}
		p.Drop()
		p = l.Accept()
		p.Session("")
		p.Expect(message("two"))
		m = p.Expect("<iq to='example.org' id='([^']+)' type='get'><ping xmlns='urn:xmpp:ping'/></iq>")
		p.Say("<iq type='result' id='%s' from='example.org'/>", m[1])
		l.synced()
		go func() { _ = p.End() }()
	})
}

// Requests whose answer went to a session that is lost.
func TestLostAnswers(t *testing.T) {
	inLab(t, testserver.Options{}, func(t *testing.T, l *lab) {
		p := l.start()
		type outcome struct {
			s   *stanza.Stanza
			err error
		}
		results := map[string]chan outcome{}
		ask := func(name string, typ stanza.Type, payload stanza.Payload) {
			results[name] = make(chan outcome, 1)
			go func() {
				s, err := l.IQ(t.Context(), romeo, typ, payload)
				results[name] <- outcome{s, err}
			}()
			synctest.Wait()
		}
		ask("get", stanza.Get, &ping.Ping{})
		get := p.Expect("<iq to='romeo@example.net/orchard' id='([^']+)' type='get'>.*")[1]
		ask("set", stanza.Set, &roster.Query{})
		p.Expect("<iq to='romeo@example.net/orchard' id='([^']+)' type='set'>.*")
		p.Ack()
		synctest.Wait()
		p.Rest = true
		ask("not taken", stanza.Set, &ping.Ping{})
		p.Expect("<iq .*")
		p.Drop()
		p = l.Accept()
		p.Expect("<resume .*")
		p.Say("<failed xmlns='urn:xmpp:sm:3'/>")
		p.Session("s2")
		again := p.Expect("<iq to='romeo@example.net/orchard' id='([^']+)' type='set'><ping .*")[1]
		if id := p.Expect("<iq to='romeo@example.net/orchard' id='([^']+)' type='get'>.*")[1]; id != get {
			t.Errorf("the get has id %s, then %s", get, id)
		}
		for _, id := range []string{get, again} {
			p.Say("<iq type='result' id='%s' from='romeo@example.net/orchard'/>", id)
		}
		for name, want := range map[string]error{"get": nil, "set": client.ErrLost, "not taken": nil} {
			if r := <-results[name]; !errors.Is(r.err, want) || (r.s == nil) != (want != nil) {
				t.Errorf("%s: %v, %v", name, r.s, r.err)
			}
		}
		go func() { _ = p.End() }()
	})
}

// A connection on which the server is silent is given up, and only then.
func TestSilence(t *testing.T) {
	inLab(t, testserver.Options{}, func(t *testing.T, l *lab) {
		p := l.start()
		p.Rest = true
		began := time.Now()
		for range 3 {
			p.Expect("<r .*") // is answered
			p.Ack()
		}
		if d := time.Since(began); d != 3*time.Minute {
			t.Errorf("asked three times in %s", d)
		}
		p.Expect("<r .*") // is not
		if err := p.End(); err == nil {
			t.Error("the stream was closed: it cannot be resumed")
		}
		if d := time.Since(began); d != 4*time.Minute+30*time.Second {
			t.Errorf("given up after %s", d)
		}
		p = l.Accept()
		p.Resume("s1", 0, 0)
		go func() { _ = p.End() }()
	})
}

// A network that takes nothing any more is given up, and what it did not take is sent again.
func TestStuck(t *testing.T) {
	inLab(t, testserver.Options{}, func(t *testing.T, l *lab) {
		l.Tight = true
		p := l.start()
		synctest.Wait()
		began := time.Now()
		l.send("stuck")
		_ = p // reads nothing
		p = l.Accept()
		if d := time.Since(began); d < time.Minute || d > time.Minute+5*time.Second {
			t.Errorf("given up after %s", d)
		}
		p.Resume("s1", 0, 0)
		p.Expect(delayed("stuck"))
		go func() { _ = p.End() }()
		if err := l.Sync(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// Tries get rarer, and never as regular as a clock.
func TestBackoff(t *testing.T) {
	inLab(t, testserver.Options{}, func(t *testing.T, l *lab) {
		p := l.start()
		p.Drop()
		last := time.Now()
		for i := range 12 {
			l.Refuse()
			if d, most := time.Since(last), min(time.Minute, time.Second<<i); d > most {
				t.Errorf("try %d after %s, more than %s", i, d, most)
			}
			last = time.Now()
		}
		p = l.Accept()
		p.Resume("s1", 0, 0)
		go func() { _ = p.End() }()
	})
}

// What the server ends streams for is given up after a while; the rest arrives.
func TestPoison(t *testing.T) {
	inLab(t, testserver.Options{}, func(t *testing.T, l *lab) {
		p := l.start()
		outcome := make(chan error, 1)
		if err := l.SendAcked(t.Context(), stanza.Text(stanza.Chat, romeo, "poison"), func(err error) { outcome <- err }); err != nil {
			t.Fatal(err)
		}
		l.send("fine")
		for i := range 3 {
			p.Rest = true
			p.Expect(message("poison"))
			p.Machine.Close(&stream.Error{Condition: stream.PolicyViolation}, time.Now())
			_ = p.End()
			p = l.Accept()
			if i < 2 {
				p.Resume("s1", 0, 0)
			}
		}
		var ended *stream.Error
		if err := <-outcome; !errors.Is(err, client.ErrRejected) || !errors.As(err, &ended) || ended.Condition != stream.PolicyViolation {
			t.Errorf("the stanza was given up with %v", err)
		}
		p.Resume("s1", 0, 0)
		p.Expect(message("fine"))
		go func() { _ = p.End() }()
		if err := l.Sync(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// The one that the server ends streams for is found among others, though each session begins with presence: what is before
// it and behind it arrives, and is not blamed.
func TestPoisonAmongOthers(t *testing.T) {
	inLab(t, testserver.Options{}, func(t *testing.T, l *lab) {
		l.make()
		if err := l.Announce(t.Context(), client.Availability{}); err != nil {
			t.Fatal(err)
		}
		outcomes := map[string]error{}
		for _, body := range []string{"before", "poison", "behind"} {
			if err := l.SendAcked(t.Context(), stanza.Text(stanza.Chat, romeo, body), func(err error) { outcomes[body] = err }); err != nil {
				t.Fatal(err)
			}
		}
		ends := 0
		for p := l.start(); ; ends++ {
			s, err := p.Read()
			for ; !strings.Contains(s, "poison") && !strings.Contains(s, "behind"); s, err = p.Read() {
				if err != nil {
					t.Fatal(err)
				}
			}
			if strings.Contains(s, "behind") {
				p.Ack()
				synctest.Wait()
				go func() { _ = p.End() }()
				break
			}
			p.Machine.Close(&stream.Error{Condition: stream.PolicyViolation}, time.Now())
			_ = p.End()
			p = l.Accept()
			p.Expect("<resume .*")
			p.Say("<failed xmlns='urn:xmpp:sm:3'/>")
			p.Session("s1")
		}
		if outcomes["before"] != nil || !errors.Is(outcomes["poison"], client.ErrRejected) || outcomes["behind"] != nil {
			t.Errorf("what became of the three: %v", outcomes)
		}
		if ends > 4 {
			t.Errorf("the server had to end %d streams", ends)
		}
	})
}

// A request that the server ends streams for is answered by that, not by the clock.
func TestPoisonousRequest(t *testing.T) {
	inLab(t, testserver.Options{}, func(t *testing.T, l *lab) {
		p := l.start()
		answer := make(chan error, 1)
		go func() {
			_, err := l.IQ(context.Background(), romeo, stanza.Get, &ping.Ping{})
			answer <- err
		}()
		for range 3 {
			p.Rest = true
			p.Expect("<iq .*")
			p.Machine.Close(&stream.Error{Condition: stream.PolicyViolation}, time.Now())
			_ = p.End()
			p = l.Accept()
			p.Resume("s1", 0, 0)
		}
		if err := <-answer; !errors.Is(err, client.ErrRejected) {
			t.Errorf("the request ended with %v", err)
		}
		go func() { _ = p.End() }()
	})
}

// Whoever waits for acknowledgements when the client gives up is not told that they came.
func TestSyncAtTheEnd(t *testing.T) {
	inLab(t, testserver.Options{}, func(t *testing.T, l *lab) {
		p := l.start()
		p.Rest = true
		l.send("lost")
		synced := make(chan error, 1)
		go func() { synced <- l.Sync(context.Background()) }()
		synctest.Wait()
		p.Machine.Close(&stream.Error{Condition: stream.Conflict}, time.Now())
		_ = p.End()
		var ended *stream.Error
		if err := <-synced; !errors.As(err, &ended) || ended.Condition != stream.Conflict {
			t.Errorf("Sync returned %v", err)
		}
	})
}

// Errors after which nobody tries again.
func TestFinal(t *testing.T) {
	for _, condition := range []stream.Condition{stream.Conflict, stream.NotAuthorized} {
		inLab(t, testserver.Options{}, func(t *testing.T, l *lab) {
			p := l.start()
			p.Rest = true
			l.send("left behind")
			var lost error
			if err := l.SendAcked(t.Context(), stanza.Text(stanza.Chat, romeo, "x"), func(err error) { lost = err }); err != nil {
				t.Fatal(err)
			}
			p.Machine.Close(&stream.Error{Condition: condition}, time.Now())
			_ = p.End()
			<-l.Done()
			var ended *stream.Error
			if err := l.Err(); !errors.As(err, &ended) || ended.Condition != condition {
				t.Errorf("it gave up with %v", err)
			}
			if err := l.Send(t.Context(), stanza.New(stanza.Presence, stanza.Available, jid.JID{})); !errors.As(err, &ended) {
				t.Errorf("sent after the end: %v", err)
			}
			if _, err := l.IQ(t.Context(), romeo, stanza.Get, &ping.Ping{}); !errors.As(err, &ended) {
				t.Errorf("asked after the end: %v", err)
			}
			synctest.Wait()
			if !errors.As(lost, &ended) {
				t.Errorf("the stanza was lost with %v", lost)
			}
		})
	}
}
