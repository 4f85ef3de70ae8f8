// SPDX-License-Identifier: Apache-2.0

package main

// How to read this file: Listen is the command, printer takes what arrives, hear makes of a stanza
// what is printed.

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/stonechat-im/stonechat/client"
	"github.com/stonechat-im/stonechat/thing"
	"github.com/stonechat-im/stonechat/xmpp/delay"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// Listen prints what arrives.
type Listen struct {
	login
	JSON     bool `name:"json" help:"A JSON object a line: time, kind, from, type, id, body, delayed, fields (of a thing's reading)."`
	Count    int  `short:"n" placeholder:"N" help:"End after so many messages; what comes later stays on the server."`
	Presence bool `help:"Print presence too."`
}

// heard is one thing that arrived.
type heard struct {
	Time    time.Time `json:"time"` // when it was sent, where the message says so
	Kind    string    `json:"kind"`
	From    string    `json:"from"`
	Type    string    `json:"type"`
	ID      string    `json:"id,omitempty"`
	Body    string    `json:"body,omitempty"`
	Delayed bool      `json:"delayed,omitempty"`
	Fields  []field   `json:"fields,omitempty"`
}

// field is one value of a reading.
type field struct {
	Name  string    `json:"name"`
	Value any       `json:"value"`
	Unit  string    `json:"unit,omitempty"`
	Time  time.Time `json:"time,omitzero"`
}

// Run implements the command.
func (l Listen) Run() error {
	config, err := l.config()
	if err != nil {
		return err
	}
	c, err := client.New(config)
	if err != nil {
		return err
	}
	ctx, cancel := interrupted()
	defer cancel()
	p := &printer{w: os.Stdout, json: l.JSON, left: l.Count, enough: func() {
		c.StopHandling()
		cancel()
	}}
	c.Handle(stanza.Message, xmlstream.Name{}, p.message)
	if l.Presence {
		c.Handle(stanza.Presence, xmlstream.Name{}, p.presence)
	}
	if err := c.Announce(ctx, client.Availability{}); err != nil {
		return err
	}
	if err := l.connect(ctx, c); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return c.Close()
	case <-c.Done():
		return c.Err()
	}
}

// printer writes what is heard, and says when it is enough. Handlers run one at a time.
type printer struct {
	w      io.Writer
	json   bool
	left   int // 0: no end
	enough func()
}

func (p *printer) message(_ context.Context, s *stanza.Stanza) {
	h := hear(s)
	h.Body = stanza.BodyOf(s)
	if fields, err := thing.FieldsOf(s); err == nil { // else it is a message like others
		for _, f := range fields {
			h.Fields = append(h.Fields, field{f.Name, plain(f.Value), f.Unit, f.Time})
		}
	}
	if h.Body == "" && !p.json {
		return // a chat state, a receipt: nothing for people
	}
	p.print(h, fmt.Sprintf("%s: %s", h.From, h.Body))
	if p.left--; p.left == 0 {
		p.enough()
	}
}

// plain is a value as JSON has it.
func plain(v thing.Value) any {
	switch v.Kind() {
	case thing.Numeric:
		return v.Number()
	case thing.Boolean:
		return v.Bool()
	}
	return v.String()
}

func (p *printer) presence(_ context.Context, s *stanza.Stanza) {
	h := hear(s)
	if s.Type == stanza.Available {
		h.Type = "available"
	}
	p.print(h, fmt.Sprintf("%s is %s", h.From, h.Type))
}

func (p *printer) print(h heard, line string) {
	if p.json {
		e := json.NewEncoder(p.w)
		e.SetEscapeHTML(false)
		_ = e.Encode(h)
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
