// SPDX-License-Identifier: Apache-2.0

// Package caps announces what the server can do in its stream features, as a hash, so that a
// client need not ask again.
//
// XEP-0115 (complete, 1.6.0)
package caps

import (
	"fmt"
	"sync"

	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/xmpp/caps"
	"github.com/stonechat-im/stonechat/xmpp/disco"
	"github.com/stonechat-im/stonechat/xmpp/stream"
)

// Node names this program (XEP-0115 §4).
const Node = "https://stonechat.im"

// Disco is what this module needs of module disco.
type Disco interface {
	Host() *disco.Info
	Alias(is func(node string) bool)
}

// Module announces the server's capabilities.
type Module struct {
	disco Disco
	caps  func() (*caps.Caps, error) // computed when the first stream asks: then all modules are there
}

// New makes the module.
func New(d Disco) *Module {
	m := &Module{disco: d}
	m.caps = sync.OnceValues(m.compute)
	return m
}

// Name implements server.Module.
func (*Module) Name() string { return "caps" }

// Init implements server.Module.
func (m *Module) Init(h *server.Host) error {
	h.Feature(server.AtHost, caps.NS)
	m.disco.Alias(func(node string) bool {
		c, err := m.caps()
		return err == nil && node == c.InfoNode()
	})
	h.Features = func(dst []byte, st server.Stream) []byte {
		c, err := m.caps()
		if err != nil || st.State() != stream.Authenticated {
			return dst
		}
		return c.AppendXML(dst)
	}
	return nil
}

func (m *Module) compute() (*caps.Caps, error) {
	ver, err := caps.Ver(caps.SHA1, m.disco.Host())
	if err != nil {
		return nil, fmt.Errorf("caps: %w", err)
	}
	return &caps.Caps{Hash: caps.SHA1, Node: Node, Ver: ver}, nil
}
