// SPDX-License-Identifier: Apache-2.0

//go:build linux

package scenario

import (
	"context"
	"fmt"
	"net"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/client"
	"github.com/stonechat-im/stonechat/thing"
	"github.com/stonechat-im/stonechat/xmpp/control"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/mam"
	"github.com/stonechat-im/stonechat/xmpp/pubsub"
	"github.com/stonechat-im/stonechat/xmpp/rsm"
	"github.com/stonechat-im/stonechat/xmpp/sensordata"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// person is somebody at a client, who writes and reads. Its methods fail the test where nothing comes in time.
type person struct {
	t      *testing.T
	own    jid.JID // bare
	client *client.Client
	reader *thing.Reader

	mu      sync.Mutex
	heard   []heard
	events  map[jid.JID]int       // of nodes, by whose account they are
	told    map[jid.JID]time.Time // when the last of these came
	found   []mam.Result          // what an archive has told
	samples []sample              // values that things have told as messages
	changed chan struct{}         // closed, and made again, for each
}

// heard is a message or a presence that came.
type heard struct {
	from jid.JID
	text string // of a presence its type
	at   time.Time
	used bool
}

// sample is a value that was told.
type sample struct {
	value     float64
	taken, at time.Time
}

// person logs one in who has an account already, until the test ends. Features are what the client says it can do.
func (s *server) person(own string, features ...string) *person {
	s.t.Helper()
	c := client.Config{Account: jid.MustParse(own), Password: password, Address: s.address, Features: features}
	c.Dial = func(ctx context.Context, _, address string) (net.Conn, error) { return s.within.Dial(ctx, address) }
	return login(s.t, c, s.authority())
}

// login logs somebody in at a server whose certificate is to be trusted.
func login(t *testing.T, c client.Config, authority string) *person {
	t.Helper()
	c.Caps = "urn:stonechat:scenario"
	if err := c.Trust(authority); err != nil {
		t.Fatal(err)
	}
	p := &person{t: t, own: c.Account, events: make(map[jid.JID]int), told: make(map[jid.JID]time.Time), changed: make(chan struct{})}
	var err error
	if p.client, err = client.New(c); err != nil {
		t.Fatal(err)
	}
	p.client.Handle(stanza.Message, xmlstream.Name{}, func(_ context.Context, m *stanza.Stanza) {
		fields, _ := thing.FieldsOf(m) // there are none in other messages
		p.mu.Lock()
		for _, f := range fields {
			p.samples = append(p.samples, sample{f.Value.Number(), f.Time, time.Now()})
		}
		p.mu.Unlock()
		p.hear(m.From, stanza.BodyOf(m))
	})
	p.reader = thing.NewReader(p.client)
	p.client.Handle(stanza.Presence, xmlstream.Name{}, func(ctx context.Context, m *stanza.Stanza) {
		p.reader.Presence(ctx, m)
		p.hear(m.From, "presence "+m.Type.String())
	})
	p.client.Handle(stanza.Message, (*pubsub.Event)(nil).XMLName(), func(_ context.Context, m *stanza.Stanza) {
		p.mu.Lock()
		defer p.mu.Unlock()
		who := m.From.Bare().Clone()
		p.events[who]++
		p.told[who] = time.Now()
	})
	p.client.Handle(stanza.Message, (*mam.Result)(nil).XMLName(), func(_ context.Context, m *stanza.Stanza) {
		var r mam.Result
		if _, err := m.Decode(&r); err != nil {
			return
		}
		r.Forwarded.Stanza = slices.Clone(r.Forwarded.Stanza)
		p.mu.Lock()
		defer p.mu.Unlock()
		p.found = append(p.found, r)
	})
	p.client.HandleErrors(func(_ context.Context, m *stanza.Stanza) {
		e := m.Refusal()
		p.hear(m.From, "error "+string(e.Condition)+" "+e.Text)
	})
	if err := p.client.Connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := p.client.Announce(t.Context(), client.Availability{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.client.Close() })
	return p
}

func (p *person) hear(from jid.JID, text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.heard = append(p.heard, heard{from: from.Clone(), text: text, at: time.Now()})
	close(p.changed)
	p.changed = make(chan struct{})
}

// say sends a chat message.
func (p *person) say(to, text string) {
	p.t.Helper()
	if err := p.client.Send(p.t.Context(), stanza.Text(stanza.Chat, jid.MustParse(to), text)); err != nil {
		p.t.Fatal(err)
	}
}

// hears waits for a message of somebody, by his bare address or by that of an occupant, that nobody has waited for before, and returns
// its submatches and when it came.
func (p *person) hears(from, pattern string) ([]string, time.Time) {
	p.t.Helper()
	m, at, err := p.await(from, pattern, patience)
	if err != nil {
		p.t.Fatal(err)
	}
	return m, at
}

func (p *person) await(from, pattern string, within time.Duration) ([]string, time.Time, error) {
	re := regexp.MustCompile(pattern)
	deadline := time.After(within)
	for {
		p.mu.Lock()
		for i := range p.heard {
			h := &p.heard[i]
			if m := re.FindStringSubmatch(h.text); !h.used && (h.from.Bare().String() == from || h.from.String() == from) && m != nil {
				h.used = true
				p.mu.Unlock()
				return m, h.at, nil
			}
		}
		changed := p.changed
		p.mu.Unlock()
		select {
		case <-changed:
		case <-deadline:
			return nil, time.Time{}, fmt.Errorf("%s does not hear %q from %s; it has heard:\n%s", p.own, pattern, from, p.transcript())
		}
	}
}

func (p *person) transcript() (s string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, h := range p.heard {
		s += fmt.Sprintf("%s %s: %s\n", h.at.Format("15:04:05.000"), h.from, h.text)
	}
	return s
}

// asks sends a chat message and returns what the answer has, and how long it took.
func (p *person) asks(to, text, pattern string) ([]string, time.Duration) {
	p.t.Helper()
	began := time.Now()
	p.say(to, text)
	m, at := p.hears(to, pattern)
	return m, at.Sub(began)
}

// reads asks a thing by XEP-0323 for fields, or for all, and returns the names of those that came, in order, and which of the thing's
// sessions told them.
func (p *person) reads(of string, names ...string) (fields string, at jid.JID, err error) {
	ctx, cancel := context.WithTimeout(p.t.Context(), patience)
	defer cancel()
	answer, err := p.reader.Read(ctx, jid.MustParse(of), sensordata.Request{Categories: sensordata.All &^ sensordata.Historical, Names: names})
	if err != nil {
		return "", jid.JID{}, err
	}
	var list []string
	for _, f := range answer.Fields() {
		list = append(list, f.Name)
	}
	slices.Sort(list)
	return strings.Join(slices.Compact(list), " "), answer.From, nil
}

// sets sets a boolean parameter by XEP-0325.
func (p *person) sets(of, name string, value bool) error {
	ctx, cancel := context.WithTimeout(p.t.Context(), patience)
	defer cancel()
	_, err := p.reader.Set(ctx, jid.MustParse(of), &control.Set{Parameters: []control.Parameter{
		{Name: name, Type: control.TypeBoolean, Value: fmt.Sprint(value)},
	}})
	return err
}

// follows subscribes to what a thing publishes of a field.
func (p *person) follows(of, field string) error {
	_, err := p.client.IQ(p.t.Context(), jid.MustParse(of), stanza.Set, &pubsub.Request{Subscribe: &pubsub.Subscription{Node: thing.NodeOf(field), JID: p.own}})
	return err
}

// published is how much somebody was told of what a thing publishes, and when last.
func (p *person) published(of string) (int, time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	who := jid.MustParse(of)
	return p.events[who], p.told[who]
}

// finds reads an archive, "" for his own, from its beginning, and returns the messages in it.
func (p *person) finds(in string) (all []*stanza.Stanza) {
	p.t.Helper()
	var of jid.JID
	if in != "" {
		of = jid.MustParse(in)
	}
	for after := ""; ; {
		p.mu.Lock()
		p.found = nil
		p.mu.Unlock()
		most := 100
		var fin mam.Fin
		answer, err := p.client.IQ(p.t.Context(), of, stanza.Set, &mam.Query{QueryID: "q", Set: &rsm.Set{Max: &most, After: after}})
		if err == nil {
			_, err = answer.Decode(&fin)
		}
		if err != nil {
			p.t.Fatal(err)
		}
		var page []mam.Result
		until(p.t, "the archive's page", func() bool {
			p.mu.Lock()
			defer p.mu.Unlock()
			page = p.found
			return fin.Set.Last == "" || len(page) > 0 && page[len(page)-1].ID == fin.Set.Last
		})
		for _, r := range page {
			m, err := stanza.Parse(r.Forwarded.Stanza)
			if err != nil {
				p.t.Fatal(err)
			}
			after, all = r.ID, append(all, m)
		}
		if fin.Complete || len(page) == 0 {
			return all
		}
	}
}

// refused fails the test unless an error is the refusal of a server or a thing.
func refused(t *testing.T, what string, err error) {
	t.Helper()
	if _, ok := stanza.AsError(err); !ok {
		t.Errorf("%s is not refused: %v", what, err)
	}
}

// until calls f until it is done, and returns how long that took.
func until(t *testing.T, what string, f func() bool) time.Duration {
	t.Helper()
	began := time.Now()
	for !f() {
		if time.Since(began) > patience {
			t.Fatalf("%s does not come", what)
		}
		<-time.After(time.Millisecond)
	}
	return time.Since(began)
}
