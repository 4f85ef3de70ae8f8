// SPDX-License-Identifier: Apache-2.0

package pep

import (
	"bytes"
	"cmp"
	"slices"
	"strings"
	"sync"

	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/xmpp/caps"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// notify is what a feature ends with by which a client asks for the node of that name (XEP-0060 §9.2).
const notify = "+notify"

// interest is what an available client asks for: what the capabilities stand for that it announced in its
// presence. Nil asks for nothing.
type interest struct {
	who   jid.JID // full
	owner jid.JID // for a client that is none of ours: of whose nodes; else of all whose presence it sees

	mu        sync.Mutex
	available bool
	learning  bool      // what said stands for is being found out, and nothing else meanwhile
	said      caps.Caps // what it announced last
	features  []string  // what that stands for, sorted; nil: not known (yet)
	before    []string  // for these it asked before asked, sorted
	served    []string  // for these it was told what was published last
	new       []jid.JID // whose presence it has come to see meanwhile
	queued    bool      // to be told
	asked     uint64    // the moment when it last asked for more nodes: what came later it was told as it came
	gained    uint64    // that when it last came to see the presence of one of new
}

// wants reports whether news of a node are to be sent.
func (x *interest) wants(node string) bool {
	if x == nil {
		return false
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.available && asks(x.features, node)
}

// wanted reports whether news of that moment are to be sent as they come, and not as what was published last.
func (x *interest) wanted(node string, moment uint64) bool {
	if x == nil {
		return false
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.available && asks(x.features, node) && (x.asked < moment || asks(x.before, node))
}

// learned takes what the client asks for now, and reports whether it is to be told what was published last, before the moment
// that now gives. The caller holds mu.
//
// Deviation: XEP-0163 §4.3.4 has the last item sent when a client comes, and not again with its later
// presence. A client that asks for a node later is told of that node then, for it has nothing yet.
func (x *interest) learned(features []string, now func() uint64) (push bool) {
	before := x.features
	x.features = features
	if !x.available || !more(features, x.served) {
		return false
	}
	x.before, x.asked = before, now()
	push, x.queued = !x.queued, true
	return push
}

// leave says that the client is not available any more.
func (x *interest) leave() {
	if x == nil {
		return
	}
	x.mu.Lock()
	x.available = false
	x.reset()
	x.mu.Unlock()
}

// reset forgets what the client has said. The caller holds mu.
func (x *interest) reset() {
	x.said, x.features, x.before, x.served, x.new = caps.Caps{}, nil, nil, nil, nil
}

// asks reports whether sorted features have node+notify.
func asks(features []string, node string) bool {
	_, found := slices.BinarySearchFunc(features, node, func(f, node string) int {
		n := min(len(f), len(node))
		if d := strings.Compare(f[:n], node[:n]); d != 0 || len(f) < len(node) {
			return cmp.Or(d, -1)
		}
		return strings.Compare(f[n:], notify)
	})
	return found
}

// announced is what a presence says that its client can do, nil for nothing.
func announced(s *stanza.Stanza) *caps.Caps {
	c := new(caps.Caps)
	if found, err := s.Decode(c); !found || err != nil {
		return nil
	}
	return c
}

// presenceChanged follows a session of ours.
func (m *Module) presenceChanged(t *server.Turn, se *server.Session, was server.Presence) {
	x, p := m.clients.Of(se), se.Presence()
	if !p.Available {
		x.leave()
		return
	}
	if se.User.Guest() {
		return
	}
	var c *caps.Caps
	if bytes.Contains(p.Stanza, []byte(caps.NS)) { // most say nothing of it
		if s, err := stanza.Parse(p.Stanza); err == nil {
			c = announced(s)
		}
	}
	if x == nil {
		if c == nil {
			return
		}
		x = m.clients.SetOnce(se, &interest{who: se.JID})
	}
	m.says(t, x, !was.Available, c)
	if !se.Presence().Available { // it went meanwhile
		x.leave()
	}
}

// says takes what a client announces. Who says nothing of it means what he said before: capabilities
// may be left out where they are the same (XEP-0115 §8.4).
func (m *Module) says(t *server.Turn, x *interest, appears bool, c *caps.Caps) {
	x.mu.Lock()
	if appears || !x.available {
		x.available = true
		x.reset()
	}
	if c == nil || *c == x.said {
		x.mu.Unlock()
		return
	}
	x.said = *c
	ask := !x.learning // one thing at a time, or a client could ask for the whole server
	x.learning = true
	x.mu.Unlock()
	if ask {
		m.learn(t, x, *c)
	}
}

// learn finds out what a client asks for.
func (m *Module) learn(t *server.Turn, x *interest, c caps.Caps) {
	by := x.owner
	if by.IsZero() {
		by = x.who.Bare()
	}
	m.caps.Learn(t, &c, by, x.who, func(t *server.Turn, features []string) {
		x.mu.Lock()
		now := x.said
		again := now != c && now != caps.Caps{}
		x.learning = again
		push := now == c && x.learned(features, m.engine.Moment)
		x.mu.Unlock()
		switch {
		case again: // it has said something else meanwhile
			m.learn(t, x, now)
		case push:
			m.coming.push(x)
		}
	})
}
