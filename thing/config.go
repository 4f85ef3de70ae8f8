// SPDX-License-Identifier: Apache-2.0

package thing

// How to read this file: Config is what a program says of a thing; Environment is what whoever runs it says; complete fills in the
// rest, and finds what cannot work.

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"time"

	"github.com/stonechat-im/stonechat/client"
	"github.com/stonechat-im/stonechat/xmpp/command"
	"github.com/stonechat-im/stonechat/xmpp/concentrator"
	"github.com/stonechat-im/stonechat/xmpp/control"
	"github.com/stonechat-im/stonechat/xmpp/disco"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/jsonmsg"
	"github.com/stonechat-im/stonechat/xmpp/provisioning"
	"github.com/stonechat-im/stonechat/xmpp/registry"
	"github.com/stonechat-im/stonechat/xmpp/sensordata"
)

// Config says what the thing is. Client.Account and Client.Password are needed.
type Config struct {
	Client client.Config
	// Owner is whose the thing is, bare, until the registry says something else: from then on that counts, with State after a restart
	// as well. The zero JID: whoever claims it.
	Owner jid.JID
	Name  string // for people, "Thermometer in the kitchen"

	// Read takes a reading: for Every, and when somebody reads. It may be nil: then the Fields that have a Read are taken or,
	// where there are none, what was reported last. It runs on one goroutine at a time.
	Read func(ctx context.Context) ([]Field, error)
	// Fields declares what can be read, which Read need not: forms and lists then have it before it was ever measured.
	Fields []Measure
	// Every is how often a reading is taken and told. 0 is never by itself.
	Every time.Duration

	// Sleep lets go of the connection between readings, to save power. What the owner says meanwhile
	// waits on the server until the next: Stale must be more than Every for it to be obeyed. A
	// server that forgets the session before then shows the thing as gone.
	Sleep bool

	// Parameters are what may be set, and Commands what the thing can be told to do.
	Parameters []Parameter
	Commands   []Command
	// Stop brings everything to a halt, whatever else is being done: the word "stop", said to the thing or in one of its
	// rooms, calls it at once, on a goroutine of its own. It may be called again while it runs.
	Stop func(ctx context.Context) error

	// Tell is whom what is reported is told, and so how. 0 is ToOwner.
	Tell Telling

	// Rooms are where the thing talks, and is talked to.
	Rooms []Room

	// Nodes are what the thing speaks for beside itself (XEP-0326). See Thing.SetNodes and Thing.ReportNode.
	Nodes []Node

	// Maker (a domain name), Model, Serial and Version are what a registry knows the thing by, and Tags what else there is to know;
	// an owner sees them when he claims it.
	Maker, Model, Serial, Version string
	Tags                          registry.Tags
	// Claim is told how a thing without an owner is claimed, when it is registered: for a label, a screen or, as Main has it, a
	// code in the terminal. nil: nobody.
	Claim func(Claim)
	// Claimed is told the owner when somebody has claimed the thing, and the zero JID when he has given it up. nil: nobody.
	Claimed func(owner jid.JID)

	// Token makes the thing's account at its first start, by what the operator of the server has given the maker (XEP-0445). Then
	// the password may be left out: with a State the thing makes its own.
	Token string

	// Registry is the service that knows who owns the thing and who may what. Zero: things.DOMAIN of its account.
	Registry jid.JID

	// Keep is how many readings are kept while they cannot be told; then the oldest goes for a
	// new one. 0 is 1,000.
	Keep int
	// History is how many readings are remembered, told or not, of the thing and of each of its nodes, for whoever asks what was:
	// XEP-0323's historical values. They are in memory. 0 is 100; less is none.
	History int
	// State is a folder for what must outlive a power cut: the readings that are not told, and how
	// strong the account's logins were, for which see client.Config.Mechanism (if that is given, it
	// counts). One thing at a time may use it. "" keeps nothing.
	State string
	// Transient tells readings only to an owner who is there: nothing waits on the server
	// (XEP-0334's no-store).
	Transient bool
	// Told is told of each reading when the server has it (nil), or that it never will; at is when it was reported. It must not
	// block. nil: nobody.
	Told func(at time.Time, err error)
	// Stale is the age at which a command that has waited on the server is not obeyed any more: a
	// heater is not to be turned on by yesterday's word. 0 is one minute.
	Stale time.Duration
}

// Environment makes a Config of the environment: see client.Environment, and
//
//	STONECHAT_OWNER  Config.Owner; unset: whoever claims it
//	STONECHAT_STATE  Config.State
//	STONECHAT_TOKEN  Config.Token; then STONECHAT_PASSWORD may be left out
func Environment() (Config, error) {
	c, err := client.Environment()
	if err != nil {
		return Config{}, err
	}
	var owner jid.JID
	if s := os.Getenv("STONECHAT_OWNER"); s != "" {
		if owner, err = jid.Parse(s); err != nil {
			return Config{}, fmt.Errorf("thing: STONECHAT_OWNER is not an address: %w", err)
		}
	}
	return Config{Client: c, Owner: owner, State: os.Getenv("STONECHAT_STATE"), Token: os.Getenv("STONECHAT_TOKEN")}, nil
}

func (c *Config) complete() error {
	switch {
	case c.Owner.IsDomain():
		return errors.New("thing: an owner is the address of an account")
	case !c.Owner.IsZero() && c.Owner.Bare() == c.Client.Account.Bare():
		return errors.New("thing: its owner needs another account")
	case c.Sleep && !c.measuresByItself():
		return errors.New("thing: Sleep needs Every: else it would not wake")
	case c.Tell > ToOwner|ToFollowers:
		return errors.New("thing: Tell has nothing but ToOwner and ToFollowers")
	case c.Sleep && len(c.Rooms) > 0:
		return errors.New("thing: who sleeps is in no room")
	}
	if err := c.own().check(); err != nil {
		return err
	}
	if !c.Owner.IsZero() {
		c.Owner = c.Owner.Bare()
	}
	if c.Registry.IsZero() && !c.Client.Account.IsZero() {
		r, err := jid.Parse("things." + c.Client.Account.Domain())
		if err != nil {
			return fmt.Errorf("thing: the domain has no registry: %w", err)
		}
		c.Registry = r
	}
	c.Rooms = slices.Clone(c.Rooms)
	for i := range c.Rooms {
		if err := c.checkRoom(&c.Rooms[i]); err != nil {
			return err
		}
	}
	if err := c.Tags.Check(); err != nil {
		return fmt.Errorf("thing: its tags: %w", err)
	}
	if c.Tell == 0 {
		c.Tell = ToOwner
	}
	if c.Keep <= 0 {
		c.Keep = 1000
	}
	if c.History == 0 {
		c.History = 100
	}
	if c.Stale <= 0 {
		c.Stale = time.Minute
	}
	if c.Client.Log == nil {
		c.Client.Log = slog.New(slog.DiscardHandler)
	}
	if c.Client.Identity == (disco.Identity{}) {
		c.Client.Identity = disco.Identity{Category: "device", Type: "iot", Name: c.Name}
	}
	if c.Client.Caps == "" {
		c.Client.Caps = "urn:stonechat:thing"
	}
	if len(c.Nodes) > 0 {
		c.Client.Features = append(c.Client.Features, concentrator.NS)
	}
	c.Client.Features = append(c.Client.Features, jsonmsg.NS, jsonmsg.NS+"#"+Datatype, command.NS, disco.NSItems,
		sensordata.NS, control.NS, provisioning.NS, registry.NS)
	return nil
}

// own is the thing itself as a node.
func (c *Config) own() *Node {
	return &Node{Name: c.Name, Every: c.Every, Read: c.Read, Fields: c.Fields, Parameters: c.Parameters, Commands: c.Commands}
}

// measuresByItself reports whether anything is taken without somebody asking.
func (c *Config) measuresByItself() bool {
	return c.Every > 0 || slices.ContainsFunc(c.Nodes, func(n Node) bool { return n.Every > 0 })
}

func measures(fields []Measure) bool {
	for i := range fields {
		if fields[i].Read != nil {
			return true
		}
	}
	return false
}

// checkNodes tells what is wrong with the nodes of a concentrator.
func checkNodes(nodes []Node) error {
	if err := unique(nodes, func(n *Node) string { return n.ID + "\x00" + n.Source + "\x00" + n.Cache }); err != nil {
		return err
	}
	for i := range nodes {
		n := &nodes[i]
		if err := checkName("node", n.ID); err != nil {
			return err
		}
		if n.Read == nil && !measures(n.Fields) && len(n.Parameters) == 0 && len(n.Commands) == 0 {
			return fmt.Errorf("thing: node %s can neither be read nor set", n.ID)
		}
		if err := n.check(); err != nil {
			return fmt.Errorf("node %s: %w", n.ID, err)
		}
	}
	return nil
}
