// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/stonechat-im/stonechat/client"
	"github.com/stonechat-im/stonechat/client/tokens"
	"github.com/stonechat-im/stonechat/thing"
	"github.com/stonechat-im/stonechat/xmpp/control"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/sensordata"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/xsd"
)

// How to read this file: asker is what read and set have in common, up to what a refusal means (explain); then each of them, with what
// it prints.

// asker is what commands take that ask a thing.
type asker struct {
	login
	Identity string        `placeholder:"FILE" help:"Ask as the holder of the certificate in this PEM file, which has its key, too (RSA): the owner of the thing allows that by its token."`
	Node     string        `placeholder:"ID" help:"A node behind the thing."`
	Timeout  time.Duration `default:"30s" help:"How long to wait for all of the answer."`
	Thing    string        `arg:"" help:"The thing, name@domain: its presence is looked for; or name@domain/resource."`
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
	Type  string `placeholder:"TYPE" help:"What the value is: boolean, color, date, dateTime, double, duration, int, long, string or time. Without it the thing is asked; of one that does not say it is guessed."`
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
	r, held := thing.NewReader(c), tokens.New(c)
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
		token := ""
		if token, err = a.bear(ctx, r, held, of); err == nil {
			err = a.explain(f(ctx, r, of), token)
		}
	}
	return errors.Join(err, c.Close())
}

// bear gets the token of the certificate that is to be shown, from the service of the thing's domain.
func (a *asker) bear(ctx context.Context, r *thing.Reader, held *tokens.Tokens, of jid.JID) (string, error) {
	if a.Identity == "" {
		return "", nil
	}
	certificate, err := tls.LoadX509KeyPair(a.Identity, a.Identity)
	if err != nil {
		return "", fmt.Errorf("--identity: %w", err)
	}
	service, err := jid.Parse("things." + of.Domain())
	if err != nil {
		return "", err
	}
	token, err := held.Get(ctx, service, certificate)
	if err == nil {
		r.Bear(held, token)
	}
	return token, err
}

// explain says what a refusal means.
func (a *asker) explain(err error, token string) error {
	var refused *stanza.Error
	if errors.As(err, &refused) {
		if token != "" {
			err = fmt.Errorf("%w\nThe token is %[2]s: \"allow token:%[2]s to read THING\"", err, token)
		}
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
			if err == nil && len(answer.Nodes) == 0 && len(r.Fields) > 0 && r.Past == 0 {
				err = fmt.Errorf("%s tells of no %s; without a name it tells what there is", of, strings.Join(r.Fields, ", "))
			}
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
		t, err := s.valueType(ctx, by, of, set.Nodes)
		if err != nil {
			return err
		}
		value := s.Value
		if t == control.TypeBoolean {
			v, err := thing.ParseValue(thing.Boolean, value)
			if err != nil {
				return err
			}
			value = v.SenML().String()
		}
		if value, err = t.Clean(value); err != nil {
			return fmt.Errorf("%s is a %s, which %q is not", s.Name, t, s.Value)
		}
		set.Parameters = []control.Parameter{{Name: s.Name, Type: t, Value: value}}
		_, err = by.Set(ctx, of, set)
		return err
	})
}

// valueType is of which type the parameter is: as was said, as the thing says, or, where that has no form of what may be set, as slixmpp's and
// Smack's have none, what the value looks like.
func (s ThingSet) valueType(ctx context.Context, by *thing.Reader, of jid.JID, nodes []thing.NodeID) (control.Type, error) {
	if s.Type != "" {
		var known []string
		for t := control.TypeBoolean; t.String() != ""; t++ {
			if t.String() == s.Type {
				return t, nil
			}
			known = append(known, t.String())
		}
		return 0, fmt.Errorf("--type: there is no type %q; there is %s", s.Type, strings.Join(known, ", "))
	}
	f, err := by.Form(ctx, of, nodes...)
	var refused *stanza.Error
	if errors.As(err, &refused) && refused.Condition == stanza.FeatureNotImplemented {
		return looksLike(s.Value), nil
	}
	if err != nil {
		return 0, err
	}
	list := control.Descriptions(f)
	i := slices.IndexFunc(list, func(d control.Description) bool { return d.Name == s.Name })
	if i < 0 {
		return 0, fmt.Errorf("%s has no %s that you may set; there is %s", of, s.Name, strings.Join(names(list), ", "))
	}
	return list[i].Type, nil
}

// looksLike guesses the type of a value: numbers first, since 1 is on as well.
func looksLike(value string) control.Type {
	for _, t := range []control.Type{control.TypeInt, control.TypeLong, control.TypeDouble} {
		if _, err := t.Clean(value); err == nil {
			return t
		}
	}
	if _, err := thing.ParseValue(thing.Boolean, value); err == nil {
		return control.TypeBoolean
	}
	return control.TypeString
}

func names(list []control.Description) (out []string) {
	for _, d := range list {
		out = append(out, d.Name)
	}
	return out
}
