// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stonechat-im/stonechat/module/caps"
	"github.com/stonechat-im/stonechat/server"
	xcaps "github.com/stonechat-im/stonechat/xmpp/caps"
	"github.com/stonechat-im/stonechat/xmpp/disco"
)

// learner notes what it is told of clients, in order.
type learner struct {
	b    *bed
	m    *caps.Module
	mu   sync.Mutex
	told []string
}

func newLearner(b *bed) *learner {
	i := slices.IndexFunc(b.mods, func(m server.Module) bool { return m.Name() == "caps" })
	return &learner{b: b, m: b.mods[i].(*caps.Module)}
}

// learn asks what c stands for, which p announces.
func (l *learner) learn(p *peer, c xcaps.Caps) {
	t := l.b.NewTurn()
	l.m.Learn(t, &c, p.Session.User.JID, p.Session.JID, func(_ *server.Turn, features []string) {
		l.mu.Lock()
		defer l.mu.Unlock()
		what := "unknown"
		if features != nil {
			what = strings.Join(features, ",")
		}
		l.told = append(l.told, p.Session.JID.Resource()+": "+what)
	})
	t.End()
	synctest.Wait()
}

// tells compares what was told since, in any order.
func (l *learner) tells(wants ...string) {
	l.b.t.Helper()
	synctest.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	slices.Sort(l.told)
	slices.Sort(wants)
	if !slices.Equal(l.told, wants) {
		l.b.t.Errorf("told %q; want %q", l.told, wants)
	}
	l.told = nil
}

var question = regexp.MustCompile(`^<iq from='alice@d' to='alice@d/(\w+)' id='(\w+)' type='get'><query xmlns='http://jabber.org/protocol/disco#info' node='([^']*)'/></iq>$`)

// asked returns the id of the question that a client was asked, "" for none.
func (p *peer) asked(c xcaps.Caps) string {
	p.b.t.Helper()
	got := p.Got()
	if len(got) == 0 {
		return ""
	}
	m := question.FindStringSubmatch(got[0])
	if len(got) > 1 || m == nil || m[1] != p.Session.JID.Resource() || m[3] != c.InfoNode() {
		p.b.t.Fatalf("%s was sent %q", p.Session.JID, got)
	}
	return m[2]
}

// says answers a question.
func (p *peer) says(id string, info *disco.Info) {
	p.Send(fmt.Sprintf("<iq to='alice@d' type='result' id='%s'>%s</iq>", id, info.AppendXML(nil)))
}

func infoOf(features ...string) *disco.Info {
	return &disco.Info{Identities: []disco.Identity{{Category: "client", Type: "pc"}}, Features: features}
}

func capsOf(t *testing.T, hash string, info *disco.Info) xcaps.Caps {
	t.Helper()
	ver, err := xcaps.Ver(hash, info)
	if err != nil {
		t.Fatal(err)
	}
	return xcaps.Caps{Hash: hash, Node: "http://client.example", Ver: ver}
}

// withClients runs f on a server with clients of alice, at resources a, b and so on.
func withClients(t *testing.T, more string, n int, f func(t *testing.T, l *learner, ps []*peer)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		l, ps := newClients(t, more, n)
		f(t, l, ps)
	})
}

func newClients(t *testing.T, more string, n int) (l *learner, ps []*peer) {
	t.Helper()
	b := newBed(t, more)
	b.Account("alice@d")
	for i := range n {
		ps = append(ps, b.bind(fmt.Sprintf("alice@d/%c", 'a'+i)))
	}
	return newLearner(b), ps
}

// TestCapsLearned: a hash is asked of one client, and known for all when its answer is verified
// (XEP-0115 §5.4).
func TestCapsLearned(t *testing.T) {
	for _, hash := range []string{xcaps.SHA1, xcaps.SHA256} {
		t.Run(hash, func(t *testing.T) {
			withClients(t, "", 4, func(t *testing.T, l *learner, ps []*peer) {
				info := infoOf("urn:b", "urn:a")
				c := capsOf(t, hash, info)
				for _, p := range ps[:3] {
					l.learn(p, c)
				}
				l.tells()
				id := ps[0].asked(c)
				if others := ps[1].asked(c) + ps[2].asked(c); id == "" || others != "" {
					t.Fatalf("asked %q, and others %q", id, others)
				}
				ps[1].says(id, infoOf("urn:lie")) // an answer from somebody who was not asked
				l.tells()
				ps[0].says(id, info)
				l.tells("a: urn:a,urn:b", "b: urn:a,urn:b", "c: urn:a,urn:b")
				l.learn(ps[3], c)
				l.tells("d: urn:a,urn:b")
				for _, p := range ps {
					p.gets()
				}
				c.Node = "http://another.example" // the same answer by another name
				l.learn(ps[3], c)
				l.tells("d: urn:a,urn:b")
				if f, ok := l.m.Features(&c); !ok || len(f) != 2 {
					t.Error(f, ok)
				}
				c.Hash = xcaps.SHA1 + "x"
				if f, ok := l.m.Features(&c); ok {
					t.Error(f)
				}
			})
		})
	}
}

// TestCapsPoisoned: what cannot be verified is believed of nobody else (XEP-0115 §5.4, §9.3), and
// delays the others only as long as they take to be asked, two at a time, then four.
func TestCapsPoisoned(t *testing.T) {
	twice := infoOf("urn:a", "urn:a")
	typed := infoOf("urn:a<urn:b")
	for name, lie := range map[string]*disco.Info{"other": infoOf("urn:lie"), "twice": twice, "separator": typed, "empty": {}} {
		t.Run(name, func(t *testing.T) {
			withClients(t, "", 6, func(t *testing.T, l *learner, ps []*peer) {
				info := infoOf("urn:a", "urn:b")
				c := capsOf(t, xcaps.SHA1, info)
				for _, p := range ps[:5] {
					l.learn(p, c)
				}
				ps[0].says(ps[0].asked(c), lie)
				l.mu.Lock()
				if len(l.told) != 1 || strings.HasPrefix(l.told[0], "b") || strings.Contains(l.told[0], "unknown") {
					t.Errorf("told %q: what a client says counts for itself", l.told)
				}
				l.told = nil
				l.mu.Unlock()
				if f, ok := l.m.Features(&c); ok {
					t.Fatalf("a lie is remembered: %q", f)
				}
				one, two := ps[1].asked(c), ps[2].asked(c)
				if one == "" || two == "" || ps[3].asked(c)+ps[4].asked(c) != "" {
					t.Fatal("not two are asked")
				}
				ps[1].Send(fmt.Sprintf("<iq to='alice@d' type='error' id='%s'><error type='cancel'><service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>", one))
				l.tells("b: unknown")
				ps[2].says(two, info)
				l.tells("c: urn:a,urn:b", "d: urn:a,urn:b", "e: urn:a,urn:b")
				ps[3].says(ps[3].asked(c), lie) // asked, and late: it changes nothing any more
				l.learn(ps[5], c)
				l.tells("f: urn:a,urn:b")
			})
		})
	}
}

// TestCapsUnknown: the legacy format, and what is too long, is believed of nobody, and a hash function
// that is not known counts for each client by itself (XEP-0115 §5.4, §12).
func TestCapsUnknown(t *testing.T) {
	withClients(t, "", 2, func(t *testing.T, l *learner, ps []*peer) {
		for name, c := range map[string]xcaps.Caps{
			"legacy":    {Node: "http://client.example", Ver: "1.0"},
			"long hash": {Hash: strings.Repeat("x", 65), Node: "n", Ver: "v"},
			"long ver":  {Hash: xcaps.SHA1, Node: "n", Ver: strings.Repeat("x", 257)},
			"long node": {Hash: xcaps.SHA1, Node: strings.Repeat("x", 1025), Ver: "v"},
		} {
			l.learn(ps[0], c)
			l.tells("a: unknown")
			if id := ps[0].asked(c); id != "" {
				t.Errorf("%s: asked", name)
			}
		}
		info := infoOf("urn:a")
		c := xcaps.Caps{Hash: "sha3-512", Node: "n", Ver: "v"}
		for _, p := range ps {
			l.learn(p, c)
			p.says(p.asked(c), info)
			l.tells(p.Session.JID.Resource() + ": urn:a")
			if _, ok := l.m.Features(&c); ok {
				t.Error("remembered without being verified")
			}
		}
	})
}

// TestCapsBounds: a client that does not answer in time, or at too great length, is taken for one that can
// do nothing; what is remembered is bounded.
func TestCapsBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, ps := newClients(t, "modules: {caps: {wait: 5s, info_bytes: 2000, bytes: 1000}}\n", 2)
		info := infoOf("urn:a")
		c := capsOf(t, xcaps.SHA1, info)
		l.learn(ps[0], c)
		l.learn(ps[1], c)
		late := ps[0].asked(c)
		time.Sleep(4900 * time.Millisecond)
		l.tells()
		time.Sleep(200 * time.Millisecond)
		l.tells("a: unknown")
		ps[0].says(late, info)
		l.tells()
		ps[1].says(ps[1].asked(c), info)
		l.tells("b: urn:a")

		long := infoOf(strings.Repeat("x", 2000))
		tooLong := capsOf(t, xcaps.SHA1, long)
		l.learn(ps[0], tooLong)
		ps[0].says(ps[0].asked(tooLong), long)
		l.tells("a: unknown")

		known := []xcaps.Caps{c}
		for i := range 3 { // each about 300 bytes
			info := infoOf(fmt.Sprintf("urn:%d", i))
			next := capsOf(t, xcaps.SHA1, info)
			l.learn(ps[0], next)
			ps[0].says(ps[0].asked(next), info)
			l.tells(fmt.Sprintf("a: urn:%d", i))
			l.m.Features(&c) // needed all the time
			known = append(known, next)
		}
		for i, want := range []bool{true, false, true, true} {
			if _, ok := l.m.Features(&known[i]); ok != want {
				t.Errorf("%d: known %v; want %v", i, ok, want)
			}
		}
	})
	withClients(t, "limits: {questions: 1}\n", 3, func(t *testing.T, l *learner, ps []*peer) {
		one, two := capsOf(t, xcaps.SHA1, infoOf("urn:1")), capsOf(t, xcaps.SHA1, infoOf("urn:2"))
		l.learn(ps[0], one)
		l.learn(ps[1], two)
		l.learn(ps[2], two)
		l.tells("b: unknown", "c: unknown")
		ps[0].says(ps[0].asked(one), infoOf("urn:1"))
		l.tells("a: urn:1")
	})
}

// TestCapsManyWaiters: all who wait for one answer are told, each once, though they are many.
func TestCapsManyWaiters(t *testing.T) {
	withClients(t, "", 2, func(t *testing.T, l *learner, ps []*peer) {
		info := infoOf("urn:a")
		c := capsOf(t, xcaps.SHA1, info)
		var want []string
		for range 500 {
			l.learn(ps[0], c)
			l.learn(ps[1], c)
			want = append(want, "a: urn:a", "b: urn:a")
		}
		ps[0].says(ps[0].asked(c), info)
		l.tells(want...)
	})
}
