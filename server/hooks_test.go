// SPDX-License-Identifier: Apache-2.0

package server

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

type stanzaOf = stanza.Stanza

func errOr(err, otherwise error) error {
	if err != nil {
		return err
	}
	return otherwise
}

// hooked is a module made of its Init.
type hooked struct {
	name string
	init func(*Host)
}

func (m *hooked) Name() string { return m.name }
func (m *hooked) Init(h *Host) error {
	m.init(h)
	return nil
}

// TestHookOrder: by phase, then by the order of the modules; Handled ends its phase only, but before that it ends all; a
// rejection ends the way, an observer cannot. What the sender is
// told of it is seen by the observers of its account.
func TestHookOrder(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		var saw []string
		module := func(name string) Module {
			return &hooked{name, func(h *Host) {
				for _, p := range []Phase{Observe, Handle, Rewrite, Guard} {
					verdict := func(where string, s *stanza.Stanza) error {
						saw = append(saw, fmt.Sprintf("%s%s%d", where, name, p))
						switch what := string(s.ID); {
						case p == Observe:
							return errors.New("nobody listens to an observer")
						case what == fmt.Sprintf("%shandle%s", where, name) && p == Handle:
							return Handled
						case what == fmt.Sprintf("%stake%s", where, name) && p == Guard:
							return Handled
						case what == fmt.Sprintf("%sreject%s", where, name) && p == Guard:
							return stanza.Forbidden.Err("")
						case what == fmt.Sprintf("%sfail%s", where, name) && p == Rewrite:
							return errors.New("secret")
						}
						return nil
					}
					h.OnSent(p, func(_ *Turn, s *stanza.Stanza) error { return verdict("s", s) })
					h.OnArriving(p, func(_ *Turn, _ *User, s *stanza.Stanza) error { return verdict("a", s) })
				}
			}}
		}
		b := newBench(t, DefaultLimits(), "a b", module("A"), module("B"))
		a, r := b.online("a/1"), b.online("b/1")
		for _, c := range []struct{ id, saw, told string }{
			{"1", "sA0 sB0 sA1 sB1 sA2 sB2 sA3 sB3 aA0 aB0 aA1 aB1 aA2 aB2 aA3 aB3", ""},
			{"shandleA", "sA0 sB0 sA1 sB1 sA2 sA3 sB3", ""},
			{"stakeA", "sA0", ""},
			{"atakeB", "sA0 sB0 sA1 sB1 sA2 sB2 sA3 sB3 aA0 aB0", ""},
			{"srejectB", "sA0 sB0 aA3 aB3", "forbidden"},
			{"sfailA", "sA0 sB0 sA1 aA3 aB3", "internal-server-error"},
			{"ahandleB", "sA0 sB0 sA1 sB1 sA2 sB2 sA3 sB3 aA0 aB0 aA1 aB1 aA2 aB2 aA3 aB3", ""},
			{"arejectA", "sA0 sB0 sA1 sB1 sA2 sB2 sA3 sB3 aA0 aA3 aB3", "forbidden"},
			{"afailB", "sA0 sB0 sA1 sB1 sA2 sB2 sA3 sB3 aA0 aB0 aA1 aB1 aA3 aB3", "internal-server-error"},
		} {
			saw = nil
			a.send(chat("b@d/1", c.id))
			if got := strings.Join(saw, " "); got != c.saw {
				t.Errorf("%s: %s\nwant %s", c.id, got, c.saw)
			}
			if c.told == "" {
				a.gets()
			} else if got := a.got(); len(got) != 1 || !strings.Contains(got[0], c.told) || strings.Contains(got[0], "secret") {
				t.Errorf("%s: %q", c.id, got)
			}
		}
		r.gets("id='1'")
	})
}

func TestModulesTwice(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, DefaultLimits(), "")
		c := Config{Domains: []string{"d"}, Store: b.store, Log: b.log, Metrics: newMetrics()}
		for name, ms := range map[string][]Module{
			"one name twice": {&hooked{"x", func(*Host) {}}, &hooked{"x", func(*Host) {}}},
			"one request twice": {
				&hooked{"x", func(h *Host) { h.IQ(IQHandler{At: AtHost, Type: stanza.Get, Name: name("x")}) }},
				&hooked{"y", func(h *Host) { h.IQ(IQHandler{At: AtHost | AtAccount, Type: stanza.Get, Name: name("x")}) }},
			},
		} {
			if _, err := New(c, ms); err == nil {
				t.Errorf("%s: no error", name)
			}
			c.Metrics = newMetrics()
		}
		c.Domains = nil
		if _, err := New(c, nil); err == nil {
			t.Error("no domain: no error")
		}
	})
}

func TestFeatures(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, DefaultLimits(), "", &hooked{"x", func(h *Host) {
			h.Feature(AtHost, "u:z")
			h.Feature(AtHost|AtAccount, "u:a")
			h.Feature(AtHost, "u:z")
		}})
		if got := b.Features(AtHost); !slices.Equal(got, []string{"u:a", "u:z"}) {
			t.Error(got)
		}
		if got := b.Features(AtAccount); !slices.Equal(got, []string{"u:a"}) {
			t.Error(got)
		}
	})
}
