// SPDX-License-Identifier: Apache-2.0

package presence_test

import (
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/stonechat-im/stonechat/internal/servertest"
	"github.com/stonechat-im/stonechat/module/presence"
	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// contacts are rosters in which friend@d sees everybody.
type contacts struct{}

func (contacts) Ready(*server.User) bool                                            { return true }
func (contacts) Count(*server.User) int                                             { return 0 }
func (contacts) Each(*server.User) []store.RosterItem                               { return nil }
func (contacts) Asking(*server.User) (func(), error)                                { return func() {}, nil }
func (contacts) Interested(_ *server.User, dst []*server.Session) []*server.Session { return dst }

func (contacts) Item(_ *server.User, contact jid.JID) (store.RosterItem, error) {
	it := store.RosterItem{Contact: contact}
	if contact.String() == "friend@d" {
		it.Subscription = store.SubscriptionFrom
	}
	return it, nil
}

func (contacts) Update(*server.User, jid.JID, func(*store.RosterItem) bool) (*store.Pending, error) {
	return store.Resolved(nil), nil
}

// place takes what a service is told.
type place struct{ got []string }

func (*place) Present() bool { return true }
func (p *place) Take(_ *server.Turn, s *stanza.Stanza) error {
	p.got = append(p.got, string(s.Append(nil, "")))
	return nil
}

// deliverer brings requests that were let through to sessions.
type deliverer struct{}

func (deliverer) Name() string { return "deliverer" }
func (deliverer) Init(h *server.Host) error {
	h.OnArriving(server.Handle, func(t *server.Turn, u *server.User, s *stanza.Stanza) error {
		if s.Kind != stanza.IQ {
			return nil
		}
		t.Deliver(u, t.Named(u, s.To.Resource()), s, false)
		return server.Handled
	})
	return nil
}

// TestTrust: a service that is trusted may ask sessions without seeing them, as long as it is; nobody else, nor may it do anything more.
func TestTrust(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var trusted, admits atomic.Bool
		trusted.Store(true)
		asked := make(map[string]bool)
		s := servertest.Start(t, servertest.Options{Modules: func() []server.Module {
			m := presence.New(presence.Config{Directed: 10, RequestBytes: 1000}, 0, contacts{})
			m.Trust(func(from jid.JID) bool {
				asked[from.String()] = true
				return trusted.Load() && from.String() == "things.d"
			})
			m.Admit(func(_ *server.Turn, u *server.User, s *stanza.Stanza) bool {
				return admits.Load() && u.JID.String() == "juliet@d" && s.From.Bare().String() == "romeo@d"
			})
			return []server.Module{m, deliverer{}}
		}})
		at := new(place)
		for _, domain := range []string{"things.d", "other.d", "x"} {
			if _, err := s.Attach(domain, at); err != nil {
				t.Fatal(err)
			}
		}
		for _, a := range []string{"juliet@d", "friend@d", "romeo@d"} {
			s.Account(a)
		}
		juliet := s.Client("juliet@d/j")
		juliet.Send("<presence/>")
		juliet.Got()
		asks := func(from string, kind stanza.Kind, typ stanza.Type) (came bool) {
			t.Helper()
			at.got = nil
			st := stanza.New(kind, typ, jid.MustParse("juliet@d/j"))
			st.From, st.ID = jid.MustParse(from), []byte("q")
			turn := s.NewTurn()
			turn.Route(st)
			turn.End()
			got := strings.Join(juliet.Got(), "")
			return strings.Contains(got, "from='"+from+"'")
		}
		for _, test := range []struct {
			from string
			want bool
		}{
			{"things.d", true}, {"things.d/x", false}, {"registry@things.d", false}, {"other.d", false}, {"stranger@x", false},
			{"friend@d", true}, {"friend@d/f", true}, {"romeo@d/r", false}, {"juliet@d/k", true},
		} {
			for _, typ := range []stanza.Type{stanza.Get, stanza.Set} {
				if got := asks(test.from, stanza.IQ, typ); got != test.want {
					t.Errorf("%s may ask her %s: %v", test.from, typ, got)
				}
				if refused := strings.Contains(strings.Join(at.got, ""), "<service-unavailable"); !test.want && refused != (jid.MustParse(test.from).Domain() != "d") {
					t.Errorf("%s is refused: %v, %q", test.from, refused, at.got)
				}
			}
		}
		if asked["friend@d"] || asked["juliet@d/k"] {
			t.Error("who sees her need not be trusted")
		}
		// It is told no more than others of whether she is there.
		for _, typ := range []stanza.Type{stanza.Probe, stanza.Subscribe} {
			asks("things.d", stanza.Presence, typ)
			if got := strings.Join(at.got, ""); strings.Contains(got, "from='juliet@d/j'") || typ == stanza.Probe && !strings.Contains(got, "type='unsubscribed'") {
				t.Errorf("%s: %q", typ, got)
			}
		}
		// Taken back, it is as if it had never been.
		trusted.Store(false)
		if asks("things.d", stanza.IQ, stanza.Get) || !strings.Contains(strings.Join(at.got, ""), "<service-unavailable") {
			t.Errorf("trusted still: %q", at.got)
		}
		// Who is admitted for a request is for that account.
		admits.Store(true)
		if !asks("romeo@d/r", stanza.IQ, stanza.Get) || asks("stranger@x", stanza.IQ, stanza.Get) {
			t.Error("not who is to be admitted")
		}
		admits.Store(false)
		if asks("romeo@d/r", stanza.IQ, stanza.Get) {
			t.Error("admitted still")
		}
	})
}

// TestNobodyTrusted: where nobody is, nobody may.
func TestNobodyTrusted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := servertest.Start(t, servertest.Options{Modules: func() []server.Module {
			return []server.Module{presence.New(presence.Config{Directed: 10, RequestBytes: 1000}, 0, contacts{}), deliverer{}}
		}})
		at := new(place)
		if _, err := s.Attach("things.d", at); err != nil {
			t.Fatal(err)
		}
		s.Account("juliet@d")
		juliet := s.Client("juliet@d/j")
		st := stanza.New(stanza.IQ, stanza.Get, jid.MustParse("juliet@d/j"))
		st.From, st.ID = jid.MustParse("things.d"), []byte("q")
		turn := s.NewTurn()
		turn.Route(st)
		turn.End()
		juliet.Gets()
		if !strings.Contains(strings.Join(at.got, ""), "<service-unavailable") {
			t.Errorf("%q", at.got)
		}
	})
}
