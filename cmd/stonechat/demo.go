// SPDX-License-Identifier: Apache-2.0

package main

// How to read this file: Run brings up a server as serve does, makes its accounts (account), runs
// its things as clients of it, each over TLS like any device (demo_things.go), has the person
// befriend them and hear what they say (person), and says what there is to see (explain).

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
	"github.com/stonechat-im/stonechat/xmpp/roster"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// Demo runs a server with a person and three things, to look at.
type Demo struct {
	Data  string        `default:"./demo-data" placeholder:"FOLDER" help:"The demo's data folder; serve can use it afterwards, with the stonechat.yaml in it."`
	Host  string        `default:"127.0.0.1" help:"Where to listen."`
	Port  int           `default:"5222" help:"For clients with STARTTLS, and the next one for direct TLS; where they are taken, the next two that are free. 0 is any."`
	Every time.Duration `default:"10s" help:"How often the thermometer tells a reading."`
}

// The demo's person.
const (
	demoDomain = "localhost"
	demoPerson = "you@" + demoDomain
)

// Run implements the command.
func (d Demo) Run() error {
	if d.Every <= 0 {
		return errors.New("--every: a time above 0")
	}
	ctx, cancel := interrupted()
	defer cancel()
	c := config.Default()
	c.Domains, c.Data = []string{demoDomain}, d.Data
	c.Log.Level = "warn"
	c.Listen.HTTP, c.Listen.HTTPS, c.Listen.Metrics, c.Listen.Server, c.Listen.ServerTLS = nil, nil, nil, nil, nil
	in, err := d.start(c)
	if err != nil {
		return err
	}
	var running sync.WaitGroup
	err = d.run(ctx, cancel, in, &running)
	cancel()
	running.Wait()
	return errors.Join(err, in.stop())
}

func (d Demo) run(ctx context.Context, cancel context.CancelFunc, in *instance, running *sync.WaitGroup) error {
	if err := d.remember(in); err != nil {
		return err
	}
	person, err := d.account(ctx, in, demoPerson)
	if err != nil {
		return err
	}
	failed := make(chan error, len(d.things()))
	for _, t := range d.things() {
		account, err := d.account(ctx, in, t.account())
		if err != nil {
			return err
		}
		run, err := t.start(account, person.Account)
		if err != nil {
			return err
		}
		running.Go(func() {
			if err := run(ctx); err != nil {
				failed <- fmt.Errorf("%s: %w", t.account(), err)
				cancel()
			}
		})
	}
	hears := make(chan string, 1)
	c, err := d.person(ctx, person, hears)
	if err == nil {
		defer c.Close() //nolint:errcheck // it only listens
		d.explain(in, person)
		d.listen(ctx, hears)
	} else if ctx.Err() == nil {
		return err
	}
	select {
	case err := <-failed:
		return err
	default:
		fmt.Println("\nEnding: what is stored stays in", d.Data)
		return nil
	}
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
`, demoDomain, data, in.address("client"), in.address("client_tls"))
	return os.WriteFile(filepath.Join(d.Data, "stonechat.yaml"), []byte(text), 0o600)
}

// account makes an account, with a password of this data folder, and says how to log in to it.
func (d Demo) account(ctx context.Context, in *instance, name string) (client.Config, error) {
	c := client.Config{Account: jid.MustParse(name), Address: in.address("client")}
	if err := c.Trust(d.certificate()); err != nil {
		return c, err
	}
	file := filepath.Join(d.Data, name+".password")
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

// person logs in as the person and makes the things contacts, as a messenger would, so that they
// are there when the person comes. What they say goes to hears, as long as somebody listens.
func (d Demo) person(ctx context.Context, person client.Config, hears chan<- string) (*client.Client, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	c, err := client.New(person)
	if err != nil {
		return nil, err
	}
	granted := make(chan jid.JID, 100)
	grants := func(i roster.Item) {
		if i.Subscription&roster.To != 0 {
			select {
			case granted <- i.JID:
			default:
			}
		}
	}
	c.HandleRoster(func(_ context.Context, i roster.Item) { grants(i) })
	c.Handle(stanza.Message, xmlstream.Name{Space: stanza.NSClient, Local: "body"}, func(_ context.Context, s *stanza.Stanza) {
		select {
		case hears <- fmt.Sprintf("%s  %s: %s", time.Now().Format(time.TimeOnly), s.From.Local(), stanza.BodyOf(s)):
		default:
		}
	})
	if err := c.Connect(ctx); err != nil {
		return nil, err
	}
	err = d.befriend(ctx, c, grants, granted)
	if err == nil {
		err = c.Announce(ctx, client.Availability{Status: "hears what the things say"})
	}
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// befriend asks the things for their presence and waits until all have granted it.
func (d Demo) befriend(ctx context.Context, c *client.Client, grants func(roster.Item), granted <-chan jid.JID) error {
	items, err := c.Roster(ctx)
	if err != nil {
		return err
	}
	missing := map[jid.JID]bool{}
	for _, t := range d.things() {
		contact := jid.MustParse(t.account())
		missing[contact] = true
		is := func(i roster.Item) bool { return i.JID == contact && i.Subscription&roster.To != 0 }
		if i := slices.IndexFunc(items, is); i >= 0 {
			grants(items[i])
			continue
		}
		if err := errors.Join(c.SetContact(ctx, contact, t.title), c.Subscribe(ctx, contact)); err != nil {
			return err
		}
	}
	for len(missing) > 0 {
		select {
		case contact := <-granted:
			delete(missing, contact)
		case <-ctx.Done():
			return fmt.Errorf("%d things have not granted their presence: %w", len(missing), context.Cause(ctx))
		}
	}
	return nil
}

// demoLines is how much of what the things say is printed: what is above it must not scroll away.
const demoLines = 8

// listen prints what the person hears at first, and waits for the end.
func (d Demo) listen(ctx context.Context, hears <-chan string) {
	for range demoLines {
		select {
		case line := <-hears:
			fmt.Println("  " + line)
		case <-ctx.Done():
			return
		}
	}
	fmt.Println("  … and so on: they go on telling you, wherever you are logged in.")
	<-ctx.Done()
}

// explain says what to look at.
func (d Demo) explain(in *instance, person client.Config) {
	fmt.Printf(`
A Stonechat server is running, with a person and three things in it: a
thermometer, a lamp and a motion sensor, each a client of its own over TLS.

Log in as the person with any XMPP client:
  address   %s
  password  %s
  server    %s (STARTTLS) or %s (direct TLS)
The server has made its certificate itself, so your client will ask you to
trust it: %s

What to look at: the things are in the contact list, and tell you what they
notice. Write to the lamp "set lamp on"; to any of them "read", or "help".
They obey you alone.

Or with this program, in another terminal:
  export STONECHAT_JID=%s STONECHAT_PASSWORD=%s
  export STONECHAT_ADDRESS=%s
  export STONECHAT_CA=%s
  stonechat listen
  stonechat send lamp@%s set lamp on

Ctrl-C ends the demo. "stonechat serve -c %s" goes on
with the same accounts. What you hear meanwhile:
`, person.Account, person.Password, in.address("client"), in.address("client_tls"), d.certificate(),
		person.Account, person.Password, in.address("client"), d.certificate(), demoDomain, filepath.Join(d.Data, "stonechat.yaml"))
}
