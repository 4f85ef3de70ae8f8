// SPDX-License-Identifier: Apache-2.0

// Package command is the vocabulary of ad-hoc commands: what an entity can be told to do by anybody's client, in
// one step or led through several forms.
//
// XEP-0050 (partial, 1.3.0): the list of commands is asked for, and not pushed (§2.3)
//
// How to read this package: command.go has the element and its parts, xml.go writes and reads them, error.go is what
// is refused; execution.go is one command under way as whoever carries it out sees it, and sessions.go remembers
// those of an entity. It has no lock, clock or connection, so that servers and things share it.
package command

import (
	"strings"

	"github.com/stonechat-im/stonechat/xmpp/form"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// NS qualifies <command/>. It is the feature that announces commands, and the node at which service discovery lists
// them. XEP-0050 §2.1, §2.2
const NS = "http://jabber.org/protocol/commands"

// Category is the category of the identities of the list of commands and of each command, which have these types.
// XEP-0050 §7.2
const (
	Category = "automation"
	TypeList = "command-list"
	TypeNode = "command-node"
)

// Action is what a requester wants of a stage. XEP-0050 §4.1
type Action string

// The actions. No action is Execute.
const (
	Execute  Action = "execute" // to begin; later whatever the stage has as its default
	Prev     Action = "prev"
	Next     Action = "next"
	Complete Action = "complete"
	Cancel   Action = "cancel"
)

// Status is how far a command has come. XEP-0050 §4.1
type Status string

// The statuses.
const (
	Executing Status = "executing"
	Completed Status = "completed"
	Canceled  Status = "canceled"
)

// Command asks for a stage of a command, or is the answer. It implements stanza.Payload. XEP-0050 §4.1
type Command struct {
	Node    string // which command; required
	Session string // given by the first answer, and required from then on
	Action  Action // of requests
	Status  Status // of answers; "" in what is read where it is none of them
	Lang    string // of what people read, or ""
	Actions *Actions
	Notes   []Note
	Form    *form.Form   // the first data form, or nil
	Payload []stanza.Raw // all else, the more important first. XEP-0050 §3.5
}

// Actions are what a requester may do at a stage, besides Cancel, which is always allowed. XEP-0050 §3.4, §4.2
type Actions struct {
	Default              Action // what Execute stands for; "" is Next
	Prev, Next, Complete bool
}

// Allow makes actions of a list; the first is the default.
func Allow(allowed ...Action) *Actions {
	a := new(Actions)
	for i, action := range allowed {
		if i == 0 {
			a.Default = action
		}
		a.set(action)
	}
	return a
}

func (a *Actions) set(action Action) {
	switch action {
	case Prev:
		a.Prev = true
	case Next:
		a.Next = true
	case Complete:
		a.Complete = true
	}
}

// Allows reports whether an action may be taken. Where there are no actions, nil, only Complete may.
func (a *Actions) Allows(action Action) bool {
	switch {
	case action == Cancel:
		return true
	case a == nil:
		return action == Complete
	}
	switch action {
	case Prev:
		return a.Prev
	case Next:
		return a.Next
	case Complete:
		return a.Complete
	}
	return false
}

// Resolve is what an action stands for at this stage: Execute for the default, any other for itself. ok is false
// where that is not allowed.
func (a *Actions) Resolve(action Action) (_ Action, ok bool) {
	if action == Execute || action == "" {
		switch {
		case a == nil:
			action = Complete
		case a.Default == "":
			action = Next
		default:
			action = a.Default
		}
	}
	return action, a.Allows(action)
}

// Severity is how bad the news of a note is. XEP-0050 §4.3
type Severity string

// The severities. None is Info.
const (
	Info  Severity = "info"
	Warn  Severity = "warn"
	Error Severity = "error" // a command that completes but fails has one of these. XEP-0050 §3.6
)

// Note tells people something about a command's state.
type Note struct {
	Severity Severity
	Text     string
}

// Failed reports whether an answer says that the command has failed: its note, if so.
func (c *Command) Failed() (Note, bool) {
	for _, n := range c.Notes {
		if n.Severity == Error {
			return n, true
		}
	}
	return Note{}, false
}

// speaks reports whether who speaks the language of ours understands what is in the one wanted: "en" is good for
// "en-GB", and the other way round.
func speaks(ours, wanted string) bool {
	a, _, _ := strings.Cut(ours, "-")
	b, _, _ := strings.Cut(wanted, "-")
	return strings.EqualFold(a, b)
}
