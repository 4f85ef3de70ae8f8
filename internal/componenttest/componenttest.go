// SPDX-License-Identifier: Apache-2.0

// Package componenttest is the suite that a component passes wherever it is attached: in the process of a
// server, at a socket of ours, at servers of others. Two components talk to each other there.
package componenttest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/component"
	"github.com/stonechat-im/stonechat/xmpp/disco"
	"github.com/stonechat-im/stonechat/xmpp/form"
	"github.com/stonechat-im/stonechat/xmpp/gateway"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/ping"
	"github.com/stonechat-im/stonechat/xmpp/register"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/version"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// patience is for what should come at once, on a machine that has much else to do.
const patience = 60 * time.Second

// bed is two components of one server.
type bed struct {
	t       *testing.T
	ctx     context.Context
	gateway *component.Component // that is looked at
	guest   *component.Component // who looks
	heard   chan *stanza.Stanza  // what comes to the guest, but requests
	user    jid.JID              // of the guest
}

// Run runs the suite. configure gives the configuration of each of two components.
func Run(t *testing.T, configure func(t *testing.T) (gateway, guest component.Config)) {
	for _, c := range []struct {
		name string
		test func(*bed)
	}{
		{"messages", testMessages}, {"order", testOrder}, {"requests", testRequests}, {"discovery", testDiscovery},
		{"contacts", testContacts}, {"registration", testRegistration}, {"names", testNames}, {"panic", testPanic}, {"nobody", testNobody},
		{"flood", testFlood},
	} {
		t.Run(c.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			g, u := configure(t)
			g.Identity, g.Version = disco.Identity{Category: "gateway", Type: "weather", Name: "Weather"}, "1.0"
			b := &bed{t: t, ctx: ctx, heard: make(chan *stanza.Stanza, 10_000)}
			b.gateway, b.guest = b.make(g), b.make(u)
			b.user, _ = jid.New("juliet", u.Domain.Domain(), "balcony")
			hear := func(_ context.Context, s *stanza.Stanza) { b.heard <- s }
			b.guest.Handle(stanza.Message, xmlstream.Name{}, hear)
			b.guest.Handle(stanza.Presence, xmlstream.Name{}, hear)
			b.guest.HandleErrors(hear)
			b.connect(b.guest)
			c.test(b)
			for _, x := range []*component.Component{b.gateway, b.guest} {
				if err := x.Close(); err != nil {
					t.Errorf("%s: %v", x.Domain(), err)
				}
			}
		})
	}
}

func (b *bed) make(config component.Config) *component.Component {
	b.t.Helper()
	c, err := component.New(config)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { _ = c.Close() })
	return c
}

func (b *bed) connect(c *component.Component) {
	b.t.Helper()
	if err := c.Connect(b.ctx); err != nil {
		b.t.Fatal(err)
	}
}

// at is an address of the gateway.
func (b *bed) at(name string) jid.JID {
	j, err := jid.New(name, b.gateway.Domain().Domain(), "")
	if err != nil {
		b.t.Fatal(err)
	}
	return j
}

func (b *bed) send(c *component.Component, from jid.JID, s *stanza.Stanza) {
	b.t.Helper()
	s.From = from
	if err := c.Send(b.ctx, s); err != nil {
		b.t.Fatal(err)
	}
}

// wait waits until c is closed, or the component is.
func (*bed) wait(ctx context.Context, c <-chan bool) {
	select {
	case <-c:
	case <-ctx.Done():
	}
}

func (b *bed) hear() *stanza.Stanza {
	b.t.Helper()
	select {
	case s := <-b.heard:
		return s
	case <-b.ctx.Done():
		b.t.Fatal("nothing comes")
		return nil
	}
}

func (b *bed) hears(kind stanza.Kind, typ stanza.Type, from jid.JID) *stanza.Stanza {
	b.t.Helper()
	s := b.hear()
	if s.Kind != kind || s.Type != typ || s.From != from {
		b.t.Fatalf("heard %s, want %s of type %s from %s", s.Append(nil, ""), kind, typ, from)
	}
	return s
}

// refused checks that err is what a peer says.
func (b *bed) refused(err error, want stanza.Condition) {
	b.t.Helper()
	var e *stanza.Error
	if !errors.As(err, &e) || e.Condition != want {
		b.t.Errorf("%v, want %s", err, want)
	}
}

// Messages go both ways, from and to any address, and the server is known to have taken them.
func testMessages(b *bed) {
	b.gateway.Handle(stanza.Message, xmlstream.Name{}, func(ctx context.Context, s *stanza.Stanza) {
		answer := stanza.Text(s.Type, s.From, "echo "+stanza.BodyOf(s))
		answer.From = s.To
		_ = b.gateway.Send(ctx, answer)
	})
	b.connect(b.gateway)
	for _, text := range []string{"hello", `<b>"1" & '2'</b> ]]> &amp;`, "Grüße 🌹"} {
		b.send(b.guest, b.user, stanza.Text(stanza.Chat, b.at("london"), text))
		if s := b.hears(stanza.Message, stanza.Chat, b.at("london")); stanza.BodyOf(s) != "echo "+text || s.To != b.user {
			b.t.Errorf("heard %s", s.Append(nil, ""))
		}
	}
	if err := b.guest.Flush(b.ctx); err != nil || b.guest.Waiting() != 0 {
		b.t.Error(err, b.guest.Waiting())
	}
	taken := make(chan error, 1)
	s := stanza.Text(stanza.Chat, b.at("london"), "last")
	s.From = b.user
	if err := b.guest.SendTaken(b.ctx, s, func(err error) { taken <- err }); err != nil {
		b.t.Fatal(err)
	}
	if err := <-taken; err != nil {
		b.t.Error(err)
	}
}

// Each sender's stanzas are handled in order, and one who is handled slowly delays no other.
func testOrder(b *bed) {
	const n = 300
	var mu sync.Mutex
	got := map[string][]string{}
	all, quick, hold := make(chan bool, 3*n), make(chan bool), make(chan bool)
	b.gateway.Handle(stanza.Message, xmlstream.Name{}, func(ctx context.Context, s *stanza.Stanza) {
		switch s.From.Local() {
		case "slow":
			b.wait(ctx, hold)
		case "quick":
			close(quick)
			return
		}
		mu.Lock()
		got[s.From.Local()] = append(got[s.From.Local()], string(s.ID))
		mu.Unlock()
		all <- true
	})
	b.connect(b.gateway)
	from := func(name string) jid.JID {
		j, _ := jid.New(name, b.guest.Domain().Domain(), "x")
		return j
	}
	var want []string
	for i := range n {
		for _, name := range []string{"slow", "a", "b"} {
			s := stanza.Text(stanza.Chat, b.at("london"), "x")
			s.ID = fmt.Append(nil, i)
			b.send(b.guest, from(name), s)
		}
		want = append(want, fmt.Sprint(i))
	}
	b.send(b.guest, from("quick"), stanza.Text(stanza.Chat, b.at("london"), "x"))
	select {
	case <-quick:
	case <-b.ctx.Done():
		b.t.Fatal("one waits for another")
	}
	close(hold)
	for range 3 * n {
		select {
		case <-all:
		case <-b.ctx.Done():
			b.t.Fatal("not all is handled")
		}
	}
	for _, name := range []string{"slow", "a", "b"} {
		if !slices.Equal(got[name], want) {
			b.t.Errorf("%s: %v", name, got[name])
		}
	}
}

// Requests are answered, once, whatever comes of them.
func testRequests(b *bed) {
	component.Answer(b.gateway, stanza.Get, func(_ context.Context, s *stanza.Stanza, _ *form.Form) (stanza.Payload, error) {
		switch s.To.Local() {
		case "no":
			return nil, stanza.Forbidden.Err("")
		case "broken":
			return nil, errors.New("the disk is on fire")
		case "asks":
			q := new(version.Query)
			if err := b.gateway.Ask(b.ctx, s.To, s.From, &version.Query{}, q); err != nil {
				return nil, err
			}
			return q, nil
		}
		return &form.Form{Type: form.Result, Title: s.To.Local()}, nil
	})
	component.Answer(b.guest, stanza.Get, func(context.Context, *stanza.Stanza, *version.Query) (stanza.Payload, error) {
		return &version.Query{Name: "guest", Version: "7"}, nil
	})
	b.connect(b.gateway)
	asked := &form.Form{Type: form.Ask}
	got := new(form.Form)
	if err := b.guest.Ask(b.ctx, b.user, b.at("london"), asked, got); err != nil || got.Title != "london" {
		b.t.Error(err, got.Title)
	}
	_, err := b.guest.IQ(b.ctx, b.user, b.at("no"), stanza.Get, asked)
	b.refused(err, stanza.Forbidden)
	_, err = b.guest.IQ(b.ctx, b.user, b.at("broken"), stanza.Get, asked)
	b.refused(err, stanza.InternalServerError)
	_, err = b.guest.IQ(b.ctx, b.user, b.at("london"), stanza.Set, asked)
	b.refused(err, stanza.ServiceUnavailable)
	v := new(version.Query)
	if err := b.guest.Ask(b.ctx, b.user, b.at("asks"), asked, v); err != nil || v.Version != "7" {
		b.t.Error(err, v)
	}
	short, cancel := context.WithCancel(b.ctx)
	cancel()
	if _, err := b.guest.IQ(short, b.user, b.at("london"), stanza.Get, asked); !errors.Is(err, context.Canceled) {
		b.t.Error(err)
	}
}

// What the gateway is, is found without a line of its program.
func testDiscovery(b *bed) {
	b.gateway.HandleIQ(stanza.Set, xmlstream.Name{Space: "urn:example:lamp", Local: "on"}, func(context.Context, *stanza.Stanza) (stanza.Payload, error) {
		return nil, nil
	})
	b.connect(b.gateway)
	info := new(disco.Info)
	if err := b.guest.Ask(b.ctx, b.user, b.gateway.Domain(), &disco.Info{}, info); err != nil {
		b.t.Fatal(err)
	}
	if !info.Is("gateway", "weather") || !info.Has(disco.NSInfo) || !info.Has(disco.NSItems) || !info.Has(ping.NS) ||
		!info.Has(version.NS) || !info.Has("urn:example:lamp") {
		b.t.Errorf("%+v", info)
	}
	b.refused(b.guest.Ask(b.ctx, b.user, b.gateway.Domain(), &disco.Info{Node: "x"}, info), stanza.ItemNotFound)
	items := &disco.Items{Items: []disco.Item{{}}}
	if err := b.guest.Ask(b.ctx, b.user, b.gateway.Domain(), &disco.Items{}, items); err != nil || len(items.Items) != 0 {
		b.t.Error(err, items)
	}
	v := new(version.Query)
	if err := b.guest.Ask(b.ctx, b.user, b.at("london"), &version.Query{}, v); err != nil || *v != (version.Query{Name: "Weather", Version: "1.0"}) {
		b.t.Error(err, v)
	}
	if _, err := b.guest.IQ(b.ctx, b.user, b.at("london"), stanza.Get, &ping.Ping{}); err != nil {
		b.t.Error(err)
	}
}

// A subscription is granted or not, and who has it is shown presence.
func testContacts(b *bed) {
	gone := make(chan jid.JID, 1)
	b.gateway.HandleContacts(component.Contacts{
		Allow: func(_ context.Context, user, contact jid.JID) bool {
			return user == b.user.Bare() && contact != b.at("secret")
		},
		Presence: func(_ context.Context, _, contact jid.JID) component.Presence {
			return component.Presence{Show: "dnd", Status: "1 < 2, " + contact.Local()}
		},
		Gone: func(_ context.Context, _, contact jid.JID) { gone <- contact },
	})
	b.connect(b.gateway)
	london := b.at("london")
	b.send(b.guest, b.user.Bare(), stanza.New(stanza.Presence, stanza.Subscribe, b.at("secret")))
	b.hears(stanza.Presence, stanza.Unsubscribed, b.at("secret"))
	b.send(b.guest, b.user.Bare(), stanza.New(stanza.Presence, stanza.Subscribe, london))
	b.hears(stanza.Presence, stanza.Subscribed, london)
	b.hears(stanza.Presence, stanza.Available, london)
	b.send(b.guest, b.user, stanza.New(stanza.Presence, stanza.Probe, london))
	s := b.hears(stanza.Presence, stanza.Available, london)
	show, status := s.Find(stanza.NSClient, "show"), s.Find(stanza.NSClient, "status")
	if s.To != b.user || show < 0 || s.Reader(show).Text() != "dnd" || status < 0 || s.Reader(status).Text() != "1 < 2, london" {
		b.t.Errorf("shown %s", s.Append(nil, ""))
	}
	b.send(b.guest, b.user.Bare(), stanza.New(stanza.Presence, stanza.Unsubscribe, london))
	b.hears(stanza.Presence, stanza.Unsubscribed, london)
	b.hears(stanza.Presence, stanza.Unavailable, london)
	if contact := <-gone; contact != london {
		b.t.Errorf("%s is gone", contact)
	}
}

// book is a gateway's people.
type book struct {
	mu    sync.Mutex
	users map[jid.JID]string
}

func (k *book) Form(_ context.Context, user jid.JID) (*register.Query, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	name, ok := k.users[user]
	return &register.Query{Registered: ok, Instructions: "Your name there?", Fields: []register.Field{{Name: register.Username, Value: name}}}, nil
}

func (k *book) Register(_ context.Context, user jid.JID, q *register.Query) error {
	name := q.Answer(register.Username)
	if name == "" {
		return stanza.NotAcceptable.Err("a name is needed")
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.users[user] = name
	return nil
}

func (k *book) Remove(_ context.Context, user jid.JID) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.users, user)
	return nil
}

// People register with a gateway, which then wants to see them, and leave it.
func testRegistration(b *bed) {
	b.gateway.HandleRegistration(&book{users: make(map[jid.JID]string)})
	b.connect(b.gateway)
	domain := b.gateway.Domain()
	ask := func() *register.Query {
		q := new(register.Query)
		if err := b.guest.Ask(b.ctx, b.user, domain, &register.Query{}, q); err != nil {
			b.t.Fatal(err)
		}
		return q
	}
	fill := func(q *register.Query) error {
		_, err := b.guest.IQ(b.ctx, b.user, domain, stanza.Set, q)
		return err
	}
	if q := ask(); q.Registered || q.Instructions == "" {
		b.t.Errorf("%+v", q)
	}
	b.refused(fill(&register.Query{Fields: []register.Field{{Name: register.Username}}}), stanza.NotAcceptable)
	if err := fill(&register.Query{Fields: []register.Field{{Name: register.Username, Value: "jule"}}}); err != nil {
		b.t.Fatal(err)
	}
	b.hears(stanza.Presence, stanza.Subscribe, domain)
	if q := ask(); !q.Registered || q.Answer(register.Username) != "jule" {
		b.t.Errorf("%+v", q)
	}
	_, err := b.guest.IQ(b.ctx, b.user, b.at("london"), stanza.Get, &register.Query{})
	b.refused(err, stanza.ServiceUnavailable)
	if err := fill(&register.Query{Remove: true}); err != nil {
		b.t.Fatal(err)
	}
	b.hears(stanza.Presence, stanza.Unsubscribe, domain)
	b.hears(stanza.Presence, stanza.Unsubscribed, domain)
	b.hears(stanza.Presence, stanza.Unavailable, domain)
	if q := ask(); q.Registered {
		b.t.Errorf("%+v", q)
	}
}

// Names on the other side become addresses here; what is no name is refused.
func testNames(b *bed) {
	b.gateway.HandleNames(component.Names{Prompt: "Place", Description: "Whose weather?"})
	b.connect(b.gateway)
	domain := b.gateway.Domain()
	ask := func(to jid.JID, t stanza.Type, q *gateway.Query) (*gateway.Query, error) {
		answer, err := b.guest.IQ(b.ctx, b.user, to, t, q)
		if err != nil {
			return nil, err
		}
		got := new(gateway.Query)
		if found, err := answer.Decode(got); !found || err != nil {
			b.t.Fatalf("no answer: %v", err)
		}
		return got, nil
	}
	if q, err := ask(domain, stanza.Get, &gateway.Query{}); err != nil || *q != (gateway.Query{Prompt: "Place", Description: "Whose weather?"}) {
		b.t.Errorf("%+v, %v", q, err)
	}
	for name, want := range map[string]string{"london": "london@", " King's Lynn ": `king\27s\20lynn@`} {
		if q, err := ask(domain, stanza.Set, &gateway.Query{Prompt: name}); err != nil || q.JID != want+domain.String() {
			b.t.Errorf("%s: %+v, %v", name, q, err)
		}
	}
	for name, condition := range map[string]stanza.Condition{" ": stanza.BadRequest, strings.Repeat("x", 1024): stanza.NotAcceptable} {
		_, err := ask(domain, stanza.Set, &gateway.Query{Prompt: name})
		b.refused(err, condition)
	}
	_, err := ask(b.at("london"), stanza.Set, &gateway.Query{Prompt: "paris"})
	b.refused(err, stanza.ServiceUnavailable)
	_, err = ask(b.at("london"), stanza.Get, &gateway.Query{})
	b.refused(err, stanza.ServiceUnavailable)
}

// A handler that panics costs its stanza, and is no secret to its sender.
func testPanic(b *bed) {
	b.gateway.Handle(stanza.Message, xmlstream.Name{}, func(context.Context, *stanza.Stanza) { panic("message") })
	b.gateway.HandleIQ(stanza.Get, (&form.Form{}).XMLName(), func(context.Context, *stanza.Stanza) (stanza.Payload, error) {
		panic("request")
	})
	b.connect(b.gateway)
	for range 3 {
		b.send(b.guest, b.user, stanza.Text(stanza.Chat, b.at("london"), "x"))
		if s := b.hears(stanza.Message, stanza.TypeError, b.at("london")); s.Refusal().Condition != stanza.InternalServerError {
			b.t.Errorf("%v", s.Refusal())
		}
		_, err := b.guest.IQ(b.ctx, b.user, b.at("london"), stanza.Get, &form.Form{Type: form.Ask})
		b.refused(err, stanza.InternalServerError)
	}
}

// What nobody handles comes back, once: errors are never answered.
func testNobody(b *bed) {
	b.connect(b.gateway)
	b.send(b.guest, b.user, stanza.New(stanza.Message, stanza.TypeError, b.at("london"), stanza.Gone.Err("")))
	b.send(b.guest, b.user, stanza.New(stanza.Message, stanza.Headline, b.at("london"), stanza.Body("x")))
	b.send(b.guest, b.user, stanza.New(stanza.Presence, stanza.Available, b.at("london")))
	b.send(b.guest, b.user, stanza.New(stanza.Presence, stanza.Subscribe, b.at("london")))
	b.hears(stanza.Presence, stanza.Unsubscribed, b.at("london"))
	b.send(b.guest, b.user, stanza.Text(stanza.Chat, b.at("london"), "x"))
	if s := b.hears(stanza.Message, stanza.TypeError, b.at("london")); s.Refusal().Condition != stanza.ServiceUnavailable {
		b.t.Errorf("%v", s.Refusal())
	}
}

// Who sends more than is handled is refused beyond a bound, and keeps nobody else waiting.
func testFlood(b *bed) {
	hold := make(chan bool)
	b.gateway.Handle(stanza.Message, xmlstream.Name{}, func(ctx context.Context, _ *stanza.Stanza) { b.wait(ctx, hold) })
	b.connect(b.gateway)
	const bound, more = 500, 20 // Config.SenderStanzas
	for range bound + 1 + more {
		b.send(b.guest, b.user, stanza.Text(stanza.Chat, b.at("london"), "x"))
	}
	for range more {
		if s := b.hears(stanza.Message, stanza.TypeError, b.at("london")); s.Refusal().Condition != stanza.ResourceConstraint {
			b.t.Errorf("%v", s.Refusal())
		}
	}
	other, _ := jid.New("romeo", b.guest.Domain().Domain(), "")
	if _, err := b.guest.IQ(b.ctx, other, b.gateway.Domain(), stanza.Get, &ping.Ping{}); err != nil {
		b.t.Error(err)
	}
	close(hold)
}
