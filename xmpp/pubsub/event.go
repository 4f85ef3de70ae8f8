// SPDX-License-Identifier: Apache-2.0

package pubsub

import (
	"github.com/stonechat-im/stonechat/xmpp/form"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// Event is what subscribers are told: one field is set. It implements stanza.Payload. §18.3
type Event struct {
	Items         *EventItems
	Configuration *NodeForm
	Delete        *Delete
	Purge         *Node
	Subscription  *Subscription
}

// EventItems are items that were published, or the ids of those that were retracted; neither says
// that something has happened. §7.1.2, §7.2.2
type EventItems struct {
	Node    string
	Items   []Item
	Retract []string
}

// XMLName implements stanza.Payload.
func (*Event) XMLName() xmlstream.Name { return xmlstream.Name{Space: NSEvent, Local: "event"} }

// AppendXML implements stanza.Payload.
func (e *Event) AppendXML(dst []byte) []byte {
	dst = append(dst, "<event xmlns='"+NSEvent+"'>"...)
	if e.Items != nil {
		dst = e.Items.append(dst)
	}
	if e.Configuration != nil {
		dst = e.Configuration.append(dst, "configuration")
	}
	if e.Delete != nil {
		dst = e.Delete.append(dst)
	}
	if e.Purge != nil {
		dst = appendNode(dst, "purge", e.Purge.Node, "/>")
	}
	if e.Subscription != nil {
		dst = e.Subscription.append(dst, "subscription", true)
	}
	return append(dst, "</event>"...)
}

func (x *EventItems) append(dst []byte) []byte {
	if len(x.Items)+len(x.Retract) == 0 {
		return appendNode(dst, "items", x.Node, "/>")
	}
	dst = appendNode(dst, "items", x.Node, ">")
	for i := range x.Items {
		dst = x.Items[i].append(dst)
	}
	for _, id := range x.Retract {
		dst = append(dst, "<retract"...)
		dst = xmlstream.AppendAttr(dst, "id", id)
		dst = append(dst, "/>"...)
	}
	return append(dst, "</items>"...)
}

// DecodeXML implements stanza.Payload.
func (e *Event) DecodeXML(r *xmlstream.Reader) error {
	*e = Event{}
	for n := range r.Children() {
		if n.Space != NSEvent {
			continue
		}
		switch n.Local {
		case "items":
			e.Items = eventItems(r)
		case "configuration":
			e.Configuration = nodeForm(r)
		case "delete":
			e.Delete = deletion(r)
		case "purge":
			e.Purge = &Node{r.Attr("node")}
		case "subscription":
			e.Subscription = subscription(r)
		}
	}
	return r.Err()
}

func eventItems(r *xmlstream.Reader) *EventItems {
	x := &EventItems{Node: r.Attr("node")}
	for n := range r.Children() {
		switch n {
		case xmlstream.Name{Space: NSEvent, Local: "item"}:
			x.Items = append(x.Items, item(r))
		case xmlstream.Name{Space: NSEvent, Local: "retract"}:
			x.Retract = append(x.Retract, r.Attr("id"))
		}
	}
	return x
}

// Authorization is the form by which owners let somebody subscribe. §8.6
type Authorization struct {
	Node       string
	Subscriber string // an address
	Allow      bool
}

// Form is the question to an owner.
func (a Authorization) Form() *form.Form {
	f := form.New(form.Ask, FormAuthorize,
		form.Field{Var: "pubsub#node", Type: form.TextSingle, Label: "Node", Values: []string{a.Node}},
		form.Field{Var: "pubsub#subscriber_jid", Type: form.JIDSingle, Label: "Subscriber", Values: []string{a.Subscriber}},
		form.Field{Var: "pubsub#allow", Type: form.Boolean, Label: "Let this address subscribe?", Values: []string{"0"}},
	)
	f.Title = "Request to subscribe"
	f.Instructions = []string{"Somebody wants to subscribe to a node of yours. Submit the form to allow or deny it."}
	return f
}

// AuthorizationOf reads an owner's answer. ok is false where the form is none.
func AuthorizationOf(f *form.Form) (a Authorization, ok bool) {
	if f.Type != form.Submit || f.FormType() != FormAuthorize {
		return a, false
	}
	a.Node, a.Subscriber = f.Get("pubsub#node"), f.Get("pubsub#subscriber_jid")
	a.Allow, ok = f.Field("pubsub#allow").Bool()
	return a, ok && a.Subscriber != ""
}
