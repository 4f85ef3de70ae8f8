// SPDX-License-Identifier: Apache-2.0

package component

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

	"github.com/stonechat-im/stonechat/xmpp/jid"
)

// Main is the main function of a program that is a component and nothing else. It makes one of the [Environment]
// and the rest of config, has setup register its handlers, and runs it until the program is interrupted or
// terminated; if it cannot run, the program ends with status 1. Connections made and lost are told on standard
// error unless config.Log is given.
func Main(config Config, setup func(*Component)) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if config.Log == nil {
		config.Log = slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	if err := run(ctx, config, setup); err != nil {
		config.Log.Error("the component cannot go on", "err", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, config Config, setup func(*Component)) error {
	if err := config.Environment(); err != nil {
		return err
	}
	c, err := New(config)
	if err != nil {
		return err
	}
	setup(c)
	return c.Run(ctx)
}

// Environment fills in who the component is, and where its server, from the environment:
//
//	STONECHAT_DOMAIN       the component's domain
//	STONECHAT_SECRET       its secret, or
//	STONECHAT_SECRET_FILE  a file whose first line it is
//	STONECHAT_ADDRESS      host:port, or tls://host:port; unset: 127.0.0.1:5347
//	STONECHAT_CA           a PEM file with the authorities to trust; unset: the system's
func (c *Config) Environment() error {
	var err error
	if c.Domain, err = jid.Parse(os.Getenv("STONECHAT_DOMAIN")); err != nil {
		return fmt.Errorf("component: STONECHAT_DOMAIN is no domain: %w", err)
	}
	c.Secret = os.Getenv("STONECHAT_SECRET")
	if name := os.Getenv("STONECHAT_SECRET_FILE"); name != "" && c.Secret == "" {
		data, err := os.ReadFile(name)
		if err != nil {
			return fmt.Errorf("component: reading the secret: %w", err)
		}
		line, _, _ := strings.Cut(string(data), "\n")
		if c.Secret = strings.TrimSuffix(line, "\r"); c.Secret == "" {
			return errors.New("component: reading the secret: the first line of the file is empty")
		}
	}
	address, secure := strings.CutPrefix(os.Getenv("STONECHAT_ADDRESS"), "tls://")
	if c.Address = address; address == "" {
		c.Address = "127.0.0.1:5347"
	}
	if !secure {
		return nil
	}
	c.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	if name := os.Getenv("STONECHAT_CA"); name != "" {
		data, err := os.ReadFile(name)
		if err != nil {
			return fmt.Errorf("component: reading certificates: %w", err)
		}
		c.TLS.RootCAs = x509.NewCertPool()
		if !c.TLS.RootCAs.AppendCertsFromPEM(data) {
			return fmt.Errorf("component: there is no certificate in %s", name)
		}
	}
	return nil
}
