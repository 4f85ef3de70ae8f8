// SPDX-License-Identifier: Apache-2.0

package consent

// How to read this file: guard sees what arrives for accounts, and is done with it by a hash where the account is no thing. Else it
// finds out what is wanted (want), what the caller is to the thing (standing), and judges.

import (
	"context"
	"slices"
	"time"

	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// The ways in which somebody may want something of a thing; how they are called in refusals and metrics.
const (
	wayReadout   = "readout"   // XEP-0323
	wayControl   = "control"   // XEP-0325
	wayCommand   = "command"   // XEP-0050
	wayNode      = "node"      // XEP-0326
	wayQuery     = "query"     // what it is, whether it is there
	wayRequest   = "request"   // anything else by IQ
	wayChat      = "chat"      // words
	wayMessage   = "message"   // anything else by message
	wayPresence  = "presence"  // a subscription
	wayPublished = "published" // XEP-0163
	wayToken     = "token"     // XEP-0323 or 0325, with a token of another's that was not proven
)

var ways = [...]string{wayReadout, wayControl, wayCommand, wayNode, wayQuery, wayRequest, wayChat, wayMessage, wayPresence, wayPublished, wayToken}

// need is how much of a right is needed.
type need uint8

const (
	needNames need = iota // that to the names, or to everything where none are given; some of them will do where reduce says how
	needSome              // that to anything
	needAny               // any right
	needWords             // what the thing decides for itself, where it asks; else all of reading and of controlling
	needOwner             // to be the owner
)

// want is what a stanza wants of a thing.
type want struct {
	way   string
	right store.Right
	need  need
	nodes []store.ThingNode // none: the account
	names []string
	// tokens are what came with it; unproven is set where a rule names one, and it is not the caller's.
	tokens   []string
	unproven bool
	// reduce makes the stanza one that wants no more than these of the nodes and names; nil in either is all that was wanted. It
	// reports whether it could. A nil reduce is one that never can.
	reduce func(nodes []store.ThingNode, names []string) bool
	// speaks is whether those of the thing's sessions that will have it ask for themselves.
	speaks bool
	wish   *wish // of words
	silent bool  // nobody is asked because of it: clients do it by themselves
}

// guard is the hook. It decides at once where what is known of the thing is at hand.
func (m *Module) guard(t *server.Turn, u *server.User, s *stanza.Stanza) error {
	if !m.things.Known(u.JID) {
		return nil
	}
	m.admitted.Set(t, nil)
	if s.From.Bare() == u.JID || m.ours(s.From) {
		return nil
	}
	if m.passed.Of(t) == s {
		m.admit(t, s)
		return nil
	}
	w, free, err := m.wants(t, u, s)
	switch {
	case err != nil:
		return err
	case free:
		return nil
	}
	if st, ready := m.known.get(u.JID, w.looked(), s.From.Bare()); ready && len(m.named(st, w)) == 0 {
		return m.judge(t, u, s, w, st)
	}
	asked := m.proven.Of(t) == s
	t.OffLoop(u, s, func(t *server.Turn, s *stanza.Stanza) { m.later(t, u, s, asked) })
	return server.Handled
}

// later is guard where it may wait. asked says that who has sent s was asked already to prove what he has shown.
func (m *Module) later(t *server.Turn, u *server.User, s *stanza.Stanza, asked bool) {
	w, _, err := m.wants(t, u, s) // of the copy, which is what reduce changes
	var st *standing
	if err == nil {
		var open []proof
		st, err = m.load(context.Background(), u.JID, w.looked(), s.From.Bare())
		if err == nil {
			open, err = m.vouch(context.Background(), u.JID, st, w)
		}
		if len(open) > 0 && !asked && s.Kind == stanza.IQ { // a message is not held: it counts as taken
			m.prove(t, s, open)
			return
		}
	}
	if err == nil {
		err = m.judge(t, u, s, w, st)
	}
	switch err {
	case nil:
		m.pass(t, s)
	case server.Handled: //nolint:errorlint // a verdict is never wrapped
	default:
		e, _ := stanza.AsError(err)
		t.Refuse(s, e)
	}
}

// pass has s go on to the thing.
func (m *Module) pass(t *server.Turn, s *stanza.Stanza) {
	m.passed.Set(t, s)
	t.Route(s)
	m.passed.Set(t, nil)
	m.admitted.Set(t, nil)
}

// admit says that what was let through is to be let through by others, too, who do not know why.
func (m *Module) admit(t *server.Turn, s *stanza.Stanza) {
	if s.Kind == stanza.IQ && s.Type.IsRequest() {
		m.admitted.Set(t, s)
	}
}

// ours reports whether it is the server, or the service, that speaks.
func (m *Module) ours(from jid.JID) bool {
	return from.IsZero() || from.IsDomain() && from.IsBare() && m.server.Serves(from.Domain()) || m.service.Speaks(from)
}

// judge lets s go on, perhaps reduced, by returning nil.
func (m *Module) judge(t *server.Turn, u *server.User, s *stanza.Stanza, w *want, st *standing) error {
	if st.person || !u.Exists() {
		return nil
	}
	if s.Kind == stanza.Presence {
		return m.subscription(t, u, s, st)
	}
	d, ok := m.weigh(s, w, st)
	if ok {
		if len(d.Unknown) > 0 { // reduced, and nobody has decided about the rest
			m.ask(u.JID, w, st, false)
		}
		m.admit(t, s)
		return nil
	}
	st.met = s.From.IsFull() && m.presence.Entered(u, s)
	return m.refuse(t, u.JID, s, w, st, d)
}

// weigh reports whether s may go on; it reduces s where it may in part.
func (m *Module) weigh(s *stanza.Stanza, w *want, st *standing) (Decision, bool) {
	if st.ownsAll(w.nodes) {
		return Decision{Verdict: All}, true
	}
	switch w.need {
	case needOwner:
		return Decision{}, false
	case needAny:
		return Decision{Verdict: Unknown}, st.any()
	case needSome:
		return st.decideAll(w.nodes, w.right, nil), st.has(w.nodes, w.right)
	case needWords:
		d, ok := words(st, w)
		if ok && w.wish != nil && w.wish.right == store.RightRead {
			m.asking.heard(s.To.Bare(), st.caller, time.Now(), m.config.Load().Pending)
		}
		return d, ok
	}
	d := st.decideAll(w.nodes, w.right, w.names)
	switch {
	case d.Verdict == All && len(d.Except) == 0 && (len(w.nodes) > 0 || !st.split(w.right)):
		return d, true
	case w.reduce == nil:
		return d, false
	}
	// In part: of the nodes those to which there is something, of the names what all these have.
	nodes, names := w.nodes, d.Names
	if d.Verdict != Some || len(w.nodes) == 0 && st.split(w.right) {
		if nodes, names = st.part(w.nodes, w.right, w.names); nodes == nil {
			return d, false
		}
	}
	if !w.reduce(nodes, names) {
		return d, false
	}
	m.metrics.reduced.Inc()
	return d, true
}

// whole reports whether everything is allowed, without exception.
func (d *Decision) whole() bool { return d.Verdict == All && len(d.Except) == 0 }

// ownsAll reports whether the caller owns all nodes that are wanted.
func (s *standing) ownsAll(nodes []store.ThingNode) bool {
	if len(nodes) == 0 {
		nodes = []store.ThingNode{{}}
	}
	return !slices.ContainsFunc(nodes, func(n store.ThingNode) bool {
		o := s.owners.of(n).owner
		return o.IsZero() || o != s.caller
	})
}

// decideAll decides about several nodes, as about one where all allow the same. Where they differ, part says what there is of it.
func (s *standing) decideAll(nodes []store.ThingNode, right store.Right, names []string) Decision {
	if len(nodes) == 0 {
		return s.decide(store.ThingNode{}, right, names)
	}
	all := s.decide(nodes[0], right, names)
	differ, unknown := false, all.Verdict == Unknown
	for _, n := range nodes[1:] {
		d := s.decide(n, right, names)
		differ = differ || d.Verdict != all.Verdict || !slices.Equal(d.Names, all.Names) || !slices.Equal(d.Except, all.Except)
		unknown = unknown || d.Verdict == Unknown
	}
	switch {
	case differ && unknown:
		return Decision{Verdict: Unknown}
	case differ:
		return Decision{}
	}
	return all
}

// has reports whether the caller has that right to something of each of the nodes; of anything where none are given.
func (s *standing) has(nodes []store.ThingNode, right store.Right) bool {
	if len(nodes) == 0 {
		return s.some(right)
	}
	return !slices.ContainsFunc(nodes, func(n store.ThingNode) bool { return s.decide(n, right, nil).Verdict < Some })
}

// part is what of nodes and names the caller may have, of which one request can ask: no nodes for nothing. No nodes in the request
// are all those that rules give him.
func (s *standing) part(nodes []store.ThingNode, right store.Right, names []string) ([]store.ThingNode, []string) {
	if len(nodes) == 0 {
		nodes = s.nodes(right)
	}
	var some []store.ThingNode
	common, open := []string(nil), true // open: all names that were wanted
	for _, n := range nodes {
		d := s.decide(n, right, names)
		switch {
		case d.Verdict == All && len(d.Except) == 0:
			some = append(some, n)
		case d.Verdict == Some && open:
			some, common, open = append(some, n), d.Names, false
		case d.Verdict == Some:
			both := slices.DeleteFunc(slices.Clone(common), func(x string) bool { return !named(d.Names, x) })
			if len(both) > 0 {
				some, common = append(some, n), both
			}
		}
	}
	return some, common
}
