// SPDX-License-Identifier: Apache-2.0

// Package chat lets people talk to a service with words, from any client: a message "claim IoTDisco;SN:1;KEY:…" is answered by
// a message. Whoever is a service has a Table, to which modules add their verbs; "help" is made of these.
//
// How to read it: a message comes in by Table.Answer, which goes on where it may wait; words.go takes it apart.
package chat

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// Message is what somebody says to a service.
type Message struct {
	From jid.JID // who, perhaps with a resource; what may be done is decided by Who
	To   jid.JID // the service
	Rest string  // what follows the verb, as it was written
}

// Who is the bare address of who asks, to which the answer goes.
func (m *Message) Who() jid.JID { return m.From.Bare() }

// Verb is something that a service can be told.
type Verb struct {
	Name  string // in lower case; people may write it as they like
	Usage string // what follows it, for help: "THING NAME"
	Help  string // what it does, in one line
	// Do does it and returns what to say, in words; nothing is said where that is empty. args are the words behind the
	// verb: see Words. It runs on a worker and may wait. The text of a *stanza.Error is said, or what its condition
	// means; ErrUsage has the verb's usage said; of any other error people hear only that there was one.
	Do func(t *server.Turn, m *Message, args []string) (answer string, err error)
}

// ErrUsage is what a verb returns when it is not told what it needs.
var ErrUsage = errors.New("chat: not how the verb is used")

// Bounds of a table.
type Bounds struct {
	Bytes     int // of a message that is read; a longer one is answered so
	Answer    int // bytes of an answer; what is beyond is left out
	PerMinute int // messages of one bare address that are answered
}

// callers are how many addresses are counted at one time.
const callers = 20_000

// Table has the verbs of a service.
type Table struct {
	log     *slog.Logger
	ignored func()
	verbs   []Verb // sorted by name
	err     error

	mu     sync.Mutex
	bounds Bounds
	counts map[jid.JID]int // messages in this minute
	minute time.Time
}

// New makes a table. ignored is told of each message that is not answered because its sender asks too often.
func New(b Bounds, log *slog.Logger, ignored func()) *Table {
	t := &Table{log: log, ignored: ignored, bounds: b}
	t.Add(Verb{Name: "help", Help: "says this", Do: func(*server.Turn, *Message, []string) (string, error) { return t.Help(), nil }})
	return t
}

// Bound sets other bounds.
func (t *Table) Bound(b Bounds) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.bounds = b
}

// Add adds a verb, before the server starts.
func (t *Table) Add(v Verb) {
	i, found := t.find(v.Name)
	if found {
		t.err = errors.Join(t.err, fmt.Errorf("chat: two verbs %q", v.Name))
		return
	}
	t.verbs = slices.Insert(t.verbs, i, v)
}

// Err tells of verbs that cannot be told apart.
func (t *Table) Err() error { return t.err }

func (t *Table) find(name string) (int, bool) {
	return slices.BinarySearchFunc(t.verbs, name, func(v Verb, name string) int { return strings.Compare(v.Name, name) })
}

// Help says what the verbs are.
func (t *Table) Help() string {
	b := new(strings.Builder)
	b.WriteString("You can say:")
	for _, v := range t.verbs {
		fmt.Fprintf(b, "\n• %s: %s", v.form(), v.Help)
	}
	return b.String()
}

// form is how a verb is used.
func (v *Verb) form() string {
	if v.Usage == "" {
		return v.Name
	}
	return v.Name + " " + v.Usage
}

// Answer takes charge of s, a message to the service: what has words in it is answered, where that may wait. Errors, and what
// people are not meant to read, are not; nor is who asks too often, so that two programs never talk to each other for ever.
func (t *Table) Answer(turn *server.Turn, s *stanza.Stanza) {
	if s.Kind != stanza.Message || s.Type != stanza.Chat && s.Type != stanza.Normal || s.From.IsZero() {
		return
	}
	text := strings.TrimSpace(stanza.BodyOf(s))
	if text == "" {
		return
	}
	if !t.admit(turn.Now, s.From.Bare()) {
		t.ignored()
		return
	}
	turn.OffLoop(nil, s, func(turn *server.Turn, s *stanza.Stanza) {
		if answer := t.say(turn, s, strings.Clone(text)); answer != "" {
			turn.Route(t.reply(s, answer))
		}
	})
}

// admit counts a message.
func (t *Table) admit(now time.Time, who jid.JID) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.counts == nil || now.Sub(t.minute) >= time.Minute {
		t.counts, t.minute = make(map[jid.JID]int), now
	}
	n, known := t.counts[who]
	if n >= t.bounds.PerMinute || !known && len(t.counts) >= callers {
		return false
	}
	if !known {
		who = who.Clone()
	}
	t.counts[who] = n + 1
	return true
}

// say is the answer to a message.
func (t *Table) say(turn *server.Turn, s *stanza.Stanza, text string) (answer string) {
	defer func() {
		if r := recover(); r != nil {
			t.log.Error("a verb panicked", "jid", s.From.String(), "panic", r, "stack", string(debug.Stack()))
			answer = failed
		}
	}()
	t.mu.Lock()
	longest := t.bounds.Bytes
	t.mu.Unlock()
	if len(text) > longest {
		return fmt.Sprintf("That is too long: I read up to %d bytes.", longest)
	}
	first, rest := cut(text)
	i, found := t.find(strings.ToLower(strings.TrimPrefix(first, "/")))
	if !found {
		return "I do not understand that. " + t.Help()
	}
	v := &t.verbs[i]
	args, err := Words(rest)
	if err != nil {
		return "A quote is opened and not closed."
	}
	answer, err = v.Do(turn, &Message{From: s.From, To: s.To, Rest: rest}, args)
	switch {
	case err == nil:
		return answer
	case errors.Is(err, ErrUsage):
		return "It is said so: " + v.form()
	case errors.Is(err, context.Canceled):
		return failed
	}
	e, told := stanza.AsError(err)
	switch {
	case !told:
		t.log.Error("a verb failed", "jid", s.From.String(), "err", fmt.Errorf("%s: %w", v.Name, err))
		return failed
	case e.Text != "":
		return capital(e.Text)
	}
	return means(e.Condition)
}

const failed = "That did not work, which is not your fault. Try it again later."

// means is a condition in words.
func means(c stanza.Condition) string {
	switch c {
	case stanza.ItemNotFound:
		return "There is no such thing."
	case stanza.Forbidden, stanza.NotAllowed, stanza.NotAuthorized:
		return "You may not do that."
	case stanza.BadRequest, stanza.NotAcceptable, stanza.JIDMalformed:
		return "I do not understand that."
	case stanza.ResourceConstraint, stanza.PolicyViolation:
		return "That is too much now. Try it again later."
	}
	return failed
}

func capital(s string) string {
	r, n := utf8.DecodeRuneInString(s)
	s = strings.ToUpper(string(r)) + s[n:]
	if last, _ := utf8.DecodeLastRuneInString(s); !strings.ContainsRune(".!?", last) {
		s += "."
	}
	return s
}

// reply answers a message, in its conversation.
func (t *Table) reply(s *stanza.Stanza, answer string) *stanza.Stanza {
	t.mu.Lock()
	longest := t.bounds.Answer
	t.mu.Unlock()
	if len(answer) > longest {
		n := max(longest-len("…"), 0)
		for n > 0 && !utf8.RuneStart(answer[n]) {
			n--
		}
		answer = answer[:n] + "…"
	}
	r := stanza.Text(s.Type, s.From.Bare(), answer)
	r.From, r.ID = s.To.Bare(), []byte(rand.Text())
	if i := s.Find(stanza.NSClient, "thread"); i >= 0 { // RFC 6121 §5.2.5
		space, local, _ := s.Child(i)
		r.Add(&stanza.Raw{Name: nameOf(space, local), Bytes: s.Bytes(i)})
	}
	return r
}
