// SPDX-License-Identifier: Apache-2.0

package server

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stonechat-im/stonechat/internal/metrics"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

func newMetrics() *metrics.Registry { return metrics.New() }

func name(local string) xmlstream.Name { return xmlstream.Name{Space: "u:q", Local: local} }

// oracle answers requests named after what it does.
func oracle() Module {
	return &hooked{"oracle", func(h *Host) {
		setting := func(value string) *store.Pending {
			return h.Store.Commit(store.SetSetting{Name: "oracle", Value: []byte(value)})
		}
		for local, do := range map[string]func(*Turn, *Query) (stanza.Payload, error){
			"empty":   func(*Turn, *Query) (stanza.Payload, error) { return nil, nil },
			"payload": func(*Turn, *Query) (stanza.Payload, error) { return stanza.Body("x"), nil },
			"refused": func(*Turn, *Query) (stanza.Payload, error) {
				return nil, fmt.Errorf("as: %w", stanza.NotAllowed.Err("no"))
			},
			"failed": func(*Turn, *Query) (stanza.Payload, error) { return nil, errors.New("secret") },
			"panics": func(*Turn, *Query) (stanza.Payload, error) { panic("secret") },
			"now": func(t *Turn, q *Query) (stanza.Payload, error) {
				return nil, q.Answer(t, stanza.Body("now"))
			},
			"later": func(t *Turn, q *Query) (stanza.Payload, error) {
				return q.After(t, setting("x"), func(*Turn) (stanza.Payload, error) { return stanza.Body("done"), nil })
			},
			"laterfailed": func(t *Turn, q *Query) (stanza.Payload, error) {
				return q.After(t, setting("x"), func(*Turn) (stanza.Payload, error) { return nil, stanza.Gone.Err("") })
			},
			"laterpanics": func(t *Turn, q *Query) (stanza.Payload, error) {
				return q.After(t, setting("x"), func(*Turn) (stanza.Payload, error) { panic("secret") })
			},
			"following": func(t *Turn, q *Query) (stanza.Payload, error) {
				return q.Following(t, setting("x"), func(*Turn) (stanza.Payload, error) { return stanza.Body("followed"), nil })
			},
			"followingpanics": func(t *Turn, q *Query) (stanza.Payload, error) {
				return q.Following(t, setting("x"), func(*Turn) (stanza.Payload, error) { panic("secret") })
			},
			"twice": func(t *Turn, q *Query) (stanza.Payload, error) {
				_ = q.Answer(t, stanza.Body("first"))
				return stanza.Body("second"), nil
			},
			"latertwice": func(t *Turn, q *Query) (stanza.Payload, error) {
				_, _ = q.After(t, setting("x"), func(*Turn) (stanza.Payload, error) { return stanza.Body("first"), nil })
				return stanza.Body("second"), nil
			},
		} {
			h.IQ(IQHandler{At: AtHost, Type: stanza.Get, Name: name(local), Do: do})
			h.IQ(IQHandler{At: AtHost, Type: stanza.Get, Name: name("blocking" + local), Blocking: true, Do: do})
			h.IQ(IQHandler{At: AtAccount, Type: stanza.Get, Name: name(local), Do: do})
			h.IQ(IQHandler{At: AtAccount, Type: stanza.Get, Name: name("others" + local), Others: true, Do: do})
			h.IQ(IQHandler{At: AtHost, Type: stanza.Set, Name: name("open" + local), Blocking: true, BeforeLogin: true, Do: do})
		}
	}}
}

// TestAnsweredOnce is Q1.
func TestAnsweredOnce(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, DefaultLimits(), "a b c", oracle())
		a := b.managed("a/1")
		b.online("b/1")
		answers := map[string]string{
			"empty": "type='result'/>", "payload": "<body>x</body>", "refused": "not-allowed", "failed": "internal-server-error",
			"panics": "internal-server-error", "now": "<body>now</body>", "later": "<body>done</body>", "laterfailed": "<gone",
			"laterpanics": "internal-server-error", "following": "<body>followed</body>", "followingpanics": "internal-server-error", "twice": "<body>first</body>", "latertwice": "<body>first</body>", "unknown": "service-unavailable",
		}
		id := 0
		once := func(to, local, want string) {
			t.Helper()
			id++
			what := "<iq type='get' id='q" + fmt.Sprint(id) + "' " + to + "><" + local + " xmlns='u:q'/></iq>"
			a.send(what)
			got := slices.DeleteFunc(a.got(), func(s string) bool { return strings.HasPrefix(s, asks) })
			if len(got) != 1 || !strings.Contains(got[0], want) || !strings.Contains(got[0], "id='q"+fmt.Sprint(id)+"'") || strings.Contains(got[0], "secret") {
				t.Errorf("%s: %q, want %s", what, got, want)
			}
		}
		for local, want := range answers {
			once("to='d'", local, want)
			once("to='d'", "blocking"+local, want)
			once("", local, want)
			once("to='a@d'", local, want)
			once("to='a@d'", "others"+local, want)
			once("to='b@d'", local, "service-unavailable")
			once("to='b@d'", "others"+local, want)
			once("to='c@d'", "others"+local, want) // offline
			once("to='nobody@d'", "others"+local, "service-unavailable")
			once("to='d/x'", local, "service-unavailable")
			once("to='e'", local, "remote-server-not-found")
			once("to='b@d/none'", local, "service-unavailable")
		}
		a.send("<iq type='result' id='r' to='d'/><iq type='error' id='r' to='a@d'/><iq type='result' id='r' to='c@d/x'/>")
		a.gets()
		a.send(ask)
		a.gets(fmt.Sprintf("h='%d'", id+4)) // all is safe
	})
}

func TestCommitFails(t *testing.T) {
	for _, atOnce := range []bool{false, true} {
		inBubble(t, func(t *testing.T) {
			b := newBench(t, DefaultLimits(), "a", oracle(), &hooked{"change", func(h *Host) {
				h.OnArriving(Handle, func(t *Turn, u *User, s *stanza.Stanza) error {
					if string(s.ID) != "change" || s.Type == stanza.TypeError {
						return nil
					}
					t.Await(u.Commit(store.SetSetting{Name: "x", Value: []byte("y")}), s)
					return Handled
				})
			}})
			a := b.managed("a/1")
			change := chat("a@d/1", "change")
			a.send(change + ask)
			got := strings.Join(a.got(), "\n")
			if strings.Contains(got, "error") || !strings.Contains(got, "h='2'") {
				t.Errorf("a commit that does not fail: %s", got)
			}
			b.store.failing.Store(!atOnce)
			b.store.refuses.Store(atOnce)
			a.send(change + "<iq type='get' id='q' to='d'><later xmlns='u:q'/></iq>" + ask)
			got = strings.Join(a.got(), "\n")
			if strings.Count(got, "resource-constraint") != 2 || !strings.Contains(got, "h='4'") {
				t.Errorf("at once %v: %s", atOnce, got)
			}
		})
	}
}

func TestBeforeLogin(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, DefaultLimits(), "a", oracle())
		p := b.dial("a")
		for _, c := range []struct {
			element, want string
			open          bool
		}{
			{"<iq type='set' id='1'><openpayload xmlns='u:q'/></iq>", "<iq from='d' id='1' type='result'><body>x</body></iq>", true},
			{"<iq type='set' id='1' to='b@e' from='c@d'><openrefused xmlns='u:q'/></iq>", "not-allowed", true},
			{"<iq type='set' id='1'><openfailed xmlns='u:q'/></iq>", "internal-server-error", true},
			{"<iq type='set' id='1'><openpanics xmlns='u:q'/></iq>", "internal-server-error", true},
			{"<iq type='set' id='1'><openlater xmlns='u:q'/></iq>", "<body>done</body>", true},
			{"<iq type='set' id='1'><payload xmlns='u:q'/></iq>", "", false},
			{"<iq type='get' id='1'><openpayload xmlns='u:q'/></iq>", "", true}, // the other type is known
			{"<iq type='set'><openpayload xmlns='u:q'/></iq>", "", true},
			{"<message><openpayload xmlns='u:q'/></message>", "", false},
			{"<iq type='set' id='1'/>", "", false},
		} {
			p.in.Feed([]byte(c.element))
			if _, err := p.in.Next(); err != nil {
				t.Fatal(err)
			}
			if got := b.AnswersBeforeLogin(p.in.Element()); got != c.open {
				t.Errorf("%s: %v", c.element, got)
			}
			var answers []string
			taken := b.BeforeLogin(p.st, jid.MustParse("d"), p.in.Element(), func(s *stanza.Stanza) {
				answers = append(answers, string(s.Append(nil, "")))
			})
			p.settle()
			switch {
			case taken != (c.want != ""):
				t.Errorf("%s: taken %v", c.element, taken)
			case taken && (len(answers) != 1 || !strings.Contains(answers[0], c.want)):
				t.Errorf("%s: %q", c.element, answers)
			}
			if ev, err := p.in.Next(); ev != xmlstream.EventNone || err != nil {
				t.Fatal(ev, err)
			}
		}
	})
}
