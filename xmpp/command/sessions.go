// SPDX-License-Identifier: Apache-2.0

package command

// How to read this file: whoever answers commands calls Take with each request; carries out what Take says, without a
// lock; and calls Put, which makes the answer. Ids of sessions bear a seal, so that one that is over is told from one
// that never was, though nothing of it is remembered.

import (
	"container/list"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"time"

	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// Sessions are the executions that an entity has under way. The caller has the lock.
type Sessions struct {
	Most  int           // under way at once; more are refused with resource-constraint
	OfOne int           // of one bare address: its oldest ends for one more
	Life  time.Duration // since the last request, then it is over
	Lang  string        // what is spoken: "en"
	// Ended is told how many have ended before their time, for lack of room; nil: nobody.
	Ended func(n int)

	key   []byte
	all   map[string]*list.Element // *Execution
	order list.List                // by the last request, the oldest first
	of    map[jid.JID]int          // how many, by bare address
}

// Len is how many are under way.
func (s *Sessions) Len() int { return len(s.all) }

// Take begins or goes on with what c, from by to at, asks for. One of three things comes of it: an error; an answer, where
// there is nothing to be carried out; or an Execution, whose stage is to be carried out and then given to Put. The
// caller has made sure that there is the command, and that who asks may have it. The error is a *stanza.Error.
func (s *Sessions) Take(now time.Time, by, at jid.JID, c *Command) (x *Execution, answer *Command, err error) {
	s.expire(now)
	if c.Lang != "" && !speaks(s.Lang, c.Lang) {
		return nil, nil, Err(BadLocale, "this entity does not speak that language")
	}
	if c.Session == "" {
		x, err = s.begin(now, by, at, c)
		return x, nil, err
	}
	if !s.issued(c.Session, by, at, c.Node) {
		return nil, nil, Err(BadSessionID, "there is no such session")
	}
	e := s.all[c.Session]
	if e == nil {
		return nil, nil, Err(SessionExpired, "the session is over")
	}
	x = e.Value.(*Execution)
	switch {
	case c.Action == Cancel:
		s.drop(x)
		return nil, &Command{Node: x.Node, Session: x.id, Lang: x.lang, Status: Canceled}, nil
	case x.busy:
		return nil, nil, stanza.UnexpectedRequest.Err("the request before is still being carried out")
	}
	x.used = now
	s.order.MoveToBack(e)
	again, err := x.Submit(c)
	if err != nil {
		return nil, nil, err
	}
	if again {
		return nil, x.answer(), nil
	}
	x.busy = true
	return x, nil, nil
}

// begin makes a session.
func (s *Sessions) begin(now time.Time, by, at jid.JID, c *Command) (*Execution, error) {
	switch c.Action {
	case "", Execute, Next, Complete: // a client that knows the command may want the end at once
	default:
		return nil, Err(BadAction, "nothing is under way")
	}
	bare := by.Bare().Clone()
	if s.of[bare] >= s.OfOne {
		for e := s.order.Front(); e != nil; e = e.Next() {
			if x := e.Value.(*Execution); x.By.Bare() == bare {
				s.drop(x)
				s.ended(1)
				break
			}
		}
	}
	if len(s.all) >= s.Most {
		s.ended(1)
		return nil, stanza.ResourceConstraint.Err("too many commands are under way")
	}
	x := &Execution{Node: c.Node, By: by.Clone(), At: at.Clone(), Action: Execute, lang: s.Lang, busy: true, used: now}
	x.id = s.newID(by, at, c.Node)
	if s.all == nil {
		s.all, s.of = make(map[string]*list.Element), make(map[jid.JID]int)
	}
	s.all[x.id] = s.order.PushBack(x)
	s.of[bare]++
	return x, nil
}

// Put makes the answer of a stage that was carried out, or has failed with err, which is then returned: the
// requester may try the stage again, but a command that fails at its first stage is over.
func (s *Sessions) Put(x *Execution, err error) (*Command, error) {
	x.busy = false
	if err == nil && !x.said {
		err = stanza.InternalServerError.Err("")
		x.over = true
	}
	if err != nil {
		x.notes, x.payload, x.then = nil, nil, nil
		if x.retry(); x.over || !x.told {
			s.drop(x)
		}
		return nil, err
	}
	if x.over {
		s.drop(x)
	}
	return x.answer(), nil
}

// expire ends those that nobody has asked for in their time.
func (s *Sessions) expire(now time.Time) {
	for e := s.order.Front(); e != nil; {
		x := e.Value.(*Execution)
		if now.Sub(x.used) < s.Life {
			return
		}
		e = e.Next()
		s.drop(x)
	}
}

func (s *Sessions) drop(x *Execution) {
	e := s.all[x.id]
	if e == nil {
		return
	}
	s.order.Remove(e)
	delete(s.all, x.id)
	bare := x.By.Bare()
	if s.of[bare]--; s.of[bare] == 0 {
		delete(s.of, bare)
	}
}

func (s *Sessions) ended(n int) {
	if s.Ended != nil {
		s.Ended(n)
	}
}

// idBytes is the random part of an id, sealBytes what says that it is ours.
const idBytes, sealBytes = 15, 10

func (s *Sessions) newID(by, at jid.JID, node string) string {
	random := make([]byte, idBytes)
	rand.Read(random)
	return encoding().EncodeToString(append(random, s.seal(random, by, at, node)...))
}

// issued reports whether an id was given to that requester, by that responder, for that command.
func (s *Sessions) issued(id string, by, at jid.JID, node string) bool {
	b, err := encoding().DecodeString(id)
	return err == nil && len(b) == idBytes+sealBytes && hmac.Equal(b[idBytes:], s.seal(b[:idBytes], by, at, node))
}

func (s *Sessions) seal(random []byte, by, at jid.JID, node string) []byte {
	if s.key == nil {
		s.key = make([]byte, sha256.Size)
		rand.Read(s.key)
	}
	h := hmac.New(sha256.New, s.key)
	for _, part := range []string{string(random), by.String(), at.String(), node} {
		h.Write([]byte(part))
		h.Write([]byte{0})
	}
	return h.Sum(nil)[:sealBytes]
}

func encoding() *base32.Encoding { return base32.HexEncoding.WithPadding(base32.NoPadding) }
