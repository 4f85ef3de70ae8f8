// SPDX-License-Identifier: Apache-2.0

package thing

import (
	"context"
	"maps"
	"slices"
	"sync"

	"github.com/stonechat-im/stonechat/xmpp/form"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/pubsub"
	"github.com/stonechat-im/stonechat/xmpp/senml"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// NodeOf is the node of a thing's account at which it publishes a field, as the latest value of it: a pack of SenML, in XML.
// XEP-0163
func NodeOf(field string) string { return senml.NS + "#" + field }

// itemCurrent is the one item of such a node.
const itemCurrent = "current"

// publisher has the latest value of each field that is not published yet.
type publisher struct {
	mu     sync.Mutex
	latest map[string]Field
	wake   chan struct{} // holds one: there is something
}

// put has fields published. An older value that still waits is passed over: followers want to know how it is.
func (p *publisher) put(fields []Field) {
	p.mu.Lock()
	if p.latest == nil {
		p.latest = make(map[string]Field)
	}
	for _, f := range fields {
		p.latest[f.Name] = f
	}
	p.mu.Unlock()
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

func (p *publisher) take() map[string]Field {
	p.mu.Lock()
	defer p.mu.Unlock()
	taken := p.latest
	p.latest = nil
	return taken
}

// publish publishes until ctx is over, one field at a time.
func (t *Thing) publish(ctx context.Context) {
	for {
		select {
		case <-t.publisher.wake:
		case <-ctx.Done():
			return
		}
		fields := t.publisher.take()
		for _, name := range slices.Sorted(maps.Keys(fields)) {
			list := pack([]Field{fields[name]})
			item := pubsub.Item{ID: itemCurrent, Payload: list.AppendXML(nil)}
			_, err := t.client.IQ(ctx, jid.JID{}, stanza.Set, &pubsub.Request{
				Publish: &pubsub.Items{Node: NodeOf(name), Items: []pubsub.Item{item}},
				PublishOptions: form.New(form.Submit, pubsub.FormPublish,
					form.Bool("pubsub#persist_items", true), form.Value("pubsub#max_items", "1")),
			})
			if err != nil && ctx.Err() == nil {
				t.log.Error("reading not published", "parameter", name, "err", err)
			}
		}
	}
}
