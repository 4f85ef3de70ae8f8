// SPDX-License-Identifier: Apache-2.0

package main

// How to read this file: Run brings up a server as serve does, makes its accounts (accounts), runs
// its things as clients of it, each over TLS like any device (things), has the person befriend
// them (befriend), and says what there is to see (explain).

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/stonechat-im/stonechat/client"
	"github.com/stonechat-im/stonechat/config"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/thing"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/roster"
)

// Demo runs a server with a person and a thing, to look at.
type Demo struct {
	Data  string        `default:"./demo-data" help:"The demo's data folder; serve can use it afterwards, with the stonechat.yaml in it."`
	Host  string        `default:"127.0.0.1" help:"Where to listen."`
	Port  int           `default:"5222" help:"For clients with STARTTLS, and the next one for direct TLS; where they are taken, the next two that are free. 0 is any."`
	Every time.Duration `default:"10s" help:"How often the thermometer tells a reading."`
}

// The demo's accounts.
const (
	demoDomain = "localhost"
	demoPerson = "you@" + demoDomain
	demoMeter  = "thermometer@" + demoDomain
)

// Run implements the command.
func (d Demo) Run() error {
	ctx, cancel := interrupted()
	defer cancel()
	c := config.Default()
	c.Domains, c.Data = []string{demoDomain}, d.Data
	c.Log.Level = "warn"
	c.Listen.HTTP, c.Listen.HTTPS, c.Listen.Metrics = nil, nil, nil
	in, err := d.start(c)
	if err != nil {
		return err
	}
	var things sync.WaitGroup
	err = d.run(ctx, cancel, in, &things)
	cancel()
	things.Wait()
	return errors.Join(err, in.stop())
}

func (d Demo) run(ctx context.Context, cancel context.CancelFunc, in *instance, things *sync.WaitGroup) error {
	if err := d.remember(); err != nil {
		return err
	}
	person, err := d.account(ctx, in, demoPerson)
	if err != nil {
		return err
	}
	meter, err := d.account(ctx, in, demoMeter)
	if err != nil {
		return err
	}
	begun := time.Now()
	t, err := thing.New(thing.Config{
		Client: meter, Owner: person.Account, Name: "Thermometer", Transient: true, Every: d.Every,
		Read: func(context.Context) ([]thing.Field, error) {
			// A day in ten minutes, between 17 and 23 °C.
			degrees := 20 + 3*math.Sin(time.Since(begun).Minutes()*2*math.Pi/10)
			return []thing.Field{{Name: "temperature", Unit: "Cel", Value: thing.Number(math.Round(degrees*10) / 10)}}, nil
		},
	})
	if err != nil {
		return err
	}
	failed := make(chan error, 1)
	things.Go(func() {
		if err := t.Run(ctx); err != nil {
			failed <- fmt.Errorf("%s: %w", demoMeter, err)
			cancel()
		}
	})
	if err := d.befriend(ctx, person, meter.Account); err != nil && ctx.Err() == nil {
		return err
	}
	if ctx.Err() == nil {
		d.explain(in, person)
	}
	<-ctx.Done()
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
func (d Demo) remember() error {
	data, err := filepath.Abs(d.Data)
	if err != nil {
		return err
	}
	text := fmt.Sprintf("# The server of the demo: stonechat serve -c stonechat.yaml\ndomains: [%s]\ndata: %s\n", demoDomain, strconv.Quote(data))
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

// befriend makes the thing a contact of the person, as a messenger would, so that it is there
// when the person comes.
func (d Demo) befriend(ctx context.Context, person client.Config, contact jid.JID) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	c, err := client.New(person)
	if err != nil {
		return err
	}
	seen := make(chan struct{}, 1)
	c.HandleRoster(func(_ context.Context, i roster.Item) {
		if i.JID == contact && i.Subscription&roster.To != 0 {
			select {
			case seen <- struct{}{}:
			default:
			}
		}
	})
	if err := c.Connect(ctx); err != nil {
		return err
	}
	defer c.Close() //nolint:errcheck // what was to be done is done, or failed already
	items, err := c.Roster(ctx)
	if err != nil {
		return err
	}
	for _, i := range items {
		if i.JID == contact && i.Subscription&roster.To != 0 {
			return nil
		}
	}
	if err := errors.Join(c.SetContact(ctx, contact, "Thermometer"), c.Subscribe(ctx, contact)); err != nil {
		return err
	}
	select {
	case <-seen:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%s has not granted its presence: %w", contact, context.Cause(ctx))
	}
}

// explain says what to look at.
func (d Demo) explain(in *instance, person client.Config) {
	fmt.Printf(`
A Stonechat server is running, with a person and a thing in it.

Log in as the person with any XMPP client:
  address   %s
  password  %s
  server    %s (STARTTLS) or %s (direct TLS)
The server has made its certificate itself, so your client will ask you to trust it:
  %s

What to look at: the thermometer, %s, is in the contact list. While you are there it
tells you a reading every %s. Write to it "help" or "read".

Or with this program, in another terminal:
  export STONECHAT_JID=%s STONECHAT_PASSWORD=%s STONECHAT_ADDRESS=%s STONECHAT_CA=%s
  stonechat listen
  stonechat send %s read

Ctrl-C ends the demo.
`, person.Account, person.Password, in.address("client"), in.address("client_tls"), d.certificate(), demoMeter, d.Every,
		person.Account, person.Password, in.address("client"), d.certificate(), demoMeter)
}
