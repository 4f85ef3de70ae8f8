// SPDX-License-Identifier: Apache-2.0

package component

import (
	"context"
	"maps"
	"slices"

	"github.com/stonechat-im/stonechat/xmpp/disco"
	"github.com/stonechat-im/stonechat/xmpp/ping"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/version"
)

// answerDisco registers what the component answers by itself.
func (c *Component) answerDisco() {
	Answer(c, stanza.Get, func(context.Context, *stanza.Stanza, *ping.Ping) (stanza.Payload, error) {
		return nil, nil
	})
	Answer(c, stanza.Get, c.describe)
	Answer(c, stanza.Get, c.list)
	if v := c.config.Version; v != "" {
		Answer(c, stanza.Get, func(context.Context, *stanza.Stanza, *version.Query) (stanza.Payload, error) {
			name := c.config.Identity.Name
			if name == "" {
				name = "component"
			}
			return &version.Query{Name: name, Version: v}, nil
		})
	}
}

// describe answers what an address is. Its features are the namespaces of the requests that there are
// handlers for. XEP-0030 §3
func (c *Component) describe(ctx context.Context, s *stanza.Stanza, q *disco.Info) (stanza.Payload, error) {
	if q.Node != "" && c.config.Describe == nil {
		return nil, stanza.ItemNotFound.Err("")
	}
	features := c.link.Handlers.Namespaces()
	for _, f := range c.config.Features {
		features[f] = true
	}
	info := &disco.Info{Node: q.Node, Identities: []disco.Identity{c.config.Identity}, Features: slices.Sorted(maps.Keys(features))}
	if c.config.Describe != nil {
		if err := c.config.Describe(ctx, s.To, q.Node, info); err != nil {
			return nil, err
		}
	}
	return info, nil
}

// list answers what belongs to an address. XEP-0030 §4
func (c *Component) list(ctx context.Context, s *stanza.Stanza, q *disco.Items) (stanza.Payload, error) {
	items := &disco.Items{Node: q.Node}
	switch {
	case c.config.Items != nil:
		var err error
		if items.Items, err = c.config.Items(ctx, s.To, q.Node); err != nil {
			return nil, err
		}
	case q.Node != "":
		return nil, stanza.ItemNotFound.Err("")
	}
	return items, nil
}
