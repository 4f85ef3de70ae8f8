// SPDX-License-Identifier: Apache-2.0

package keytokens

// How to read this file: sent notes to whom a session sends tokens with its requests, so that Admits lets their challenges come to it,
// and nobody else's: who does not see an account's presence is not to find out by them whether it is there.

import (
	"sync"
	"time"

	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/xmpp/control"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/provisioning"
	"github.com/stonechat-im/stonechat/xmpp/sensordata"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// shown is to whom one session has sent tokens.
type shown struct {
	mu sync.Mutex
	to map[jid.JID]time.Time // bare, and until when they may challenge it
}

// sent is the hook.
func (m *Module) sent(t *server.Turn, s *stanza.Stanza) error {
	if s.Kind != stanza.IQ || !s.Type.IsRequest() {
		return nil
	}
	i := s.First()
	if i < 0 {
		return nil
	}
	switch space, _, _ := s.Child(i); string(space) {
	case sensordata.NS, control.NS, provisioning.NS:
	default:
		return nil
	}
	r := s.Reader(i)
	if r.Attr("deviceToken") == "" && r.Attr("serviceToken") == "" && r.Attr("userToken") == "" {
		return nil
	}
	if !m.shown.SetOnce(t.Origin, new(shown)).note(s.To.Bare(), t.Now, m.config.Load().Shown) {
		m.metrics.full.Inc()
	}
	return nil
}

// note remembers somebody, and reports whether there was room for one more.
func (x *shown) note(to jid.JID, now time.Time, most int) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.to == nil {
		x.to = make(map[jid.JID]time.Time)
	}
	if len(x.to) >= most {
		for old, until := range x.to {
			if !now.Before(until) {
				delete(x.to, old)
			}
		}
	}
	if _, again := x.to[to]; !again && len(x.to) >= most {
		return false
	}
	x.to[to.Clone()] = now.Add(provisioning.ChallengeTime)
	return true
}

// Admits reports whether s is a challenge that may come to the session that it is for: its account has just sent a token from there to
// whoever asks. XEP-0324 §6.2
func (m *Module) Admits(t *server.Turn, u *server.User, s *stanza.Stanza) bool {
	if s.Kind != stanza.IQ || s.Type != stanza.Get || !s.To.IsFull() || !s.Has(provisioning.NS, (*provisioning.TokenChallenge)(nil).XMLName().Local) {
		return false
	}
	se := u.Session(s.To.Resource())
	if se == nil {
		return false
	}
	x := m.shown.Of(se)
	if x == nil {
		return false
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	return t.Now.Before(x.to[s.From.Bare()])
}
