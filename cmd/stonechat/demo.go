// SPDX-License-Identifier: Apache-2.0

package main

// How to read this file: open brings up a server as serve does, makes its accounts (account) and runs
// its things as clients of it, each over TLS like any device (demo_things.go). They wait for an owner:
// what a person reads and types is in demo_pages.go.

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/stonechat-im/stonechat/client"
	"github.com/stonechat-im/stonechat/config"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/registry"
	"github.com/stonechat-im/stonechat/xmpp/roster"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// Demo runs a server with a small home: a person, a neighbour and five things.
type Demo struct {
	Data    string        `default:"./demo-data" placeholder:"FOLDER" help:"The demo's data folder; serve can use it afterwards, with the stonechat.yaml in it."`
	Host    string        `default:"127.0.0.1" help:"Where to listen."`
	Port    int           `default:"5222" help:"For clients with STARTTLS, and the next one for direct TLS; where they are taken, the next two that are free. 0 is any."`
	Domain  string        `default:"localhost" help:"The domain of the addresses. For a telephone that scans the codes: a name by which it finds this machine, with --host 0.0.0.0."`
	Every   time.Duration `default:"30s" help:"How often the thermometer tells a reading."`
	Claimed bool          `help:"Have the person own all things at once, without claiming them."`
}

// The local parts of the people's addresses, and what is before the domain in that of the service.
const (
	demoPerson    = "you"
	demoNeighbour = "neighbour"
	demoService   = "things."
	demoDesk      = "registry"
)

// household is a demo that runs.
type household struct {
	Demo
	in             *instance
	you, neighbour client.Config
	things         []*device
	news           chan string // what happens, for whoever looks

	ctx     context.Context // of all that runs; its cause is what failed
	cancel  context.CancelCauseFunc
	running sync.WaitGroup
}

// Run implements the command.
func (d Demo) Run() error {
	ctx, cancel := interrupted()
	defer cancel()
	h, err := d.open(ctx)
	if err == nil {
		h.show(os.Stdin, os.Stdout)
		err = h.close()
	}
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		err = nil
	}
	if err == nil {
		fmt.Println("\nEnding: what is stored stays in", d.Data)
	}
	return err
}

// open brings all up, until it is known of each thing whose it is.
func (d Demo) open(ctx context.Context) (*household, error) {
	if d.Every <= 0 {
		return nil, errors.New("--every: a time above 0")
	}
	switch host, err := jid.Parse(demoService + d.Domain); {
	case err != nil:
		return nil, fmt.Errorf("--domain: %w", err)
	case !host.IsDomain():
		return nil, fmt.Errorf("--domain: %q is no domain", d.Domain)
	}
	c := config.Default()
	c.Domains, c.Data = []string{d.Domain}, d.Data
	c.Log.Level = "warn"
	c.Listen.HTTP, c.Listen.HTTPS, c.Listen.Metrics, c.Listen.Server, c.Listen.ServerTLS = nil, nil, nil, nil, nil
	in, err := d.start(c)
	if err != nil {
		return nil, err
	}
	h := &household{Demo: d, in: in, news: make(chan string, 100)}
	h.ctx, h.cancel = context.WithCancelCause(ctx)
	if err := h.furnish(); err != nil {
		return nil, errors.Join(err, h.close())
	}
	return h, nil
}

// close ends all that runs, and returns what made it end before its time.
func (h *household) close() error {
	h.cancel(nil)
	h.running.Wait()
	err := context.Cause(h.ctx)
	if errors.Is(err, context.Canceled) {
		err = nil
	}
	return errors.Join(err, h.in.stop())
}

// furnish makes the accounts and begins what runs.
func (h *household) furnish() error {
	err := h.remember(h.in)
	if err == nil {
		h.you, err = h.account(h.ctx, h.in, demoPerson)
	}
	if err == nil {
		h.neighbour, err = h.account(h.ctx, h.in, demoNeighbour)
	}
	if err != nil {
		return err
	}
	for _, kind := range demoThings() {
		account, err := h.account(h.ctx, h.in, kind.name)
		if err != nil {
			return err
		}
		x, err := h.install(kind, account)
		if err != nil {
			return err
		}
		h.things = append(h.things, x)
	}
	return h.settle()
}

// settle waits until each thing has an owner or can be claimed, and prepares what is the person's.
func (h *household) settle() error {
	ctx, cancel := context.WithTimeout(h.ctx, time.Minute)
	defer cancel()
	for _, x := range h.things {
		select {
		case <-x.settled:
		case <-ctx.Done():
			return fmt.Errorf("%s is not registered: %w", x.name, context.Cause(ctx))
		}
	}
	c, err := client.New(h.you)
	if err == nil {
		err = c.Connect(ctx)
	}
	if err != nil {
		return err
	}
	err = h.introduce(ctx, c)
	if err == nil && h.Claimed {
		err = h.claimAll(ctx, c)
	}
	return errors.Join(err, c.Close())
}

// service is who knows whose things are.
func (h *household) service() jid.JID { return jid.MustParse(demoService + h.Domain) }

// desk is the same for people, at an address that every client writes to.
func (h *household) desk() jid.JID { return jid.MustParse(demoDesk + "@" + demoService + h.Domain) }

// introduce puts the service among the person's contacts, for clients that talk to contacts alone.
func (h *household) introduce(ctx context.Context, c *client.Client) error {
	service := h.desk()
	items, err := c.Roster(ctx)
	if err != nil || slices.ContainsFunc(items, func(i roster.Item) bool { return i.JID == service }) {
		return err
	}
	return c.SetContact(ctx, service, "Things: claim, share, answer")
}

// claimAll has the person claim what is nobody's, as a program does. XEP-0347 §3.9
func (h *household) claimAll(ctx context.Context, c *client.Client) error {
	for _, x := range h.things {
		claim := x.code()
		if claim.Code == "" {
			continue
		}
		code, err := registry.ParseURI(claim.Code)
		if err != nil {
			return err
		}
		mine, ok := code.Claim()
		if !ok {
			return fmt.Errorf("%s has no key", x.name)
		}
		mine.Private = true
		if _, err := c.IQ(ctx, h.service(), stanza.Set, mine); err != nil {
			return fmt.Errorf("claiming %s: %w", x.name, err)
		}
		select {
		case <-x.owned:
		case <-ctx.Done():
			return fmt.Errorf("%s was not told whose it is: %w", x.name, context.Cause(ctx))
		}
	}
	return nil
}

// start starts the server at the first two ports from Port on that are free.
func (d Demo) start(c *config.Config) (*instance, error) {
	const tries = 50
	for i := range tries {
		port := d.Port + 2*i
		a, b := net.JoinHostPort(d.Host, strconv.Itoa(port)), net.JoinHostPort(d.Host, strconv.Itoa(port+1))
		if d.Port == 0 {
			b = a // any will do
		} else if !isFree(a) || !isFree(b) {
			continue
		}
		c.Listen.Client, c.Listen.ClientTLS = []string{a}, []string{b}
		in, err := start(c, "auto")
		if err != nil && d.Port != 0 && (!isFree(a) || !isFree(b)) {
			continue // somebody was quicker
		}
		if err == nil && i > 0 {
			fmt.Printf("Port %d or %d is taken by another program: this server is at %d and %d.\n", d.Port, d.Port+1, port, port+1)
		}
		return in, err
	}
	return nil, fmt.Errorf("no two ports are free from %d on: give another --port", d.Port)
}

func isFree(address string) bool {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return false
	}
	_ = l.Close()
	return true
}

// remember leaves the configuration with which serve, and user, find the data.
func (d Demo) remember(in *instance) error {
	data, err := filepath.Abs(d.Data)
	if err != nil {
		return err
	}
	text := fmt.Sprintf(`# The server of the demo: stonechat serve -c stonechat.yaml
domains: [%s]
data: %q
listen:
  client: [%q]
  client_tls: [%q]
  server: []
  server_tls: []
  http: []
  https: []
  metrics: []
`, d.Domain, data, in.address("client"), in.address("client_tls"))
	return os.WriteFile(filepath.Join(d.Data, "stonechat.yaml"), []byte(text), 0o600)
}

// account makes an account, with a password of this data folder, and says how to log in to it.
func (d Demo) account(ctx context.Context, in *instance, name string) (client.Config, error) {
	c := client.Config{Account: jid.MustParse(name + "@" + d.Domain), Address: in.address("client")}
	if err := c.Trust(d.certificate()); err != nil {
		return c, err
	}
	file := filepath.Join(d.Data, c.Account.String()+".password")
	var err error
	if c.Password, err = client.ReadPassword(file); err == nil {
		return c, nil
	}
	c.Password = strings.ToLower(rand.Text()[:10])
	if err := os.WriteFile(file, []byte(c.Password+"\n"), 0o600); err != nil {
		return c, err
	}
	err = in.server.CreateAccount(ctx, c.Account, c.Password)
	if errors.Is(err, store.ErrExists) {
		err = in.server.SetPassword(ctx, c.Account, c.Password)
	}
	return c, err
}

// certificate is the one that the server has made for itself.
func (d Demo) certificate() string { return filepath.Join(d.Data, "tls", "self-signed.crt") }
