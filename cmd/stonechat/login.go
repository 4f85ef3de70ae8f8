// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/stonechat-im/stonechat/client"
	"github.com/stonechat-im/stonechat/xmpp/jid"
)

// login is what every command takes that logs in as somebody.
type login struct {
	password
	From               string `name:"from" env:"STONECHAT_JID" required:"" placeholder:"JID" help:"Log in as this account, name@domain."`
	Address            string `placeholder:"HOST:PORT" help:"The server's address, instead of what DNS says of the domain."`
	DirectTLS          bool   `name:"direct-tls" help:"At that address TLS begins with the first byte, as at port 5223."`
	CA                 string `name:"ca" placeholder:"FILE" help:"Trust the certificates in this PEM file instead of the system's: a self-signed one, say."`
	InsecureSkipVerify bool   `help:"Trust any certificate. Whoever is between you and the server can then read and change everything; for test beds."`
	Verbose            bool   `short:"v" help:"Tell of connections made and lost."`
}

// dial logs in.
func (l login) dial(ctx context.Context) (*client.Client, error) {
	account, err := jid.Parse(l.From)
	if err != nil {
		return nil, fmt.Errorf("--from: %w", err)
	}
	secret, err := l.read()
	if err != nil {
		return nil, err
	}
	c := client.Config{Account: account, Password: secret, Address: l.Address, DirectTLS: l.DirectTLS}
	if l.CA != "" {
		pem, err := os.ReadFile(l.CA)
		if err != nil {
			return nil, err
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("--ca: there is no certificate in %s", l.CA)
		}
	}
	if l.InsecureSkipVerify {
		c.TLS = &tls.Config{InsecureSkipVerify: true} //nolint:gosec // the flag says what it does
	}
	if l.Verbose {
		c.Log = slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	return client.Dial(ctx, c)
}

// interrupted is over when somebody wants the program to end.
func interrupted() (context.Context, context.CancelFunc) {
	return signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
}
