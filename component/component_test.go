// SPDX-License-Identifier: Apache-2.0

package component_test

// How to read this file: what a component does when connections break and servers lie. What it does
// when all is well is the suite of internal/componenttest, which server/components runs at our server, and
// test/interop at others.

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/component"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/ping"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/stream"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

var juliet = jid.MustParse("juliet@d/x") //nolint:gochecknoglobals // a constant

func text(id string) *stanza.Stanza {
	s := stanza.Text(stanza.Chat, juliet, "hi")
	s.ID = []byte(id)
	return s
}

func send(t *testing.T, c *component.Component, ids ...string) {
	t.Helper()
	for _, id := range ids {
		if err := c.Send(limited(t), text(id)); err != nil {
			t.Fatal(err)
		}
	}
}

// What is sent while there is no connection leaves in order when there is one; what was on its way when
// it broke leaves again, first; what a fence has covered does not.
func TestResend(t *testing.T) {
	l := listen(t)
	c := l.start(nil)
	send(t, c, "1", "2")
	p := l.admit()
	p.expect(false, "id='1'", "from='sms.d'", "to='juliet@d/x'")
	p.expect(false, "id='2'")
	_ = p.conn.Close() // and nothing is known of 1 and 2
	send(t, c, "3")
	p = l.admit()
	for _, id := range []string{"1", "2", "3"} {
		p.expect(true, "id='"+id+"'")
	}
	flushed := make(chan error, 1)
	go func() { flushed <- c.Flush(limited(t)) }()
	go p.serve()
	if err := <-flushed; err != nil {
		t.Fatal(err)
	}
	_ = p.conn.Close()
	p = l.admit()
	send(t, c, "4")
	p.expect(true, "id='4'")
}

// Who wants nothing twice is told what became of it.
func TestAtMostOnce(t *testing.T) {
	l := listen(t)
	c := l.start(func(c *component.Config) { c.AtMostOnce = true })
	outcome := make(chan error, 2)
	if err := c.SendTaken(limited(t), text("1"), func(err error) { outcome <- err }); err != nil {
		t.Fatal(err)
	}
	asked := make(chan error, 1)
	p := l.admit()
	p.expect(false, "id='1'")
	go func() {
		_, err := c.IQ(limited(t), jid.JID{}, juliet, stanza.Get, &ping.Ping{})
		asked <- err
	}()
	p.expect(false, "<ping ")
	_ = p.conn.Close()
	if err := <-outcome; !errors.Is(err, component.ErrUnsure) {
		t.Errorf("message: %v", err)
	}
	if err := <-asked; !errors.Is(err, component.ErrUnsure) {
		t.Errorf("request: %v", err)
	}
	send(t, c, "2")
	l.admit().expect(true, "id='2'")
}

// The queue has bounds: who sends more waits, and then is told.
func TestFull(t *testing.T) {
	l := listen(t)
	c := l.start(func(c *component.Config) { c.QueueStanzas = 3 })
	send(t, c, "1", "2", "3")
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if err := c.Send(ctx, text("4")); !errors.Is(err, component.ErrFull) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
	if n := c.Waiting(); n != 3 {
		t.Errorf("%d wait", n)
	}
	room := make(chan error, 1)
	go func() { room <- c.Send(limited(t), text("5")) }()
	p := l.admit()
	p.expect(true, "id='1'")
	p.expect(true, "id='2'")
	p.expect(true, "id='3'")
	p.expect(true, "id='5'")
	if err := <-room; err != nil {
		t.Error(err)
	}

	bytes := l.config()
	bytes.QueueBytes = 200
	b, err := component.New(bytes)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close() //nolint:errcheck // what is left is meant to be
	send(t, b, "1", "2")
	if err := b.Send(ctx, text("3")); !errors.Is(err, component.ErrFull) {
		t.Errorf("bytes: %v", err)
	}
}

// No more than two windows are on their way unfenced: that is what a broken connection can make unsure.
func TestWindow(t *testing.T) {
	l := listen(t)
	c := l.start(func(c *component.Config) { c.FenceStanzas, c.FenceAfter = 3, time.Hour })
	for i := range 20 {
		send(t, c, fmt.Sprint(i))
	}
	p := l.admit()
	for i := range 3 {
		p.expect(false, fmt.Sprintf("id='%d'", i))
	}
	first := p.read()
	if !fenceID.MatchString(first) {
		t.Fatalf("read %q, want a fence", first)
	}
	for i := 3; i < 6; i++ {
		p.expect(false, fmt.Sprintf("id='%d'", i))
	}
	_ = p.conn.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
	if s := p.read(); s != "" {
		t.Fatalf("read %q beyond the window", s)
	}
	_ = p.conn.SetReadDeadline(time.Now().Add(patience))
	p.say(first)
	for i := 6; i < 20; i++ {
		p.expect(true, fmt.Sprintf("id='%d'", i))
	}
}

// What cannot be sent is refused where it is sent.
func TestUnsendable(t *testing.T) {
	l := listen(t)
	c := l.start(func(c *component.Config) { c.MaxStanza = 1000 })
	other := text("1")
	other.From = jid.MustParse("juliet@d")
	nobody := text("1")
	nobody.To = jid.JID{}
	for name, x := range map[string]struct {
		s    *stanza.Stanza
		want error
	}{
		"foreign":  {other, component.ErrAddress},
		"nobody":   {nobody, component.ErrAddress},
		"large":    {stanza.Text(stanza.Chat, juliet, strings.Repeat("x", 1000)), component.ErrSize},
		"not XML":  {stanza.New(stanza.Message, stanza.Chat, juliet, &stanza.Raw{Bytes: []byte("<a>")}), nil},
		"no child": {stanza.New(stanza.IQ, stanza.Get, juliet), nil},
	} {
		err := c.Send(t.Context(), x.s)
		if err == nil || x.want != nil && !errors.Is(err, x.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if c.Waiting() != 0 {
		t.Error("something is sent")
	}
	if _, err := c.IQ(t.Context(), jid.JID{}, juliet, stanza.Result, &ping.Ping{}); err == nil {
		t.Error("a result was asked")
	}
}

// What no further try would mend ends the component; the rest does not.
func TestFinal(t *testing.T) {
	for _, x := range []struct {
		condition stream.Condition
		before    bool // the handshake
		final     bool
	}{
		{stream.NotAuthorized, true, true}, {stream.HostUnknown, true, true}, {stream.InvalidNamespace, true, true},
		{stream.Conflict, true, false}, {stream.SystemShutdown, true, false},
		{stream.Conflict, false, true}, {stream.HostGone, false, true},
		{stream.SystemShutdown, false, false}, {stream.PolicyViolation, false, false}, {stream.NotAuthorized, false, false},
	} {
		t.Run(fmt.Sprint(x.condition, x.before), func(t *testing.T) {
			l := listen(t)
			config := l.config()
			config.CloseTime = patience
			c, err := component.New(config)
			if err != nil {
				t.Fatal(err)
			}
			ended := make(chan error, 1)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			go func() { ended <- c.Run(ctx) }()
			if x.before {
				p := l.accept()
				p.event()
				p.fail(x.condition)
			} else {
				l.admit().fail(x.condition)
			}
			if x.final {
				if err := <-ended; received(err) != x.condition || c.Err() != err {
					t.Errorf("%v, %v", err, c.Err())
				}
				if err := c.Send(t.Context(), text("1")); received(err) != x.condition {
					t.Errorf("sent: %v", err)
				}
				return
			}
			go l.admit().serve()
			cancel()
			if err := <-ended; err != nil {
				t.Error(err)
			}
		})
	}
}

// Connect tells the first failure, and nothing goes on.
func TestConnect(t *testing.T) {
	l := listen(t)
	config := l.config()
	config.Secret = "wrong"
	c, err := component.New(config)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		if p := l.accept(); p.event().Kind == stream.End {
			_ = p.conn.Close()
		}
	}()
	if err := c.Connect(limited(t)); received(err) != stream.NotAuthorized {
		t.Error(err)
	}
	<-c.Done()
	if c.Online() || c.Start() == nil {
		t.Error("it goes on")
	}
	_ = l.Close()
	if c, err = component.New(l.config()); err != nil {
		t.Fatal(err)
	}
	if err := c.Connect(limited(t)); err == nil {
		t.Error("connected to nothing")
	}
}

// A stanza because of which the server ends the stream is found and given up; those around it arrive.
func TestRejected(t *testing.T) {
	l := listen(t)
	c := l.start(nil)
	outcome := make(chan error, 3)
	for _, id := range []string{"1", "bad", "3"} {
		if err := c.SendTaken(limited(t), text(id), func(err error) { outcome <- err }); err != nil {
			t.Fatal(err)
		}
	}
	got := map[string]bool{}
	for !got["3"] {
		p := l.admit()
		for s := p.read(); s != ""; s = p.read() {
			if fenceID.MatchString(s) {
				p.say(s)
				continue
			}
			if strings.Contains(s, "id='bad'") {
				p.fail(stream.PolicyViolation)
				break
			}
			for _, id := range []string{"1", "3"} {
				got[id] = got[id] || strings.Contains(s, "id='"+id+"'")
			}
			if got["3"] {
				go p.serve()
				break
			}
		}
	}
	if err := <-outcome; err != nil {
		t.Errorf("the first: %v", err)
	}
	if err := <-outcome; !errors.Is(err, component.ErrRejected) {
		t.Errorf("the bad one: %v", err)
	}
}

// Requests whose answer the break may have lost: a get is asked again, a set is not.
func TestAnswerLost(t *testing.T) {
	l := listen(t)
	c := l.start(nil)
	p := l.admit()
	answers := make(chan error, 2)
	ask := func(typ stanza.Type) {
		_, err := c.IQ(limited(t), jid.JID{}, juliet, typ, &ping.Ping{})
		answers <- err
	}
	go ask(stanza.Set)
	p.expect(true, "type='set'")
	p.fence()
	go ask(stanza.Get)
	p.expect(true, "type='get'")
	p.fence()
	if err := c.Flush(limited(t)); err != nil {
		t.Fatal(err)
	}
	_ = p.conn.Close()
	p = l.admit()
	if err := <-answers; !errors.Is(err, component.ErrLost) {
		t.Errorf("set: %v", err)
	}
	p.expect(true, "type='get'", "to='juliet@d/x'")
	go p.serve()
	if err := c.Flush(limited(t)); err != nil {
		t.Error(err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if err := <-answers; !errors.Is(err, component.ErrClosed) {
		t.Errorf("get: %v", err)
	}
}

// A server that says nothing is asked, and left.
func TestSilent(t *testing.T) {
	l := listen(t)
	c := l.start(func(c *component.Config) { c.Keepalive, c.AnswerTime = time.Millisecond, 50*time.Millisecond })
	p := l.admit()
	p.fence() // it is asked although nothing is sent
	for p.read() != "" {
	}
	go l.serve() // where an answer takes too long, it comes again
	send(t, c, "1")
	if err := c.Flush(limited(t)); err != nil {
		t.Error(err)
	}
}

// Requests of ours are bounded, too.
func TestRequestsBounded(t *testing.T) {
	l := listen(t)
	c := l.start(func(c *component.Config) { c.Requests = 1 })
	p := l.admit()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan bool)
	go func() {
		defer close(done)
		_, _ = c.IQ(ctx, jid.JID{}, juliet, stanza.Get, &ping.Ping{})
	}()
	p.expect(true, "<ping")
	if _, err := c.IQ(limited(t), jid.JID{}, juliet, stanza.Get, &ping.Ping{}); !errors.Is(err, component.ErrFull) {
		t.Error(err)
	}
	cancel()
	<-done
}

// A configuration that cannot work is refused before anything is done.
func TestConfig(t *testing.T) {
	good := component.Config{Domain: jid.MustParse("sms.d"), Secret: "s", Address: "127.0.0.1:5347"}
	if _, err := component.New(good); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*component.Config){
		"no domain":   func(c *component.Config) { c.Domain = jid.JID{} },
		"an account":  func(c *component.Config) { c.Domain = juliet },
		"a resource":  func(c *component.Config) { c.Domain = jid.MustParse("sms.d/x") },
		"no secret":   func(c *component.Config) { c.Secret = "" },
		"no address":  func(c *component.Config) { c.Address = "" },
		"no port":     func(c *component.Config) { c.Address = "localhost" },
		"two servers": func(c *component.Config) { c.Host = host{} },
		"backoff":     func(c *component.Config) { c.BackoffMin = -1 },
	} {
		c := good
		change(&c)
		if _, err := component.New(c); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// host attaches nobody.
type host struct{}

func (host) Attach(jid.JID, func(*stanza.Stanza) error) (component.Attachment, error) {
	return nil, errors.New("no")
}

// What waits when a component is closed is answered, and what a handler still says is sent.
func TestClose(t *testing.T) {
	l := listen(t)
	c := l.start(func(c *component.Config) { c.CloseTime = patience })
	began, hold := make(chan bool), make(chan bool)
	c.Handle(stanza.Message, xmlstream.Name{}, func(ctx context.Context, s *stanza.Stanza) {
		close(began)
		<-hold
		_ = c.Send(ctx, text("last"))
	})
	p := l.admit()
	p.say("<message from='juliet@d/x' to='a@sms.d' id='1'/><message from='juliet@d/x' to='a@sms.d' id='2'/>")
	p.say("<iq from='romeo@d/x' to='a@sms.d' id='3' type='get'><ping xmlns='urn:xmpp:ping'/></iq>")
	<-began
	p.expect(true, "id='3'", "type='result'") // so that 2 has arrived
	closed := make(chan error, 1)
	go func() { closed <- c.Close() }()
	p.expect(true, "id='2'", "recipient-unavailable")
	close(hold)
	p.expect(true, "id='last'")
	p.serve()
	if err := <-closed; err != nil {
		t.Error(err)
	}
	if err := c.Send(t.Context(), text("1")); !errors.Is(err, component.ErrClosed) {
		t.Error(err)
	}
}
