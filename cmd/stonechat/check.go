// SPDX-License-Identifier: Apache-2.0

package main

// How to read this file: Check.Run goes from the inside out, each step in a file of its own:
// configuration and data folder (check_folder.go), then for each domain DNS (check_dns.go), the ports to
// which that leads, as clients and as other servers reach them (check_port.go), what answers there
// (check_offer.go), with which certificate (check_trust.go), and what is for browsers (check_web.go). Every
// step notes what it finds; nothing is changed.

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/stonechat-im/stonechat/config"
	"github.com/stonechat-im/stonechat/internal/dns"
	"github.com/stonechat-im/stonechat/xmpp/jid"
)

// Check looks for what is wrong with a server, or with how it is reached.
type Check struct {
	operator
	Domains  []string      `arg:"" optional:"" name:"domain" help:"Look from outside at these domains, of any server; without -c at nothing else. By default: those of the configuration."`
	CA       string        `name:"ca" placeholder:"FILE" help:"Trust the certificates in this PEM file beside the system's."`
	Resolver string        `placeholder:"HOST:PORT" help:"Ask this DNS server instead of the system's: 9.9.9.9:53 shows what the world sees."`
	Timeout  time.Duration `default:"5s" help:"How long to wait for each answer."`
	JSON     bool          `name:"json" help:"A JSON array of what was found."`
}

// Help says what a person asks next.
func (Check) Help() string {
	return `Of the configuration, the data folder, the certificates, the DNS records, the ports
for clients and for other servers, and what is for browsers: what is wrong, and what
to change. Nothing is changed. It ends with 1 if there is an error, with 0 if there
are warnings at most.

  stonechat check -c stonechat.yaml
  stonechat check --resolver 9.9.9.9:53 example.org
  stonechat check -c stonechat.yaml other.example

The last looks at another domain as the server of the configuration does: with its
certificate, so that it shows whether the other believes it.`
}

// level is how bad a finding is.
type level string

const (
	well    level = "ok"
	warning level = "warning"
	wrong   level = "error"
)

// found is one thing that was looked at.
type found struct {
	Level  level  `json:"level"`
	Where  string `json:"where"` // config, data, certificate, dns, client port, server port, web, clock
	Domain string `json:"domain,omitempty"`
	What   string `json:"what"`
	Advice string `json:"advice,omitempty"` // what to change
}

// checkup is one run of the command.
type checkup struct {
	config   *config.Config // nil: none is looked at
	resolver dns.Prover
	roots    *x509.CertPool // nil: the system's
	timeout  time.Duration
	now      time.Time
	running  bool             // the server of the configuration
	shows    *tls.Certificate // of the first domain of the configuration, for other servers; nil: none
	found    []found

	selfMade *x509.Certificate // the server's own, where it makes that itself

	at     string          // the domain that is looked at
	heard  bool            // DNS has told something of it
	silent bool            // DNS tells nothing at all
	said   map[string]bool // once is enough of these: certificates, hosts, what is wrong with DNS
}

func (c *checkup) note(l level, where, advice, what string, args ...any) {
	c.found = append(c.found, found{l, where, c.at, fmt.Sprintf(what, args...), advice})
}

// isNew reports whether nothing was said of that yet, wherever it has shown; from now on something is.
func (c *checkup) isNew(what ...string) bool {
	key := strings.Join(what, "\n")
	was := c.said[key]
	c.said[key] = true
	return !was
}

// ours reports whether the configuration is of the domain's server.
func (c *checkup) ours(domain string) bool {
	return c.config != nil && slices.Contains(c.config.Domains, domain)
}

// Run implements the command.
func (c Check) Run() error {
	ctx, cancel := interrupted()
	defer cancel()
	var servers []string
	if c.Resolver != "" {
		servers = []string{c.Resolver}
	}
	resolver, err := dns.New(dns.Config{Servers: servers})
	if err != nil {
		return fmt.Errorf("--resolver: %w", err)
	}
	defer resolver.Close()
	k := &checkup{resolver: dns.Prover{Resolver: resolver}, timeout: c.Timeout, now: time.Now(), said: map[string]bool{}}
	if err := k.trust(c.CA); err != nil {
		return err
	}
	domains, err := c.domains()
	if err != nil {
		return err
	}
	if c.Config != "" || c.Data != "" || len(domains) == 0 {
		k.inside(c.operator)
		if k.config != nil && len(domains) == 0 {
			domains = k.config.Domains
		}
	}
	for _, d := range domains {
		k.at, k.heard, k.silent = d, false, false
		k.domain(ctx, d)
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err := c.print(k.found); err != nil {
		return err
	}
	return verdict(k.found)
}

// domains are those of the command line, in their canonical form.
func (c Check) domains() (list []string, err error) {
	for _, d := range c.Domains {
		j, err := jid.Parse(d)
		if err != nil || !j.IsDomain() || !j.IsBare() {
			return nil, fmt.Errorf("%q is not a domain", d)
		}
		list = append(list, j.Domain())
	}
	return list, nil
}

// trust adds the certificates of a file to the system's.
func (c *checkup) trust(file string) error {
	if file == "" {
		return nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("--ca: %w", err)
	}
	if c.roots, err = x509.SystemCertPool(); err != nil {
		c.roots = x509.NewCertPool()
	}
	if !c.roots.AppendCertsFromPEM(text) {
		return fmt.Errorf("--ca: there is no certificate in %s", file)
	}
	return nil
}

// print tells what was found, by place.
func (c Check) print(list []found) error {
	if c.JSON {
		if list == nil {
			list = []found{}
		}
		return json.NewEncoder(os.Stdout).Encode(list)
	}
	title := ""
	for _, f := range list {
		now := f.Where
		if f.Domain != "" {
			now = f.Domain + ": " + f.Where
		}
		if now != title {
			title = now
			fmt.Println(title)
		}
		fmt.Printf("  %-8s %s\n", f.Level, indent(f.What))
		if f.Advice != "" {
			fmt.Printf("  %-8s → %s\n", "", strings.ReplaceAll(indent(f.Advice), "\n", "\n  "))
		}
	}
	return nil
}

// indent keeps further lines of a text below its first.
func indent(text string) string {
	return strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n           ")
}

// verdict is the end of the command.
func verdict(list []found) error {
	n := map[level]int{}
	for _, f := range list {
		n[f.Level]++
	}
	if n[wrong] == 0 {
		return nil
	}
	return errors.New(count(n[wrong], "error") + ", " + count(n[warning], "warning"))
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
