// SPDX-License-Identifier: Apache-2.0

package caps

import (
	"slices"
	"time"

	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/xmpp/caps"
	"github.com/stonechat-im/stonechat/xmpp/disco"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// question is how the server finds out what one hash stands for: it asks one of the clients that
// announce it. If that one does not say, two more are asked, then four: a client that announces
// what others do and does not answer, or lies, delays them and no more (XEP-0115 §5.4).
type question struct {
	name    name
	waiters []*waiter // not asked yet
	open    []*waiter // asked, and not answered
	width   int       // how many may be asked at one time
	asking  bool      // somebody is in Module.more
}

// maxWidth is how many clients are asked at one time what one hash stands for.
const maxWidth = 1024

// waiter is somebody who wants to know.
type waiter struct {
	caps    caps.Caps
	by, who jid.JID
	tell    func(t *server.Turn, features []string)
}

// The bounds of what a client may announce; the specifications know none. Of longer ones nothing is
// believed.
const (
	maxHash = 64
	maxVer  = 256
	maxNode = 1024
)

// Features is what c stands for, if it is known: sorted, shared, and not to be changed.
func (m *Module) Features(c *caps.Caps) (features []string, known bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.memory.get(name{c.Hash, c.Ver})
}

// Learn finds out what c stands for, which who has announced, and calls tell once: at once where
// it is known, else when a client that announces the same has said so. by is an account or domain of
// ours, in whose name who is asked. features are as from Features, nil where nobody knows. tell
// may be called on any goroutine, must not wait, and is called without a lock.
//
// An answer whose hash cannot be verified counts for the client alone that gave it (XEP-0115 §5.4).
// The legacy format is ignored (§12). Where the module is turned off nobody is asked.
func (m *Module) Learn(t *server.Turn, c *caps.Caps, by, who jid.JID, tell func(t *server.Turn, features []string)) {
	if m.server == nil || c.Hash == "" || len(c.Hash) > maxHash || len(c.Ver) > maxVer || len(c.Node) > maxNode {
		tell(t, nil)
		return
	}
	n, w := name{c.Hash, c.Ver}, &waiter{*c, by, who, tell}
	if c.Hash != caps.SHA1 && c.Hash != caps.SHA256 {
		m.more(t, &question{name: n, waiters: []*waiter{w}, width: 1})
		return
	}
	m.mu.Lock()
	if features, known := m.memory.get(n); known {
		m.mu.Unlock()
		tell(t, features)
		return
	}
	q := m.questions[n]
	if q == nil {
		q = &question{name: n, width: 1}
		m.questions[n] = q
	}
	q.waiters = append(q.waiters, w)
	m.mu.Unlock()
	m.more(t, q)
}

// more asks as many as may be asked.
func (m *Module) more(t *server.Turn, q *question) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if q.asking {
		return // whoever asks looks again: an answer may come within Ask
	}
	q.asking = true
	for len(q.open) < q.width && len(q.waiters) > 0 {
		w := q.waiters[0]
		q.waiters = q.waiters[1:]
		q.open = append(q.open, w)
		m.mu.Unlock()
		m.ask(t, q, w)
		m.mu.Lock()
	}
	q.asking = false
	if len(q.open) == 0 && m.questions[q.name] == q {
		delete(m.questions, q.name)
	}
}

func (m *Module) ask(t *server.Turn, q *question, w *waiter) {
	iq := stanza.New(stanza.IQ, stanza.Get, w.who, &disco.Info{Node: w.caps.InfoNode()})
	iq.From = w.by
	m.metrics.asked.Inc()
	wait := m.config.Load().Wait.D()
	if wait <= 0 {
		wait = longest
	}
	m.server.Ask(t, iq, wait, func(t *server.Turn, answer *stanza.Stanza) {
		m.answered(t, q, w, m.read(answer))
	})
}

// longest is how long a client has where the configuration sets no bound.
const longest = time.Hour

// read is what an answer says, nil for none that can be used.
func (m *Module) read(answer *stanza.Stanza) *disco.Info {
	if answer == nil || answer.Type != stanza.Result {
		return nil
	}
	if most := int(m.config.Load().InfoBytes); most > 0 && answer.Size() > most {
		m.metrics.tooLong.Inc()
		return nil
	}
	info := new(disco.Info)
	if found, err := answer.Decode(info); !found || err != nil {
		return nil
	}
	return info
}

// answered takes what w has said, nil for nothing. Who is asked with him need not answer any more when he is
// believed.
func (m *Module) answered(t *server.Turn, q *question, w *waiter, info *disco.Info) {
	var features []string
	verified := false
	if info != nil {
		features = slices.Sorted(slices.Values(info.Features))
		if features == nil {
			features = []string{}
		}
		verified = w.caps.Verify(info) == nil
	}
	var others []*waiter
	m.mu.Lock()
	i := slices.Index(q.open, w)
	if i < 0 { // another one has said it
		m.mu.Unlock()
		return
	}
	q.open = slices.Delete(q.open, i, i+1)
	if verified {
		m.memory.put(q.name, features, int(m.config.Load().Bytes))
		others = slices.Concat(q.open, q.waiters)
		q.open, q.waiters = nil, nil
	} else {
		q.width = min(2*q.width, maxWidth)
	}
	m.mu.Unlock()
	if !verified {
		m.metrics.unverified.Inc()
	}
	w.tell(t, features)
	m.more(t, q)
	tellAll(t, m.server, others, features)
}

// atOnce is how many are told before others on the loop should have their turn.
const atOnce = 32

// tellAll tells a few here and many on a goroutine of their own.
func tellAll(t *server.Turn, s *server.Server, all []*waiter, features []string) {
	if len(all) <= atOnce {
		for _, w := range all {
			w.tell(t, features)
		}
		return
	}
	go func() {
		for some := range slices.Chunk(all, atOnce) {
			t := s.NewTurn()
			for _, w := range some {
				w.tell(t, features)
			}
			t.End()
		}
	}()
}
