// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/stonechat-im/stonechat/client"
	"github.com/stonechat-im/stonechat/thing"
	"github.com/stonechat-im/stonechat/xmpp/control"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/sensordata"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/xsd"
)

// asker is what commands take that ask a thing.
type asker struct {
	login
	Node    string        `placeholder:"ID" help:"A node behind the thing."`
	Timeout time.Duration `default:"30s" help:"How long to wait for all of the answer."`
	Thing   string        `arg:"" help:"The thing, name@domain: its presence is looked for; or name@domain/resource."`
}

// ThingRead reads a thing.
type ThingRead struct {
	asker
	Fields []string      `arg:"" optional:"" help:"Names of fields; without them all that may be read."`
	Past   time.Duration `help:"What was in this time, instead of what is now: 24h."`
	JSON   bool          `name:"json" help:"Print SenML, in JSON, instead of lines."`
}

// ThingSet sets a parameter.
type ThingSet struct {
	asker
	Name  string `arg:"" help:"The parameter."`
	Value string `arg:"" help:"What it is to be."`
}

// ask logs in, and has f ask the thing.
func (a *asker) ask(f func(ctx context.Context, r *thing.Reader, of jid.JID) error) error {
	of, err := jid.Parse(a.Thing)
	if err != nil {
		return fmt.Errorf("which thing: %w", err)
	}
	config, err := a.config()
	if err != nil {
		return err
	}
	c, err := client.New(config)
	if err != nil {
		return err
	}
	r := thing.NewReader(c)
	ctx, cancel := interrupted()
	defer cancel()
	if err := a.connect(ctx, c); err != nil {
		return err
	}
	// What is there is told to whoever is there; messages are for others.
	err = c.Announce(ctx, client.Availability{Priority: -1})
	if err == nil {
		ctx, cancel := context.WithTimeout(ctx, a.Timeout)
		defer cancel()
		err = f(ctx, r, of)
	}
	return errors.Join(a.explain(err), c.Close())
}

// explain says what a refusal means.
func (a *asker) explain(err error) error {
	var refused *stanza.Error
	if errors.As(err, &refused) {
		switch refused.Condition {
		case stanza.ServiceUnavailable:
			return fmt.Errorf("%w\n%s is not there, or you may do nothing with it: its owner can allow it", err, a.Thing)
		case stanza.Forbidden:
			return fmt.Errorf("%w\nThe owner of %s has not allowed that", err, a.Thing)
		}
	}
	return err
}

// Run implements the command.
func (r ThingRead) Run() error {
	return r.ask(func(ctx context.Context, by *thing.Reader, of jid.JID) error {
		q := sensordata.Request{Categories: sensordata.All &^ sensordata.Historical, Names: r.Fields}
		if r.Past > 0 {
			q.Categories, q.From = sensordata.Historical, xsd.At(time.Now().Add(-r.Past))
		}
		if r.Node != "" {
			q.Nodes = []thing.NodeID{{ID: r.Node}}
		}
		answer, err := by.Read(ctx, of, q)
		if answer != nil {
			err = errors.Join(err, r.print(answer))
		}
		return err
	})
}

// print prints what was read, and returns what could not be.
func (r ThingRead) print(a *thing.Answer) error {
	var err error
	if r.JSON {
		m := sensordata.Mapping{Now: time.Now()}
		list, _ := m.Pack(a.Nodes)
		err = json.NewEncoder(os.Stdout).Encode(json.RawMessage(list.AppendJSON(nil)))
	} else {
		for _, n := range a.Nodes {
			for _, t := range n.Timestamps {
				for _, f := range t.Fields {
					_, e := fmt.Println(strings.Join(slices.DeleteFunc([]string{t.At.String(), n.Node.ID, f.Name, f.Value, f.Unit}, func(s string) bool { return s == "" }), " "))
					err = errors.Join(err, e)
				}
			}
		}
	}
	for _, e := range a.Errors {
		err = errors.Join(err, fmt.Errorf("%s %s", e.Node.ID, e.Text))
	}
	return err
}

// Run implements the command.
func (s ThingSet) Run() error {
	return s.ask(func(ctx context.Context, by *thing.Reader, of jid.JID) error {
		set := &control.Set{}
		if s.Node != "" {
			set.Nodes = []thing.NodeID{{ID: s.Node}}
		}
		f, err := by.Form(ctx, of, set.Nodes...)
		if err != nil {
			return err
		}
		list := control.Descriptions(f)
		i := slices.IndexFunc(list, func(d control.Description) bool { return d.Name == s.Name })
		if i < 0 {
			return fmt.Errorf("%s has no %s that you may set; there is %s", of, s.Name, strings.Join(names(list), ", "))
		}
		value := s.Value
		if list[i].Type == control.TypeBoolean {
			v, err := thing.ParseValue(thing.Boolean, value)
			if err != nil {
				return err
			}
			value = v.SenML().String()
		}
		if value, err = list[i].Type.Clean(value); err != nil {
			return fmt.Errorf("%s is a %s, which %q is not", s.Name, list[i].Type, s.Value)
		}
		set.Parameters = []control.Parameter{{Name: s.Name, Type: list[i].Type, Value: value}}
		_, err = by.Set(ctx, of, set)
		return err
	})
}

func names(list []control.Description) (out []string) {
	for _, d := range list {
		out = append(out, d.Name)
	}
	return out
}
