// SPDX-License-Identifier: Apache-2.0

package pubsub

// How to read this file: Config is what a node's owner decides, configFields the table of how each
// of it stands in a form, and below it are the three things done with the table: write, read, compare.

import (
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/stonechat-im/stonechat/xmpp/form"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// Max stands for the greatest number that the service allows. §13.23
const Max = -1

// AccessModel says who may subscribe and retrieve items. §4.5
type AccessModel string

// The access models.
const (
	AccessOpen      AccessModel = "open"
	AccessPresence  AccessModel = "presence"
	AccessRoster    AccessModel = "roster"
	AccessAuthorize AccessModel = "authorize"
	AccessWhitelist AccessModel = "whitelist"
)

// PublishModel says who may publish.
type PublishModel string

// The publish models.
const (
	PublishPublishers  PublishModel = "publishers"
	PublishSubscribers PublishModel = "subscribers"
	PublishOpen        PublishModel = "open"
)

// SendLast says when the last item is sent without a publication.
type SendLast string

// When the last item is sent.
const (
	SendNever      SendLast = "never"
	SendOnSub      SendLast = "on_sub"
	SendOnPresence SendLast = "on_sub_and_presence"
)

// NodeFull says what becomes of a publication to a full node. §7.1.2.5
type NodeFull string

// What to do.
const (
	RetractOldest NodeFull = "retract-oldest"
	DiscardOldest NodeFull = "discard-oldest"
	Reject        NodeFull = "reject"
)

// ItemReply says whose address an item bears. §13.17
type ItemReply string

// Whose address.
const (
	ReplyNone      ItemReply = "none"
	ReplyOwner     ItemReply = "owner"
	ReplyPublisher ItemReply = "publisher"
)

// NotificationType is the type of the messages that tell of events.
type NotificationType string

// The types of message.
const (
	NotifyNormal   NotificationType = "normal"
	NotifyHeadline NotificationType = "headline"
)

// Config is how a node behaves. §17.4.4
type Config struct {
	Title, Description, Type, Language string
	Contact                            []string // addresses

	Access       AccessModel
	RosterGroups []string // of AccessRoster
	Publish      PublishModel
	Subscribe    bool // subscriptions are allowed

	Persist    bool
	MaxItems   int // or Max
	Expire     int // seconds until an item goes; 0: never, or Max
	MaxPayload int // bytes, or Max
	NodeFull   NodeFull

	DeliverNotifications bool
	DeliverPayloads      bool
	Notification         NotificationType
	NotifyConfig         bool
	NotifyDelete         bool
	NotifyRetract        bool
	NotifySub            bool
	PresenceBased        bool // deliver to available subscribers only
	SendLast             SendLast
	PurgeOffline         bool // items go when their publisher does
	TempSub              bool // subscriptions end with the subscriber's presence
	ItemReply            ItemReply

	Archive bool // what is published is kept in an archive, too. XEP-0442
}

// configField is how one thing that is decided stands in a form: value points to it. The type of what it
// points to says which values there are.
type configField struct {
	name  string
	label string
	value func(*Config) any
}

func configFields() []configField {
	return []configField{
		{"pubsub#title", "Title", func(c *Config) any { return &c.Title }},
		{"pubsub#description", "Description", func(c *Config) any { return &c.Description }},
		{"pubsub#type", "Type of the payloads: usually their namespace", func(c *Config) any { return &c.Type }},
		{"pubsub#language", "Language", func(c *Config) any { return &c.Language }},
		{"pubsub#contact", "Whom to ask about this node", func(c *Config) any { return &c.Contact }},
		{"pubsub#access_model", "Who may subscribe and retrieve items", func(c *Config) any { return &c.Access }},
		{"pubsub#roster_groups_allowed", "Groups of contacts that may, where the access model is roster", func(c *Config) any { return &c.RosterGroups }},
		{"pubsub#publish_model", "Who may publish", func(c *Config) any { return &c.Publish }},
		{"pubsub#subscribe", "Allow subscriptions", func(c *Config) any { return &c.Subscribe }},
		{"pubsub#persist_items", "Keep items", func(c *Config) any { return &c.Persist }},
		{"pubsub#max_items", "How many items to keep, or max", func(c *Config) any { return &c.MaxItems }},
		{"pubsub#item_expire", "Seconds after which items go, or max; 0 is never", func(c *Config) any { return &c.Expire }},
		{"pubsub#max_payload_size", "How many bytes a payload may have, or max", func(c *Config) any { return &c.MaxPayload }},
		{"pubsub#publish_node_full", "What to do when there is no room for an item", func(c *Config) any { return &c.NodeFull }},
		{"pubsub#deliver_notifications", "Deliver notifications", func(c *Config) any { return &c.DeliverNotifications }},
		{"pubsub#deliver_payloads", "Deliver payloads with notifications", func(c *Config) any { return &c.DeliverPayloads }},
		{"pubsub#notification_type", "Type of the messages that notify", func(c *Config) any { return &c.Notification }},
		{"pubsub#notify_config", "Notify subscribers of a new configuration", func(c *Config) any { return &c.NotifyConfig }},
		{"pubsub#notify_delete", "Notify subscribers when the node is deleted", func(c *Config) any { return &c.NotifyDelete }},
		{"pubsub#notify_retract", "Notify subscribers when items are removed", func(c *Config) any { return &c.NotifyRetract }},
		{"pubsub#notify_sub", "Notify owners of subscribers who come and go", func(c *Config) any { return &c.NotifySub }},
		{"pubsub#presence_based_delivery", "Deliver to available subscribers only", func(c *Config) any { return &c.PresenceBased }},
		{"pubsub#send_last_published_item", "When to send the last item", func(c *Config) any { return &c.SendLast }},
		{"pubsub#purge_offline", "Remove items when their publisher goes offline", func(c *Config) any { return &c.PurgeOffline }},
		{"pubsub#tempsub", "Subscriptions end when the subscriber goes offline", func(c *Config) any { return &c.TempSub }},
		{"pubsub#itemreply", "Whose address items bear", func(c *Config) any { return &c.ItemReply }},
		{"x-pubsub#archive", "Keep all that is published in an archive", func(c *Config) any { return &c.Archive }},
	}
}

// choices are the values that v may have, nil where it is no choice.
func choices(v any) []string {
	switch v.(type) {
	case *AccessModel:
		return []string{"open", "presence", "roster", "authorize", "whitelist"}
	case *PublishModel:
		return []string{"publishers", "subscribers", "open"}
	case *SendLast:
		return []string{"never", "on_sub", "on_sub_and_presence"}
	case *NodeFull:
		return []string{"retract-oldest", "discard-oldest", "reject"}
	case *ItemReply:
		return []string{"none", "owner", "publisher"}
	case *NotificationType:
		return []string{"normal", "headline"}
	}
	return nil
}

// field writes one.
func (x configField) field(c *Config) form.Field {
	f := form.Field{Var: x.name, Type: form.TextSingle}
	switch v := x.value(c).(type) {
	case *string:
		f.Values = []string{*v}
	case *[]string:
		f.Type, f.Values = form.TextMulti, slices.Clone(*v)
	case *bool:
		f = form.Bool(x.name, *v)
	case *int:
		f.Values = []string{strconv.Itoa(*v)}
		if *v == Max {
			f.Values = []string{"max"}
		}
	default:
		f.Type, f.Values = form.ListSingle, []string{reflect.ValueOf(v).Elem().String()}
	}
	return f
}

// set reads one.
func (x configField) set(c *Config, f *form.Field) error {
	refused := stanza.NotAcceptable.Err("the value of " + x.name + " is not one of those it can have")
	switch v := x.value(c).(type) {
	case *string:
		*v = f.First()
	case *[]string:
		*v = nil
		for _, s := range f.Values {
			if s != "" {
				*v = append(*v, s)
			}
		}
	case *bool:
		b, ok := f.Bool()
		if !ok {
			return refused
		}
		*v = b
	case *int:
		text := strings.TrimSpace(f.First())
		n, err := strconv.ParseUint(text, 10, 31)
		switch {
		case text == "max":
			*v = Max
		case err != nil:
			return refused
		default:
			*v = int(n)
		}
	default:
		if !slices.Contains(choices(v), f.First()) {
			if x.name == "pubsub#access_model" {
				return Err(stanza.NotAcceptable, UnsupportedAccessModel, "")
			}
			return refused
		}
		reflect.ValueOf(v).Elem().SetString(f.First())
	}
	return nil
}

// Form writes c as a form to fill in, or as data where typ is form.Result or form.Submit.
func (c *Config) Form(typ form.Type) *form.Form {
	f := form.New(typ, FormConfig)
	for _, x := range configFields() {
		field := x.field(c)
		if typ == form.Ask {
			field.Label = x.label
			for _, o := range choices(x.value(c)) {
				field.Options = append(field.Options, form.Option{Value: o})
			}
		}
		f.Fields = append(f.Fields, field)
	}
	f.Fields = append(f.Fields, form.Field{Var: "pubsub#node_type", Type: form.ListSingle, Values: []string{"leaf"}})
	if typ == form.Ask {
		f.Title = "Configuration of a node"
		f.Fields[len(f.Fields)-1].Options = []form.Option{{Value: "leaf"}}
	}
	return f
}

// Apply changes c by the fields of a form. What is none of the values that a field can have is
// not-acceptable, and so, where strict, is a field that c does not have; else it is passed over.
func (c *Config) Apply(f *form.Form, strict bool) error {
	table := configFields()
	for i := range f.Fields {
		got := &f.Fields[i]
		at := slices.IndexFunc(table, func(x configField) bool { return x.name == got.Var })
		switch {
		case at >= 0:
			if err := table[at].set(c, got); err != nil {
				return err
			}
		case got.Var == "pubsub#node_type":
			if got.First() != "leaf" {
				return ErrUnsupported("collections")
			}
		case got.Var == form.VarFormType, got.Type == form.Fixed, !strict:
		default:
			return stanza.NotAcceptable.Err("a field is not known here")
		}
	}
	return nil
}

// Equal reports whether both say the same.
func (c *Config) Equal(d *Config) bool {
	for _, x := range configFields() {
		a, b := x.field(c), x.field(d)
		if !slices.Equal(a.Values, b.Values) {
			return false
		}
	}
	return true
}
