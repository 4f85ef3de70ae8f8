// SPDX-License-Identifier: Apache-2.0

package thing

import (
	"context"
	"fmt"

	"github.com/stonechat-im/stonechat/xmpp/provisioning"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// consult asks the service what a question is about, with the tokens that came with it. XEP-0324 §3.1.5, §3.2, §3.5, §3.6
func (t *Thing) consult(ctx context.Context, q *question, shown provisioning.Tokens) (grant, error) {
	scope := provisioning.Scope{Names: q.names}
	if !isOwn(q.node) {
		scope.Nodes = []provisioning.Node{provisioning.Node(q.node)}
	}
	switch q.right {
	case toBefriend:
		var answer provisioning.IsFriendResponse
		err := t.client.Ask(ctx, t.config.Registry, &provisioning.IsFriend{JID: q.caller}, &answer)
		return grant{all: err == nil && answer.Result && answer.JID.Bare() == q.caller}, err
	case toRead:
		var answer provisioning.CanReadResponse
		err := t.client.Ask(ctx, t.config.Registry, &provisioning.CanRead{JID: q.caller, Tokens: shown, Scope: scope}, &answer)
		if err == nil && answer.JID.Bare() != q.caller {
			err = fmt.Errorf("thing: the answer is about %s", answer.JID)
		}
		return granted(q, &answer.Grant), err
	}
	var answer provisioning.CanControlResponse
	err := t.client.Ask(ctx, t.config.Registry, &provisioning.CanControl{JID: q.caller, Tokens: shown, Scope: scope}, &answer)
	if err == nil && answer.JID.Bare() != q.caller {
		err = fmt.Errorf("thing: the answer is about %s", answer.JID)
	}
	return granted(q, &answer.Grant), err
}

// granted is what an answer allows of a question, and no more than that asked for.
func granted(q *question, g *provisioning.Grant) grant {
	node := provisioning.Node(q.node)
	switch {
	case !g.Allowed:
		return grant{}
	case len(q.names) == 0 && len(g.Scope.Names) == 0:
		return grant{all: g.Allows(node, "", 0)}
	}
	names := q.names
	if len(names) == 0 {
		names = g.Scope.Names
	}
	var out grant
	for _, name := range names {
		if g.Allows(node, name, 0) {
			out.names = append(out.names, name)
		}
	}
	return out
}

// serveConsent hears the service take back what it has said. XEP-0324 §3.3
func (t *Thing) serveConsent() {
	t.client.HandleIQ(stanza.Set, (*provisioning.ClearCache)(nil).XMLName(), func(_ context.Context, s *stanza.Stanza) (stanza.Payload, error) {
		if s.From.Bare() != t.config.Registry {
			return nil, t.refuse(s.From)
		}
		t.access.forget()
		return &provisioning.ClearCacheResponse{}, nil
	})
}
