// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"math"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/stonechat-im/stonechat/client"
	"github.com/stonechat-im/stonechat/config"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// Demo runs a server with a person and a thing, to look at.
type Demo struct {
	Data string `default:"./demo-data" help:"The demo's data folder; serve can use it afterwards."`
	Host string `default:"127.0.0.1" help:"Where to listen."`
	Port int    `default:"5222" help:"For clients with STARTTLS; the next port is for direct TLS. If one is taken, free ones are used."`
}

// The demo's accounts.
const (
	demoDomain = "localhost"
	demoPerson = "you@" + demoDomain
	demoThing  = "thermometer@" + demoDomain
)

// Run implements the command.
func (d Demo) Run() error {
	ctx, cancel := interrupted()
	defer cancel()
	c := config.Default()
	c.Domains, c.Data = []string{demoDomain}, d.Data
	c.Log.Level = "warn"
	c.Listen.Client, c.Listen.ClientTLS = []string{d.address(d.Port)}, []string{d.address(d.Port + 1)}
	c.Listen.Metrics = nil
	in, err := start(c, "auto")
	if err != nil {
		return err
	}
	person, err := d.accounts(ctx, in)
	if err != nil {
		return errors.Join(err, in.stop())
	}
	thing, err := d.thermometer(ctx, in)
	if err != nil {
		return errors.Join(err, in.stop())
	}
	d.explain(in, person)
	d.report(ctx, thing)
	fmt.Println("\nEnding: what is stored stays in", d.Data)
	return errors.Join(thing.Close(), in.stop())
}

// address is the port where it is free, else any.
func (d Demo) address(port int) string {
	a := net.JoinHostPort(d.Host, fmt.Sprint(port))
	l, err := net.Listen("tcp", a)
	if err != nil {
		return net.JoinHostPort(d.Host, "0")
	}
	_ = l.Close()
	return a
}

// accounts makes the demo's accounts, with passwords of this data folder, and returns the
// person's.
func (d Demo) accounts(ctx context.Context, in *instance) (person string, err error) {
	for _, a := range []string{demoPerson, demoThing} {
		secret, err := d.secret(a)
		if err != nil {
			return "", err
		}
		err = in.server.CreateAccount(ctx, jid.MustParse(a), secret)
		if err != nil && !errors.Is(err, store.ErrExists) {
			return "", err
		}
		if a == demoPerson {
			person = secret
		}
	}
	return person, nil
}

// secret is an account's password, kept in the data folder.
func (d Demo) secret(account string) (string, error) {
	name := filepath.Join(d.Data, account+".password")
	b, err := os.ReadFile(name)
	if err == nil {
		return string(b), nil
	}
	s := rand.Text()[:10]
	return s, os.WriteFile(name, []byte(s), 0o600)
}

// thermometer logs in as a device would: over TLS, with a password, believing the server's
// certificate because it was given it. It lets the person see it, and tells it what it measures.
func (d Demo) thermometer(ctx context.Context, in *instance) (*client.Client, error) {
	secret, err := d.secret(demoThing)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	pem, err := os.ReadFile(filepath.Join(d.Data, "tls", "self-signed.crt"))
	if err != nil {
		return nil, err
	}
	roots.AppendCertsFromPEM(pem)
	account := jid.MustParse(demoThing)
	if account, err = account.WithResource("demo"); err != nil {
		return nil, err
	}
	c, err := client.Dial(ctx, client.Config{Account: account, Password: secret, Address: in.address("client"), RootCAs: roots})
	if err != nil {
		return nil, err
	}
	you := jid.MustParse(demoPerson)
	return c, errors.Join(
		c.Announce(ctx, client.Availability{Status: "measuring"}),
		c.Approve(ctx, you), // the person's request is granted when it comes
		c.Subscribe(ctx, you),
	)
}

// explain says what to look at.
func (d Demo) explain(in *instance, person string) {
	fmt.Printf(`
A Stonechat server is running, with one thing in it: a thermometer.

  Log in with any XMPP client:
    address   %s
    password  %s
    server    %s (STARTTLS), %s (direct TLS)
    The certificate was made here: your client will ask you to trust it
    (%s).

  The thermometer, %s, asks to be your contact and tells you what it
  measures every ten seconds, as a headline; while you are away it tells nobody. Add it as a
  contact to see it come and go.

  The same from this program, in another terminal:
    export STONECHAT_PASSWORD=%s
    stonechat listen --from %s --address %s --ca %s

Ctrl-C ends the demo.
`, demoPerson, person, in.address("client"), in.address("client_tls"), filepath.Join(d.Data, "tls", "self-signed.crt"),
		demoThing, person, demoPerson, in.address("client"), filepath.Join(d.Data, "tls", "self-signed.crt"))
}

// report tells the person what the thermometer measures until ctx ends.
func (d Demo) report(ctx context.Context, c *client.Client) {
	tick := time.NewTicker(10 * time.Second)
	defer tick.Stop()
	begun := time.Now()
	for {
		// A day in ten minutes, between 17 and 23 °C.
		degrees := 20 + 3*math.Sin(time.Since(begun).Minutes()*2*math.Pi/10)
		m := stanza.Text(stanza.Headline, jid.MustParse(demoPerson), fmt.Sprintf("%.1f °C", degrees))
		if err := c.Send(ctx, m); err != nil && ctx.Err() == nil {
			fmt.Fprintln(os.Stderr, "thermometer:", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-c.Done():
			fmt.Fprintln(os.Stderr, "thermometer:", c.Err())
			return
		case <-tick.C:
		}
	}
}
