// SPDX-License-Identifier: Apache-2.0

package registry_test

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stonechat-im/stonechat/internal/servertest"
	"github.com/stonechat-im/stonechat/module/registry"
	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/server/adhoc"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// How to read this file: a bed is a server with a registry, and in place of rosters, presence and messages the little of them
// that it needs; then what tests say to it.

type bed struct {
	*servertest.Server
	things *registry.Module
	config registry.Config

	mu        sync.Mutex
	relations []string
	owners    []string
	relating  func()   // called once, when something is about to be committed; nil: nobody
	watched   bool     // presence is brought to clients
	met       []string // whom the service was introduced to
}

// start makes a bed, with changes of the configuration.
func start(t *testing.T, change ...func(*registry.Config)) *bed {
	t.Helper()
	b := &bed{config: registry.Config{
		Host: "things", ThingsPerAccount: 10, ThingsPerOwner: 10, Tags: 20, KeyLength: 8, Groups: 3, NameBytes: 40,
		Page: 5, Operators: 4, Offset: 50, Scan: 100, AnswerWithin: 10 * time.Second, TellEvery: 10 * time.Minute, ClaimsPerHour: 5, GiveExpire: time.Hour,
		MessageBytes: 2000, AnswerBytes: 4000, MessagesPerMinute: 100,
	}}
	for _, c := range change {
		c(&b.config)
	}
	b.Server = servertest.Start(t, servertest.Options{Domains: []string{"d", "e"}, Modules: func() []server.Module {
		leader := adhoc.NewLeader(adhoc.Bounds{Sessions: 10, OfOne: 10, Expire: time.Minute}, func(int) {})
		b.things = registry.New(b.config, b, leader)
		b.things.OnOwner(b.passes)
		return []server.Module{basics{b}, b.things}
	}})
	return b
}

// Relate implements registry.Contacts.
func (b *bed) Relate(_ context.Context, relations []registry.Relation, ops ...store.Op) (*store.Pending, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if f := b.relating; f != nil {
		b.relating = nil
		f()
	}
	for _, r := range relations {
		s := fmt.Sprintf("%s-%s", r.Thing, r.Other)
		if r.Service {
			b.met = append(b.met, fmt.Sprintf("%s %s", r.Thing, r.Other))
			continue
		}
		if r.Friends {
			s = fmt.Sprintf("%s+%s", r.Thing, r.Other)
		}
		b.relations = append(b.relations, s)
	}
	return b.Disk.Commit(ops...), nil
}

// passes is what another module keeps of owners: it is committed, or not, with the rest.
func (b *bed) passes(thing jid.JID, node store.ThingNode, old, next jid.JID) []store.Op {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.owners = append(b.owners, fmt.Sprintf("%s%s:%s>%s", thing, node.ID, old, next))
	return nil
}

// saw compares what rosters and other modules were told since.
func (b *bed) saw(want ...string) {
	b.T.Helper()
	synctest.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	if got := append(b.relations, b.owners...); strings.Join(got, " ") != strings.Join(want, " ") {
		b.T.Errorf("saw  %q\nwant %q", got, want)
	}
	b.relations, b.owners = nil, nil
}

// basics are presence and messages.
type basics struct{ *bed }

func (basics) Name() string { return "basics" }

func (b basics) Init(h *server.Host) error {
	h.OnSent(server.Handle, func(t *server.Turn, s *stanza.Stanza) error {
		if s.Kind != stanza.Presence || !s.To.IsZero() {
			return nil
		}
		t.Origin.SetPresence(t, server.Presence{Available: s.Type == stanza.Available})
		return server.Handled
	})
	h.OnArriving(server.Handle, func(t *server.Turn, u *server.User, s *stanza.Stanza) error {
		if s.Kind != stanza.Message && (s.Kind != stanza.Presence || !b.watched) {
			return nil
		}
		t.Deliver(u, u.Sessions(nil), s, false)
		return server.Handled
	})
	return nil
}

// peer is a client that has come, with an account that is made if there is none.
func (b *bed) peer(address string) *servertest.Peer {
	b.T.Helper()
	full := jid.MustParse(address)
	if _, err := b.Disk.Account(b.T.Context(), full.Bare()); err != nil {
		b.Account(full.Bare().String())
	}
	p := b.Client(address)
	p.Send("<presence/>")
	return p
}

const ns = "xmlns='urn:xmpp:iot:discovery'"

var serial int

// asks sends a request to the service, and compares the answer, which is all that comes, by regular expressions.
func asks(p *servertest.Peer, typ, payload, want string) string {
	p.Server.T.Helper()
	return tells(p, "things."+p.Session.JID.Domain(), typ, payload, want)
}

func tells(p *servertest.Peer, to, typ, payload, want string) string {
	p.Server.T.Helper()
	serial++
	p.Send(fmt.Sprintf("<iq type='%s' id='q%d' to='%s'>%s</iq>", typ, serial, to, payload))
	for _, got := range p.Got() {
		if !strings.Contains(got, fmt.Sprintf("id='q%d'", serial)) {
			p.Server.T.Errorf("also got %s", got)
			continue
		}
		if !regexp.MustCompile(want).MatchString(got) {
			p.Server.T.Errorf("%s: %s\n got %s\nwant %s", p.Session.JID, payload, got, want)
		}
		return got
	}
	p.Server.T.Errorf("%s: %s is not answered", p.Session.JID, payload)
	return ""
}

// says tells the service something in words, and returns what it answers.
func says(p *servertest.Peer, text string) string {
	p.Server.T.Helper()
	p.Send("<message type='chat' to='things." + p.Session.JID.Domain() + "'><body>" + text + "</body></message>")
	for _, got := range p.Got() {
		if strings.HasPrefix(got, "<message") {
			_, body, _ := strings.Cut(got, "<body>")
			body, _, _ = strings.Cut(body, "</body>")
			return body
		}
	}
	return ""
}

// noted answers the one request that the service has sent, and returns it.
func noted(p *servertest.Peer) string {
	p.Server.T.Helper()
	var request string
	for _, got := range p.Got() {
		if strings.HasPrefix(got, "<iq") && strings.Contains(got, "type='set'") {
			id := regexp.MustCompile(`id='(\w+)'`).FindStringSubmatch(got)[1]
			from := regexp.MustCompile(`from='([^']+)'`).FindStringSubmatch(got)[1]
			p.Send(fmt.Sprintf("<iq type='result' id='%s' to='%s'/>", id, from))
			request += got
		}
	}
	return request
}

const (
	lampTags = "<str name='SN' value='1'/><str name='MAN' value='acme.example'/><num name='V' value='1.20'/><str name='KEY' value='secret-key-1'/>"
	lampCode = "IoTDisco;KEY:secret-key-1;SN:1;#V:1.2;man:acme.example"

	ok       = "type='result'/>$|type='result'></iq>$|^<iq [^>]*type='result'[^>]*/>$"
	notFound = "type='error'.*<error type='cancel'><item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>"
)

func register(tags string) string { return "<register " + ns + ">" + tags + "</register>" }
func mine(tags string) string     { return "<mine " + ns + ">" + tags + "</mine>" }

// kept is what is in the store of a thing.
func (b *bed) kept(account, node string) store.Thing {
	b.T.Helper()
	x, err := b.Disk.Thing(b.T.Context(), store.ThingName{JID: jid.MustParse(account), ThingNode: store.ThingNode{ID: node}})
	if err != nil {
		b.T.Fatal(err)
	}
	return x
}
