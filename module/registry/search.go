// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"context"

	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/registry"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// takeSearch handles §3.15.
func (m *Module) takeSearch(_ *server.Turn, q *server.Query) (stanza.Payload, error) {
	ask, err := decode(q, new(registry.Search))
	if err != nil {
		return nil, err
	}
	found, more, err := m.search(context.Background(), m.domain(q), ask)
	if err != nil {
		return nil, err
	}
	answer := &registry.Found{More: more}
	for i := range found {
		x := &found[i]
		// Deviation: the schema wants an owner, whom this does not tell.
		answer.Things = append(answer.Things, registry.Thing{Owner: m.Address(x.JID.Domain()), JID: x.JID, Node: registry.Node(x.ThingNode), Tags: told(x.Tags)})
	}
	return answer, nil
}

// search finds public things of a domain.
func (m *Module) search(ctx context.Context, domain string, ask *registry.Search) (found []store.Thing, more bool, err error) {
	c := m.config.Load()
	if len(ask.Operators) > c.Operators {
		return nil, false, m.limited("operators", stanza.PolicyViolation.Err("the search has too many operators"))
	}
	if ask.Offset > c.Offset {
		return nil, false, m.limited("offset", stanza.PolicyViolation.Err("the search asks too far into its results: make it narrower"))
	}
	limit := min(c.Page, registry.MaxThings)
	if ask.Max > 0 {
		limit = min(limit, ask.Max)
	}
	for _, o := range ask.Operators {
		if o.Name == registry.KEY { // MUST never find anything
			return nil, false, nil
		}
	}
	terms, unsure := terms(ask.Operators)
	m.looking <- struct{}{}
	defer func() { <-m.looking }()
	s := store.ThingSearch{Domain: domain, Terms: terms, Offset: ask.Offset, Limit: limit}
	if !unsure {
		return m.store.SearchThings(ctx, s)
	}
	filter, err := ask.Filter()
	if err != nil {
		return nil, false, err
	}
	return m.sift(ctx, s, filter, c.Scan)
}

// sift looks at what the store has found for what a filter admits.
func (m *Module) sift(ctx context.Context, s store.ThingSearch, filter *registry.Filter, scan int) (found []store.Thing, more bool, err error) {
	skip := s.Offset
	page := store.ThingSearch{Domain: s.Domain, Terms: s.Terms, Limit: min(scan, store.MaxPage)}
	for page.Offset < scan {
		list, further, err := m.store.SearchThings(ctx, page)
		if err != nil {
			return nil, false, err
		}
		for i := range list {
			switch {
			case !filter.Matches(told(list[i].Tags)):
			case skip > 0:
				skip--
			case len(found) == s.Limit:
				return found, true, nil
			default:
				found = append(found, list[i])
			}
		}
		if !further {
			return found, false, nil
		}
		page.Offset += len(list)
	}
	return nil, false, m.limited("scan", stanza.PolicyViolation.Err("the search looks at too many things: make it narrower"))
}
