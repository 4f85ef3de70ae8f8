// SPDX-License-Identifier: Apache-2.0

package s2s

// How to read this file: dialback takes an element of the peer's. There are three roles (XEP-0220 §2): we are
// asked whether a key is ours (known), the peer proves its name to us by a key (judgeKey), and we have asked
// the peer something (question).

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/dialback"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/stream"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

const nsDialback = dialback.NS

// Bounds of what one connection may have under way.
const (
	maxQuestions = 100 // of ours
	maxJudging   = 20  // keys of the peer's
	maxRefusals  = 20  // of the peer's keys: then the stream ends
)

// dialback takes an element, and reports whether to read on at once.
func (c *conn) dialback(t *server.Turn, e *xmlstream.Element) (more bool) {
	m, err := dialback.Parse(e)
	if err != nil {
		refused := &stream.Error{Condition: stream.BadFormat, Text: "dialback that cannot be understood"}
		if se, _ := stanza.AsError(err); se.Condition == stanza.JIDMalformed {
			refused = &stream.Error{Condition: stream.ImproperAddressing, Text: se.Text}
		}
		c.incident("dialback", c.name(), "err", err)
		return c.fail(t, refused)
	}
	switch {
	case m.Type != dialback.Ask:
		c.answered(m)
	case m.Verify:
		c.known(m)
	case c.accepted == nil:
		c.say(m.Answer(dialback.Failed, stanza.FeatureNotImplemented.Err("")))
	default:
		return c.judgeKey(t, m)
	}
	return true
}

func (c *conn) say(m *dialback.Message) { c.out.control(m.AppendXML(nil)) }

// known says whether a key is ours: we are the authoritative server of the question's receiver.
func (c *conn) known(m *dialback.Message) {
	s := c.service
	switch {
	case !s.Server.Hosts(m.To.Domain()):
		c.say(m.Answer(dialback.Failed, stanza.ItemNotFound.Err("")))
	case dialback.IsKey(m.Key, s.secretOf(m.To), m.From, m.To, m.ID):
		c.say(m.Answer(dialback.Valid, nil))
	default:
		c.incident("key", m.From.String(), "to", m.To.String())
		c.say(m.Answer(dialback.Invalid, nil))
	}
}

// judgeKey judges a key with which the peer says that it is the server of m.From. Where its certificate says
// so too nobody is asked; otherwise the server that is found under the name is, on another connection.
func (c *conn) judgeKey(t *server.Turn, m *dialback.Message) (more bool) {
	s, p := c.service, c.service.policy.Load()
	pair := store.Route{From: m.To, To: m.From}
	if c.asked++; c.asked > maxProofs {
		return c.fail(t, &stream.Error{Condition: stream.PolicyViolation, Text: "too many keys"})
	}
	proof := c.proves(m.From)
	switch {
	case !s.Server.Hosts(m.To.Domain()):
		c.refuseKey(m, stanza.ItemNotFound.Err(""), "host-unknown", nil)
	case errors.Is(proof, errOurs):
		c.refuseKey(m, stanza.NotAllowed.Err("the domain is served here"), "self", nil)
	case !p.allows(m.From.Domain()):
		c.refuseKey(m, stanza.PolicyViolation.Err("this server does not talk with that domain"), "blocked", nil)
	case proof == nil:
		c.accept(m, pair, "certificate")
	case p.required(m.From.Domain()):
		c.refuseKey(m, stanza.NotAuthorized.Err("a valid certificate is required"), "certificate", proof)
	case c.takes[pair]:
		c.say(m.Answer(dialback.Valid, nil))
	case c.judging >= maxJudging || !s.judging.enter(prefix(c.Remote().Addr()), orHuge(s.limits.Load().Dials)):
		s.metrics.questionsFull.Inc()
		c.refuseKey(m, stanza.ResourceConstraint.Err("too many keys at one time"), "busy", nil)
	default:
		c.judging++
		question := &dialback.Message{Verify: true, From: m.To, To: m.From, ID: c.machine.ID(), Key: m.Key}
		s.spawn(func() {
			defer s.judging.leave(prefix(c.Remote().Addr()))
			ctx, cancel := context.WithTimeout(s.running, questionTime)
			defer cancel()
			answer, err := s.ask(ctx, pair, question)
			c.judged(m, pair, answer, err)
		})
	}
	if c.refusals > maxRefusals {
		return c.fail(t, &stream.Error{Condition: stream.PolicyViolation, Text: "too many keys were refused"})
	}
	return true
}

// judging counts the keys that are being judged. Those that come from one address are a quarter of all at most: whoever names
// authorities that never answer keeps out nobody but himself.
type judging struct {
	mu  sync.Mutex
	all int
	of  map[netip.Prefix]int
}

// enter counts one more, unless there are as many as may be; leave undoes it.
func (x *judging) enter(at netip.Prefix, most int) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.all >= most || x.of[at] >= (most+3)/4 {
		return false
	}
	if x.of == nil {
		x.of = make(map[netip.Prefix]int)
	}
	x.all++
	x.of[at]++
	return true
}

func (x *judging) leave(at netip.Prefix) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.all--
	if x.of[at]--; x.of[at] == 0 {
		delete(x.of, at)
	}
}

// questionTime is how long an authority may take to answer, with the time to reach it.
const questionTime = 20 * time.Second

// judged takes what the authority has said, on a goroutine of its own.
func (c *conn) judged(m *dialback.Message, pair store.Route, answer *dialback.Message, err error) {
	c.in.Lock()
	defer c.in.Unlock()
	c.judging--
	p, domain := c.service.policy.Load(), m.From.Domain() // which may have changed meanwhile
	switch {
	case c.over:
	case !p.allows(domain) || p.required(domain) && c.proves(m.From) != nil || !c.service.Server.Hosts(m.To.Domain()):
		c.refuseKey(m, stanza.PolicyViolation.Err("the policy has changed"), "blocked", nil)
	case err != nil:
		c.refuseKey(m, authorityError(err), "authority", err)
	case answer.Type == dialback.Valid:
		c.accept(m, pair, "dialback")
	case answer.Type == dialback.Failed:
		c.refuseKey(m, answer.Error, "authority", answer.Error)
	default:
		c.incident("forged", m.From.String(), "to", m.To.String())
		c.service.metrics.dialbackFailed.WithLabelValues("invalid").Inc()
		c.refusals++
		c.say(m.Answer(dialback.Invalid, nil))
	}
}

// accept lets the peer in for a pair.
func (c *conn) accept(m *dialback.Message, pair store.Route, how string) {
	if !c.takes[pair] && !c.full() {
		// The answer first: stanzas of ours may follow.
		c.say(m.Answer(dialback.Valid, nil))
		c.admit(pair, how)
		return
	}
	if c.takes[pair] {
		c.say(m.Answer(dialback.Valid, nil))
		return
	}
	c.service.metrics.pairsFull.Inc()
	c.refuseKey(m, stanza.ResourceConstraint.Err("too many domains on one stream"), "pairs", nil)
}

func (c *conn) full() bool {
	most := c.service.limits.Load().Pairs
	return most > 0 && len(c.takes) >= most
}

// refuseKey tells the peer that its key could not be judged, or will not. Nothing else on the stream is touched.
func (c *conn) refuseKey(m *dialback.Message, e *stanza.Error, reason string, cause error) {
	c.refusals++
	c.service.metrics.dialbackFailed.WithLabelValues(reason).Inc()
	args := []any{"reason", reason, "to", m.To.String()}
	if cause != nil {
		args = append(args, "err", cause)
	}
	c.incident("dialback", m.From.String(), args...)
	c.say(m.Answer(dialback.Failed, e))
}

// authorityError is what a peer is told where the authority of its name could not be asked. XEP-0220 §2.5.
func authorityError(err error) *stanza.Error {
	var o *outageError
	if errors.As(err, &o) && o.permanent {
		return stanza.RemoteServerNotFound.Err("")
	}
	return stanza.RemoteServerTimeout.Err("")
}

// question is one that we have asked on this connection.
type question struct {
	dialback.Message
	reply chan *dialback.Message // one: nil where the stream has ended
}

func (q *question) answer(m *dialback.Message) { q.reply <- m }

// answered takes an answer: it counts where it is one to a question of ours on this very stream, by both names and
// the id; any other is nobody's. XEP-0220 §5.
func (c *conn) answered(m *dialback.Message) {
	i := slices.IndexFunc(c.questions, func(q *question) bool { return m.Answers(&q.Message) })
	if i < 0 {
		c.service.metrics.unsolicited.Inc()
		c.incident("unsolicited", c.name(), "from", m.From.Domain(), "to", m.To.Domain())
		return
	}
	q := c.questions[i]
	c.questions = slices.Delete(c.questions, i, i+1)
	if !m.Verify && m.Type == dialback.Valid {
		c.verified(store.Route{From: q.From, To: q.To}, "dialback") // stanzas may follow at once
	}
	q.answer(m)
}

var errManyQuestions = errors.New("s2s: too many questions on one connection")

// ask asks on this connection and waits for the answer.
func (c *conn) ask(ctx context.Context, m *dialback.Message) (*dialback.Message, error) {
	q := &question{Message: *m, reply: make(chan *dialback.Message, 1)}
	c.in.Lock()
	switch {
	case c.over || c.machine.State() == stream.Closed:
		c.in.Unlock()
		return nil, errClosed
	case len(c.questions) >= maxQuestions:
		c.in.Unlock()
		return nil, errManyQuestions
	}
	if !m.Verify {
		q.Key = dialback.Key(c.service.secretOf(m.From), m.To, m.From, c.machine.ID())
	}
	c.questions = append(c.questions, q)
	c.say(&q.Message)
	c.in.Unlock()
	select {
	case answer := <-q.reply:
		if answer == nil {
			return nil, errClosed
		}
		return answer, nil
	case <-ctx.Done():
		c.in.Lock()
		c.questions = slices.DeleteFunc(c.questions, func(x *question) bool { return x == q })
		c.in.Unlock()
		return nil, ctx.Err()
	}
}

// ask asks the authority of a name, at the address where the name is found, on a connection of ours.
func (s *Service) ask(ctx context.Context, pair store.Route, m *dialback.Message) (*dialback.Message, error) {
	c, err := s.reach(ctx, pair, false)
	if err != nil {
		return nil, err
	}
	return c.ask(ctx, m)
}
