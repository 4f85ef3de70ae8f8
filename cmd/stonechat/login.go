// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/stonechat-im/stonechat/client"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stream"
)

// login is what every command takes that logs in as somebody.
type login struct {
	password
	From               string `env:"STONECHAT_JID" placeholder:"JID" help:"Log in as this account, name@domain."`
	Address            string `env:"STONECHAT_ADDRESS" placeholder:"HOST:PORT" help:"The server's address, instead of what DNS says of the domain; tls://HOST:PORT where TLS begins with the first byte, as at port 5223."`
	CA                 string `name:"ca" env:"STONECHAT_CA" placeholder:"FILE" help:"Trust the certificates in this PEM file instead of the system's: a self-signed one, say."`
	Certificate        string `env:"STONECHAT_CERTIFICATE" placeholder:"FILE" help:"Log in by the certificate in this PEM file, without a password."`
	Key                string `env:"STONECHAT_KEY" placeholder:"FILE" help:"Where the certificate's key is, if not in the same file."`
	InsecureSkipVerify bool   `help:"Trust any certificate. Whoever is between you and the server can then read and change everything; for test beds."`
	Verbose            bool   `short:"v" help:"Tell of connections made and lost."`
}

// reach is what the flags say of how the server is reached.
func (l login) reach() (client.Config, error) {
	var c client.Config
	if err := c.SetAddress(l.Address); err != nil {
		return c, err
	}
	if err := c.Trust(l.CA); err != nil {
		return c, err
	}
	if l.InsecureSkipVerify {
		c.TLS = &tls.Config{InsecureSkipVerify: true} //nolint:gosec // the flag says what it does
	}
	if l.Verbose {
		c.Log = slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	return c, nil
}

// config is what the flags say.
func (l login) config() (client.Config, error) {
	c, err := l.who()
	if err != nil || c.Certificate != nil {
		return c, err
	}
	c.Password, err = l.read()
	return c, err
}

// who is config without a password.
func (l login) who() (client.Config, error) {
	if l.From == "" {
		return client.Config{}, errors.New("whose account? --from JID, or STONECHAT_JID")
	}
	c, err := l.reach()
	if err != nil {
		return c, err
	}
	if c.Account, err = jid.Parse(l.From); err != nil {
		return c, fmt.Errorf("--from: %w", err)
	}
	if l.Certificate != "" {
		err = c.LoadCertificate(l.Certificate, l.Key)
	}
	return c, err
}

// connect logs in, and says what to do where that fails.
func (l login) connect(ctx context.Context, c *client.Client) error { return l.advise(c.Connect(ctx)) }

// advise adds to the error of a login what one may do about it.
func (l login) advise(err error) error {
	var unknown x509.UnknownAuthorityError
	var name x509.HostnameError
	var invalid x509.CertificateInvalidError
	var refused *stream.SASLError
	var ended *stream.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &unknown):
		return fmt.Errorf("%w\nIf the server made its certificate itself, give it: --ca FILE (in the server's data folder: tls/self-signed.crt)", err)
	case errors.As(err, &name):
		return fmt.Errorf("%w\nThe certificate must name the domain of the account, wherever the server is", err)
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return fmt.Errorf("%w\nIf the clock of this machine is right, the server's certificate must be renewed", err)
	case errors.As(err, &ended) && ended.Condition == stream.HostUnknown:
		return fmt.Errorf("%w\nThat server is none of the domain of %s: is the account written right, and the address?", err, l.From)
	case strings.HasSuffix(l.Address, ":5223") && !strings.Contains(l.Address, "://"):
		return fmt.Errorf("%w\nAt port 5223 TLS begins with the first byte: --address tls://%s", err, l.Address)
	case errors.As(err, &refused):
		return fmt.Errorf("%w\nIs %s the account, and that its password?", err, l.From)
	case l.Address == "":
		return fmt.Errorf("%w\nDNS led there; --address HOST:PORT goes round it", err)
	}
	return err
}

// interrupted is over when somebody wants the program to end.
func interrupted() (context.Context, context.CancelFunc) {
	return signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
}
