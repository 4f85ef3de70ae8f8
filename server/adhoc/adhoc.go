// SPDX-License-Identifier: Apache-2.0

// Package adhoc leads people through commands (XEP-0050): what the server, accounts, rooms and services can be told to do
// by anybody's client. Whoever has commands is a list of Command and gives its requests to the Leader, which module
// commands makes; the words are those of package xmpp/command.
package adhoc

import (
	"slices"
	"sync"
	"time"

	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/xmpp/command"
	"github.com/stonechat-im/stonechat/xmpp/disco"
	"github.com/stonechat-im/stonechat/xmpp/form"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// Command is something that can be done.
type Command struct {
	Node string // unique where it is offered
	Name string // for people
	// May says who may have it: nil, or a *stanza.Error. It may wait, but for a command of the server itself.
	May func(q *server.Query) error
	// Do carries out a stage of x: see command.Execution. q is the request that led there. It may wait.
	Do func(t *server.Turn, q *server.Query, x *command.Execution) error
}

// Bounds of what is under way.
type Bounds struct {
	Sessions int           // at all addresses together; more are refused with resource-constraint
	OfOne    int           // of one bare address: its oldest ends for one more
	Expire   time.Duration // after the last request
}

// Leader remembers how far everybody has come. Its methods may be called from any goroutine.
type Leader struct {
	mu       sync.Mutex
	sessions command.Sessions
}

// NewLeader makes one. ended is told how many commands were refused, or have ended before their time, for lack of room.
func NewLeader(b Bounds, ended func(n int)) *Leader {
	l := &Leader{sessions: command.Sessions{Lang: "en", Ended: ended}}
	l.Bound(b)
	return l
}

// Bound sets other bounds. What is under way already stays.
func (l *Leader) Bound(b Bounds) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sessions.Most, l.sessions.OfOne, l.sessions.Life = b.Sessions, b.OfOne, b.Expire
}

// Len is how many are under way.
func (l *Leader) Len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.sessions.Len()
}

// Do answers a request to an entity that has these commands. Its handler is Blocking.
func (l *Leader) Do(t *server.Turn, q *server.Query, all []Command) (stanza.Payload, error) {
	var c command.Command
	if _, err := q.Decode(&c); err != nil {
		return nil, veil(q, all, err)
	}
	does, err := find(q, all, c.Node)
	if err != nil {
		return nil, err
	}
	x, answer, err := l.take(q, &c)
	switch {
	case err != nil:
		return nil, err
	case answer != nil:
		return answer, nil
	}
	defer func() {
		if x != nil { // it panicked
			_, _ = l.put(x, stanza.InternalServerError.Err(""))
		}
	}()
	err = does.Do(t, q, x)
	if err == nil && x.Impatient(&c) {
		if _, err = x.Submit(&c); err == nil {
			err = does.Do(t, q, x)
		}
	}
	answer, err = l.put(x, err)
	done := x
	x = nil
	if err != nil {
		return nil, err
	}
	err = q.Answer(t, answer)
	done.Answered()
	return nil, err
}

func (l *Leader) take(q *server.Query, c *command.Command) (*command.Execution, *command.Command, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.sessions.Take(time.Now(), q.From, q.To, c)
}

func (l *Leader) put(x *command.Execution, err error) (*command.Command, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.sessions.Put(x, err)
}

// find is the command of that node, if there is one and who asks may have it.
func find(q *server.Query, all []Command, node string) (*Command, error) {
	for i := range all {
		if all[i].Node == node {
			if err := all[i].May(q); err != nil {
				return nil, veil(q, all, err)
			}
			return &all[i], nil
		}
	}
	return nil, veil(q, all, stanza.ItemNotFound.Err("there is no such command"))
}

// veil makes a refusal what an account that does not exist would answer, for those who may have none of its commands
// (RFC 6121 §8.5.1).
func veil(q *server.Query, all []Command, err error) error {
	if q.User == nil || q.Own() || len(permitted(q, all)) > 0 {
		return err
	}
	return stanza.ServiceUnavailable.Err("")
}

// permitted are those that who asks may have.
func permitted(q *server.Query, all []Command) (list []Command) {
	for _, c := range all {
		if c.May(q) == nil {
			list = append(list, c)
		}
	}
	return list
}

// Info describes a command, or the list of them, of an entity that has these. Other nodes are item-not-found. It may wait.
func (l *Leader) Info(q *server.Query, all []Command, node string) (*disco.Info, error) {
	id := disco.Identity{Category: command.Category, Type: command.TypeList, Name: "Commands"}
	features := []string{command.NS, disco.NSInfo, disco.NSItems}
	if node == command.NS {
		if err := veil(q, all, nil); err != nil {
			return nil, err
		}
	} else {
		c, err := find(q, all, node)
		if err != nil {
			return nil, err
		}
		id = disco.Identity{Category: command.Category, Type: command.TypeNode, Name: c.Name}
		features = []string{command.NS, form.NS, disco.NSInfo}
	}
	return &disco.Info{Node: node, Identities: []disco.Identity{id}, Features: features}, nil
}

// Items lists the commands of an entity that has these, to those who may have them. At the node of a command there is
// nothing; other nodes are item-not-found. It may wait.
func (l *Leader) Items(q *server.Query, all []Command, node string) (*disco.Items, error) {
	answer := &disco.Items{Node: node}
	if node != command.NS {
		_, err := find(q, all, node)
		return answer, err
	}
	if err := veil(q, all, nil); err != nil {
		return nil, err
	}
	for _, c := range permitted(q, all) {
		answer.Items = append(answer.Items, disco.Item{JID: q.To, Node: c.Node, Name: c.Name})
	}
	return answer, nil
}

// Has reports whether a node is the list of these commands, or one of them.
func Has(all []Command, node string) bool {
	return len(all) > 0 && node == command.NS || slices.ContainsFunc(all, func(c Command) bool { return c.Node == node })
}
