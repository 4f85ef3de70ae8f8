// SPDX-License-Identifier: Apache-2.0

package thing

// How to read this file: may is the one question that everything a thing does for others asks first, whichever way it was
// asked. The owner and the thing's own account may do everything; for all others the registry's service decides
// (XEP-0324), and where it does not answer nobody may do anything.

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/stonechat-im/stonechat/xmpp/control"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/provisioning"
	"github.com/stonechat-im/stonechat/xmpp/sensordata"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// right is what somebody may do with a thing.
type right uint8

const (
	toBefriend right = iota + 1
	toRead
	toControl
)

const (
	grantLife   = 5 * time.Minute  // of an answer of the service, unless it takes it back before
	silenceLife = 15 * time.Second // of a silence: then it is asked again
	askTime     = 5 * time.Second  // that the service has for an answer
	maxGrants   = 1000             // answers that are remembered; then all are forgotten
	maxTokens   = 16               // of a request, that the service may doubt: of more than a few it makes nothing
)

// question is what somebody wants.
type question struct {
	caller jid.JID // bare
	right  right
	node   NodeID
	names  []string // of fields or parameters; none: whatever there is
}

// key names what is remembered of a question. Names that stand for all of a node have no key of their own.
func (q *question) key() string {
	names := slices.Sorted(slices.Values(q.names))
	return strings.Join(append([]string{q.caller.String(), string('0' + rune(q.right)), q.node.ID, q.node.Source, q.node.Cache}, names...), "\x00")
}

// grant is what somebody may.
type grant struct {
	all    bool     // every name that there is
	names  []string // else these
	unsure bool     // nobody has decided
}

func (g grant) isNone() bool { return !g.all && len(g.names) == 0 }

// allows reports whether a name is granted.
func (g grant) allows(name string) bool {
	return g.all || slices.ContainsFunc(g.names, func(n string) bool { return strings.EqualFold(n, name) })
}

// access remembers what the service has said.
type access struct {
	mu     sync.Mutex
	known  map[string]said
	epoch  int       // how often all was forgotten
	silent time.Time // until then the service is not asked
}

type said struct {
	grant
	caller jid.JID
	until  time.Time
}

// may is what q.caller may of what q names. Also of a thing whose code was shown the service is asked: somebody may own it already, and
// the thing not know that yet.
func (t *Thing) may(ctx context.Context, q question) grant {
	q.caller = q.caller.Bare()
	owner := t.Owner()
	switch {
	case q.caller.IsZero() || owner.IsZero() && q.caller != t.account() && !t.onOffer():
		return grant{}
	case q.caller == owner, q.caller == t.account():
		return grant{all: true}
	}
	now := time.Now()
	g, epoch, known := t.access.recall(&q, now)
	if known {
		return g
	}
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	g, err := t.consult(ctx, &q, provisioning.Tokens{})
	if err != nil {
		g = grant{unsure: true}
		t.log.Warn("consent is not known, so nothing is allowed", "from", q.caller.String(), "err", err)
	}
	t.access.note(&q, g, err, epoch)
	return g
}

// showing are the tokens that came with a request.
type showing struct {
	provisioning.Tokens
	until time.Time // the service has for all that is asked by them; zero: nothing was asked yet
}

// mayBy is may for who has shown tokens with what he wants. What he may by them is not remembered: it ends with the token, of which
// the service does not tell. It may be he, from whom it wants a proof, who keeps it from answering: that is no silence of the service, and he
// is judged without his tokens then.
func (t *Thing) mayBy(ctx context.Context, q question, shown *showing) grant {
	from := q.caller
	q.caller = from.Bare()
	if shown.Tokens == (provisioning.Tokens{}) || t.isTrusted(from) || q.caller == t.account() || t.Owner().IsZero() && !t.onOffer() {
		return t.may(ctx, q)
	}
	now := time.Now()
	if g, _, known := t.access.recall(&q, now); known && (g.covers(&q) || t.access.isSilent()) {
		return g
	}
	if shown.until.IsZero() {
		shown.until = now.Add(askTime)
		t.passOn(shown.Tokens, from)
	}
	within, cancel := context.WithDeadline(ctx, shown.until)
	defer cancel()
	g, err := t.consult(within, &q, shown.Tokens)
	if err != nil {
		t.log.Warn("what tokens allow is not known", "from", from.String(), "err", err)
		shown.Tokens = provisioning.Tokens{} // nor what they allow of the rest of the request
		return t.may(ctx, q)
	}
	return g
}

// passOn has the service's doubts of tokens passed to who has shown them.
func (t *Thing) passOn(shown provisioning.Tokens, from jid.JID) {
	list := strings.Fields(shown.Service + " " + shown.Device + " " + shown.User)
	for _, token := range list[:min(len(list), maxTokens)] {
		t.tokens.Pass(token, from, t.config.Registry)
	}
}

// shownBy are the tokens that a stanza bears. One that cannot be read bears none, and is refused in its turn.
func shownBy(s *stanza.Stanza) provisioning.Tokens {
	var read sensordata.Request
	var set control.Set
	var form control.GetForm
	for _, p := range []stanza.Payload{&read, &set, &form} {
		if found, err := s.Decode(p); found && err != nil {
			return provisioning.Tokens{}
		}
	}
	return cmp.Or(read.Tokens, set.Tokens, form.Tokens)
}

// covers reports whether a grant is all of what is asked.
func (g grant) covers(q *question) bool {
	return g.all || len(q.names) > 0 && !slices.ContainsFunc(q.names, func(n string) bool { return !g.allows(n) })
}

// isSilent reports whether the service has not answered just now, and is let be.
func (a *access) isSilent() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return time.Now().Before(a.silent)
}

// recall is what is known already: an answer to this question, or one about all of the node that covers it.
func (a *access) recall(q *question, now time.Time) (g grant, epoch int, known bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if s, ok := a.known[q.key()]; ok && now.Before(s.until) {
		return s.grant, a.epoch, true
	}
	if whole := (&question{caller: q.caller, right: q.right, node: q.node}); len(q.names) > 0 {
		s, ok := a.known[whole.key()]
		if ok && now.Before(s.until) && !slices.ContainsFunc(q.names, func(n string) bool { return !s.allows(n) }) {
			return s.grant, a.epoch, true
		}
	}
	silent := now.Before(a.silent)
	return grant{unsure: silent}, a.epoch, silent
}

// note remembers an answer, unless all was forgotten since the question. What was refused is not remembered for long,
// and where nobody answered nobody is asked for a while.
func (a *access) note(q *question, g grant, err error, epoch int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	life := grantLife
	var refused *stanza.Error
	switch {
	case errors.As(err, &refused):
		life = silenceLife
	case err != nil:
		a.silent = time.Now().Add(silenceLife)
		return
	}
	if a.epoch != epoch {
		return
	}
	if len(a.known) >= maxGrants || a.known == nil {
		a.known = make(map[string]said)
	}
	a.known[q.key()] = said{g, q.caller, time.Now().Add(life)}
}

// forget forgets all: the service says that something has changed.
func (a *access) forget() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.known, a.silent = nil, time.Time{}
	a.epoch++
}

// hasSome reports whether somebody is known to have a right of any kind.
func (a *access) hasSome(caller jid.JID) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, s := range a.known {
		if s.caller == caller.Bare() && !s.isNone() && time.Now().Before(s.until) {
			return true
		}
	}
	return false
}

// refuse is what somebody is told who may not: whoever may nothing is told no more than of an account that does not
// exist. RFC 6121 §8.5
func (t *Thing) refuse(caller jid.JID) *stanza.Error {
	t.log.Warn("refused", "from", caller.String())
	if !t.access.hasSome(caller) {
		return stanza.ServiceUnavailable.Err("")
	}
	e := stanza.Forbidden.Err("")
	e.Type = stanza.Cancel // XEP-0323 §3.3, XEP-0325 §3.3
	return e
}

// isTrusted reports whether somebody is obeyed without a question.
func (t *Thing) isTrusted(caller jid.JID) bool {
	owner := t.Owner()
	return !owner.IsZero() && caller.Bare() == owner
}
