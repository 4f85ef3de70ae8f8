// SPDX-License-Identifier: Apache-2.0

// Package caps announces what the server can do in its stream features, as a hash, so that a
// client need not ask again; and it learns what the hashes stand for that clients announce in their
// presence, for modules that send a client what it asks for.
//
// XEP-0115 (complete, 1.6.0)
//
// How to read this package: caps.go has what the server announces, learn.go how it finds out what
// others do, memory.go what it remembers of that.
package caps

import (
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/stonechat-im/stonechat/config"
	"github.com/stonechat-im/stonechat/internal/metrics"
	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/xmpp/caps"
	"github.com/stonechat-im/stonechat/xmpp/disco"
	"github.com/stonechat-im/stonechat/xmpp/stream"
)

// Node names this program (XEP-0115 §4).
const Node = "https://stonechat.im"

// Disco is what this module needs of module disco.
type Disco interface {
	Host(domain string) *disco.Info
	// Nests reports whether others answer for some of what the domain does, so that it varies.
	Nests(domain string) bool
	Alias(is func(domain, node string) bool)
}

// Config is the key modules.caps.
type Config struct {
	// Bytes of memory for what clients can do, by the hashes that they announce. What was not needed
	// for the longest time is forgotten, and asked again.
	Bytes config.Bytes `yaml:"bytes" default:"8MiB" live:"yes"`
	// InfoBytes that a client's answer may have; of a longer one nothing is believed.
	InfoBytes config.Bytes `yaml:"info_bytes" default:"64KiB" live:"yes"`
	// Wait is how long a client has to say what it can do.
	Wait config.Duration `yaml:"wait" default:"30s" none:"no" live:"yes"`
}

// Module announces the server's capabilities, and learns those of others.
type Module struct {
	config  atomic.Pointer[Config]
	disco   Disco
	caps    func() (*caps.Caps, error) // of domains that do not vary, computed when the first stream asks: then all modules are there
	server  *server.Server
	metrics struct{ asked, unverified, tooLong metrics.Counter }

	mu        sync.Mutex
	memory    memory
	questions map[name]*question
}

// New makes the module.
func New(c Config, d Disco) *Module {
	m := &Module{disco: d, questions: make(map[name]*question)}
	m.config.Store(&c)
	m.caps = sync.OnceValues(func() (*caps.Caps, error) { return m.compute("") })
	return m
}

// Reload implements server.Reloader.
func (m *Module) Reload(next server.Module) { m.config.Store(next.(*Module).config.Load()) }

// Name implements server.Module.
func (*Module) Name() string { return "caps" }

// Init implements server.Module.
func (m *Module) Init(h *server.Host) error {
	m.server = h.Server
	m.metrics.asked = h.Metrics.Counter("stonechat_caps_asked_total", "Clients asked what they can do, because the hash that they announce was not known.")
	m.metrics.unverified = h.Metrics.Counter("stonechat_caps_unverified_total", "Answers of those that came late (modules.caps.wait), or could not be verified by the hash, so that they count for nobody else.")
	m.metrics.tooLong = h.Metrics.Counter("stonechat_caps_too_long_total", "Answers of clients longer than modules.caps.info_bytes.")
	h.Metrics.GaugeFunc("stonechat_caps_bytes", "What is remembered of clients' capabilities (modules.caps.bytes).", func() float64 {
		m.mu.Lock()
		defer m.mu.Unlock()
		return float64(m.memory.bytes)
	})
	h.Feature(server.AtHost, caps.NS)
	m.disco.Alias(func(domain, node string) bool {
		c, err := m.of(domain)
		return err == nil && node == c.InfoNode()
	})
	h.Features = func(dst []byte, st server.Stream) []byte {
		if st.State() != stream.Authenticated {
			return dst
		}
		c, err := m.of(st.Account().Domain())
		if err != nil {
			return dst
		}
		return c.AppendXML(dst)
	}
	return nil
}

// of is what a domain announces.
func (m *Module) of(domain string) (*caps.Caps, error) {
	if m.disco.Nests(domain) {
		return m.compute(domain)
	}
	return m.caps()
}

func (m *Module) compute(domain string) (*caps.Caps, error) {
	ver, err := caps.Ver(caps.SHA1, m.disco.Host(domain))
	if err != nil {
		return nil, fmt.Errorf("caps: %w", err)
	}
	return &caps.Caps{Hash: caps.SHA1, Node: Node, Ver: ver}, nil
}
