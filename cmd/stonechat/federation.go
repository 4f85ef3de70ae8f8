// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"math"

	"github.com/stonechat-im/stonechat/config"
	"github.com/stonechat-im/stonechat/internal/dns"
	"github.com/stonechat-im/stonechat/internal/drive"
	"github.com/stonechat-im/stonechat/internal/locate"
	"github.com/stonechat-im/stonechat/internal/metrics"
	"github.com/stonechat-im/stonechat/module/message"
	"github.com/stonechat-im/stonechat/module/sm"
	"github.com/stonechat-im/stonechat/server/s2s"
)

// federate makes the way to other servers, unless the configuration turns it off.
func (in *instance) federate(d drive.Driver, reg *metrics.Registry) error {
	c := in.config
	if !c.Federation.Enabled {
		return nil
	}
	secret, err := secret(in.store, "dialback secret")
	if err != nil {
		return err
	}
	if in.dns, err = resolver(c, reg); err != nil {
		return err
	}
	var names locate.Resolver = in.dns
	var tlsa s2s.TLSA
	if c.Federation.DANE {
		prover := dns.Prover{Resolver: in.dns}
		names, tlsa = prover, prover
	}
	in.servers, err = s2s.New(s2s.Config{
		Server: in.server, Store: in.store, Driver: d, TLS: in.certs, Resolver: names, DANE: tlsa,
		Secret: secret, Kept: message.Kept, Policy: policy(c), Limits: federationLimits(c), Log: in.log, Metrics: reg,
	})
	if err != nil {
		return fmt.Errorf("federation: %w", err)
	}
	return nil
}

// resolver asks DNS for other servers, the server that the configuration names or the system's.
func resolver(c *config.Config, reg *metrics.Registry) (*dns.Resolver, error) {
	var servers []string
	if c.Federation.Resolver != "" {
		servers = []string{c.Federation.Resolver}
	}
	kept := int(c.Limits.FederationNames)
	if kept == 0 {
		kept = math.MaxInt // none
	}
	r, err := dns.New(dns.Config{Servers: servers, Names: kept})
	if err != nil {
		return nil, fmt.Errorf("federation.resolver: %w", err)
	}
	reg.CounterFunc("stonechat_dns_asked_total", "Messages sent to DNS servers.", func() float64 { return float64(r.Stats().Asked) })
	reg.CounterFunc("stonechat_dns_kept_total", "Questions about other servers answered by what was kept.", func() float64 { return float64(r.Stats().Kept) })
	reg.CounterFunc("stonechat_dns_failed_total", "Questions about other servers that no DNS server has answered.", func() float64 { return float64(r.Stats().Failed) })
	reg.CounterFunc("stonechat_dns_displaced_total", "Answers given up before their time (limits.federation_names).", func() float64 { return float64(r.Stats().Displaced) })
	reg.GaugeFunc("stonechat_dns_names", "Answers of DNS that are kept.", func() float64 { return float64(r.Stats().Names) })
	return r, nil
}

func policy(c *config.Config) s2s.Policy {
	f := c.Federation
	p := s2s.Policy{
		Required: f.Certificates == "required", Allow: f.Allow, Block: f.Block,
		Idle: f.Idle.D(), GiveUp: f.GiveUp.D(), FenceStanzas: int(f.FenceStanzas), FenceAfter: f.FenceAfter.D(), Confirm: f.ConfirmWithin.D(),
		Domains: make(map[string]s2s.Peer, len(f.Domains)),
	}
	for domain, x := range f.Domains {
		p.Domains[domain] = s2s.Peer{
			Connect: x.Connect, DirectTLS: x.DirectTLS, Certificates: x.Certificates, StanzasPerSecond: int(x.StanzasPerSecond),
		}
	}
	return p
}

func federationLimits(c *config.Config) s2s.Limits {
	l := c.Limits
	var stream sm.Config
	_ = c.Modules.Decode("sm", &stream) // modules has reported what is wrong with it
	return s2s.Limits{
		StanzaBytes: int(l.StanzaBytes), Depth: int(l.StanzaDepth), Attributes: int(l.StanzaAttributes), Children: int(l.StanzaChildren),
		Connections: int(l.FederationConnections), ConnectionsPerAddress: int(l.FederationConnectionsPerAddress),
		Pairs: int(l.FederationPairs), Routes: int(l.FederationRoutes), QueueBytes: int(l.FederationQueueBytes),
		UnreadBytes: int(l.UnreadBytes), SpoolStanzas: int(l.FederationSpoolStanzas), Dials: int(l.FederationDials),
		LoginTimeout: l.LoginTimeout.D(), DeadAfter: l.DeadAfter.D(), SpoolAfter: stream.SpoolAfter.D(),
	}
}
