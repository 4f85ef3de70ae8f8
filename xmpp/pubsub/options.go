// SPDX-License-Identifier: Apache-2.0

package pubsub

import (
	"slices"
	"strings"
	"time"

	"github.com/stonechat-im/stonechat/xmpp/datetime"
	"github.com/stonechat-im/stonechat/xmpp/form"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// SubscribeOptions are what a subscriber decides. §6.3, §17.4.2
//
// Deviation: no digests and no bodies; §13.8 forbids to offer bodies for payloads that the service does
// not understand.
type SubscribeOptions struct {
	Deliver bool
	// Show are the presence states in which the subscriber wants notifications: away, chat, dnd,
	// online, xa. None: whatever its presence.
	Show []string
	// Temporary subscriptions end when the subscriber goes offline. §13.5
	Temporary bool
	// Expire is when the subscription ends, the zero time: never. §13.19
	Expire time.Time
}

// DefaultOptions are those of a subscription that has none.
func DefaultOptions() SubscribeOptions { return SubscribeOptions{Deliver: true} }

func shows() []string { return []string{"away", "chat", "dnd", "online", "xa"} }

// Form writes o as a form to fill in or as data.
func (o SubscribeOptions) Form(typ form.Type) *form.Form {
	expire := ""
	switch {
	case o.Temporary:
		expire = "presence"
	case !o.Expire.IsZero():
		expire = datetime.Format(o.Expire)
	}
	show := form.Field{Var: "pubsub#show-values", Type: form.ListMulti, Label: "Presence in which to deliver", Values: o.Show}
	if typ == form.Ask {
		for _, s := range shows() {
			show.Options = append(show.Options, form.Option{Value: s})
		}
	}
	deliver := form.Bool("pubsub#deliver", o.Deliver)
	deliver.Label = "Deliver notifications"
	return form.New(typ, FormOptions, deliver, show,
		form.Field{Var: "pubsub#expire", Type: form.TextSingle, Label: "When the subscription ends, or: presence", Values: []string{expire}})
}

// Apply changes o by the fields of a form, and refuses what it does not understand. §6.3.6.2
func (o *SubscribeOptions) Apply(f *form.Form) error {
	invalid := func() error { return Err(stanza.BadRequest, InvalidOptions, "") }
	if f.Type != form.Submit || f.FormType() != "" && f.FormType() != FormOptions {
		return invalid()
	}
	for i := range f.Fields {
		x := &f.Fields[i]
		switch x.Var {
		case form.VarFormType, "pubsub#subscription_type", "pubsub#subscription_depth":
			// Items of the node itself is all there is.
			if x.Var == "pubsub#subscription_type" && x.First() != "items" {
				return invalid()
			}
		case "pubsub#deliver":
			v, ok := x.Bool()
			if !ok {
				return invalid()
			}
			o.Deliver = v
		case "pubsub#digest", "pubsub#include_body": // what is not offered may be declined
			if v, ok := x.Bool(); !ok || v {
				return invalid()
			}
		case "pubsub#show-values":
			o.Show = nil
			for _, v := range x.Values {
				if !slices.Contains(shows(), v) {
					return invalid()
				}
				if !slices.Contains(o.Show, v) {
					o.Show = append(o.Show, v)
				}
			}
		case "pubsub#expire":
			if err := o.expire(strings.TrimSpace(x.First())); err != nil {
				return invalid()
			}
		case "pubsub#digest_frequency":
		default:
			return invalid()
		}
	}
	return nil
}

func (o *SubscribeOptions) expire(text string) error {
	o.Temporary, o.Expire = text == "presence", time.Time{}
	if text == "" || o.Temporary {
		return nil
	}
	var err error
	o.Expire, err = datetime.Parse(text)
	return err
}
