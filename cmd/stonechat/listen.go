// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/stonechat-im/stonechat/client"
	"github.com/stonechat-im/stonechat/xmpp/delay"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// Listen prints what arrives.
type Listen struct {
	login
	JSON     bool `name:"json" help:"A JSON object a line: time, from, type, id, body, delayed."`
	Count    int  `short:"n" placeholder:"N" help:"End after so many messages."`
	Presence bool `help:"Print presence too."`
}

// heard is one thing that arrived.
type heard struct {
	Time    time.Time `json:"time"` // when it was sent, where the server says so
	Kind    string    `json:"kind"`
	From    string    `json:"from"`
	Type    string    `json:"type"`
	ID      string    `json:"id,omitempty"`
	Body    string    `json:"body,omitempty"`
	Delayed bool      `json:"delayed,omitempty"`
}

// Run implements the command.
func (l Listen) Run() error {
	ctx, cancel := interrupted()
	defer cancel()
	c, err := l.dial(ctx)
	if err != nil {
		return err
	}
	p := &printer{w: os.Stdout, json: l.JSON, left: l.Count, done: cancel}
	c.Handle(stanza.Message, xmlstream.Name{}, func(_ context.Context, s *stanza.Stanza) { p.message(s) })
	if l.Presence {
		c.Handle(stanza.Presence, xmlstream.Name{}, func(_ context.Context, s *stanza.Stanza) { p.presence(s) })
	}
	if err := c.Announce(ctx, client.Availability{}); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return c.Close()
	case <-c.Done():
		return c.Err()
	}
}

// printer writes what is heard, and says when it is enough.
type printer struct {
	mu   sync.Mutex
	w    io.Writer
	json bool
	left int // 0: no end
	done func()
}

func (p *printer) message(s *stanza.Stanza) {
	h := hear(s)
	h.Body = stanza.BodyOf(s)
	if h.Body == "" && !p.json {
		return // a chat state, a receipt: nothing for people
	}
	p.print(h, fmt.Sprintf("%s: %s", h.From, h.Body))
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.left > 0 {
		if p.left--; p.left == 0 {
			p.done()
		}
	}
}

func (p *printer) presence(s *stanza.Stanza) {
	h := hear(s)
	if s.Type == stanza.Available {
		h.Type = "available"
	}
	p.print(h, fmt.Sprintf("%s is %s", h.From, h.Type))
}

func (p *printer) print(h heard, line string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.json {
		_ = json.NewEncoder(p.w).Encode(h)
		return
	}
	fmt.Fprintln(p.w, h.Time.Local().Format(time.TimeOnly), line)
}

func hear(s *stanza.Stanza) heard {
	h := heard{Time: time.Now(), Kind: s.Kind.String(), From: s.From.String(), Type: s.Type.String(), ID: string(s.ID)}
	var d delay.Delay
	if found, err := s.Decode(&d); found && err == nil {
		h.Time, h.Delayed = d.Stamp, true
	}
	return h
}
