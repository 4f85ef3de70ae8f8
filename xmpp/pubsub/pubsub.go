// SPDX-License-Identifier: Apache-2.0

// Package pubsub is the vocabulary of publish-subscribe: what entities ask of the nodes of a
// service or of an account, what owners ask, and the events that subscribers get.
//
// XEP-0060 (partial, 1.30.0): no collections (XEP-0248), several subscriptions of one address, or leases
//
// How to read this package: pubsub.go has the words that all share and the requests of everybody,
// owner.go those of owners, event.go what is told, error.go what is refused; config.go and options.go
// are the two forms, as structs.
package pubsub

import (
	"strconv"

	"github.com/stonechat-im/stonechat/xmpp/form"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/rsm"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// The namespaces. §17.1
const (
	NS       = "http://jabber.org/protocol/pubsub"
	NSOwner  = NS + "#owner"
	NSEvent  = NS + "#event"
	NSErrors = NS + "#errors"
)

// The types of forms, and the name of a command. §17.4, §8.7
const (
	FormConfig      = NS + "#node_config"
	FormOptions     = NS + "#subscribe_options"
	FormPublish     = NS + "#publish-options"
	FormMetadata    = NS + "#meta-data"
	FormAuthorize   = NS + "#subscribe_authorization"
	CommandPending  = NS + "#get-pending"
	NotifySuffix    = "+notify" // behind a node's name: a client asks for its notifications. §9.2
	namespaceOfForm = form.NS
)

// Affiliation is what somebody is to a node. §4.1
type Affiliation string

// The affiliations.
const (
	AffiliationNone Affiliation = "none"
	Outcast         Affiliation = "outcast"
	Member          Affiliation = "member"
	PublishOnly     Affiliation = "publish-only"
	Publisher       Affiliation = "publisher"
	Owner           Affiliation = "owner"
)

// Known reports whether a is one of the affiliations.
func (a Affiliation) Known() bool {
	switch a {
	case AffiliationNone, Outcast, Member, PublishOnly, Publisher, Owner:
		return true
	}
	return false
}

// State is the state of a subscription. §4.2
type State string

// The states.
const (
	StateNone    State = "none"
	Pending      State = "pending"
	Unconfigured State = "unconfigured"
	Subscribed   State = "subscribed"
)

// Known reports whether s is one of the states.
func (s State) Known() bool {
	switch s {
	case StateNone, Pending, Unconfigured, Subscribed:
		return true
	}
	return false
}

// Request is what anybody asks of nodes, and the answer to it. One of the fields is set, or two
// that belong together: Create and Configure, Subscribe and Options, Publish and PublishOptions,
// Items and Page. It implements stanza.Payload. §18.1
type Request struct {
	Create         *NodeForm // Form is that of <configure/> behind it, nil: none
	Configure      bool      // there was a <configure/>, with or without a form
	Subscribe      *Subscription
	Unsubscribe    *Subscription
	Options        *Options
	Publish        *Items
	PublishOptions *form.Form
	Items          *Items
	Retract        *Items
	Subscriptions  *Subscriptions
	Affiliations   *Affiliations
	Default        *NodeForm
	Subscription   *Subscription // in answers
	Page           *rsm.Set
}

// NodeForm is a node, "" for none, and a form about it, or nil.
type NodeForm struct {
	Node string
	Form *form.Form
}

// Subscription is one, wherever it stands: asked for, told, in a list.
type Subscription struct {
	Node    string
	JID     jid.JID
	State   State // "" in requests
	SubID   string
	Expiry  string
	Options bool // options may be set. §6.1.5
}

// Options are those of a subscription. §6.3
type Options struct {
	Node  string
	JID   jid.JID
	SubID string
	Form  *form.Form
}

// Items are published, retrieved or retracted.
type Items struct {
	Node   string
	SubID  string
	Max    *int // max_items of a request. §6.5.7
	Notify bool // of a retraction. §7.2.2.1
	Items  []Item
}

// Item is one.
type Item struct {
	ID        string
	Publisher string // an address, as the service has stamped it
	Payload   []byte // whole elements that stand alone, or nil

	Elements int // how many Payload has; set by DecodeXML
}

// Subscriptions is a list. §5.6, §8.8
type Subscriptions struct {
	Node string
	List []Subscription
}

// Affiliations is a list. §5.7, §8.9
type Affiliations struct {
	Node string
	List []AffiliationOf
}

// AffiliationOf is one line of it: Node in a list of one's own, JID in that of a node.
type AffiliationOf struct {
	Node        string
	JID         jid.JID
	Affiliation Affiliation
}

// XMLName implements stanza.Payload.
func (*Request) XMLName() xmlstream.Name { return xmlstream.Name{Space: NS, Local: "pubsub"} }

// AppendXML implements stanza.Payload.
func (q *Request) AppendXML(dst []byte) []byte {
	dst = append(dst, "<pubsub xmlns='"+NS+"'>"...)
	if q.Create != nil {
		dst = appendNode(dst, "create", q.Create.Node, "/>")
		if q.Configure {
			dst = (&NodeForm{Form: q.Create.Form}).append(dst, "configure")
		}
	}
	if q.Subscribe != nil {
		dst = q.Subscribe.append(dst, "subscribe", true)
	}
	if q.Unsubscribe != nil {
		dst = q.Unsubscribe.append(dst, "unsubscribe", true)
	}
	if q.Subscription != nil {
		dst = q.Subscription.append(dst, "subscription", true)
	}
	if q.Options != nil {
		dst = q.Options.append(dst)
	}
	if q.Publish != nil {
		dst = q.Publish.append(dst, "publish")
	}
	if q.PublishOptions != nil {
		dst = (&NodeForm{Form: q.PublishOptions}).append(dst, "publish-options")
	}
	if q.Items != nil {
		dst = q.Items.append(dst, "items")
	}
	if q.Retract != nil {
		dst = q.Retract.append(dst, "retract")
	}
	if q.Subscriptions != nil {
		dst = q.Subscriptions.append(dst, true)
	}
	if q.Affiliations != nil {
		dst = q.Affiliations.append(dst)
	}
	if q.Default != nil {
		dst = q.Default.append(dst, "default")
	}
	if q.Page != nil {
		dst = q.Page.AppendXML(dst)
	}
	return append(dst, "</pubsub>"...)
}

// appendNode begins an element with the attribute node and ends its tag.
func appendNode(dst []byte, local, node, end string) []byte {
	dst = append(append(dst, '<'), local...)
	dst = xmlstream.AppendAttr(dst, "node", node)
	return append(dst, end...)
}

func (f *NodeForm) append(dst []byte, local string) []byte {
	if f.Form == nil {
		return appendNode(dst, local, f.Node, "/>")
	}
	dst = appendNode(dst, local, f.Node, ">")
	dst = f.Form.AppendXML(dst)
	return xmlstream.AppendEnd(dst, local)
}

// append writes one; whole says to write its node.
func (s *Subscription) append(dst []byte, local string, whole bool) []byte {
	dst = append(append(dst, '<'), local...)
	if whole {
		dst = xmlstream.AppendAttr(dst, "node", s.Node)
	}
	dst = xmlstream.AppendAttr(dst, "jid", s.JID.String())
	dst = xmlstream.AppendAttr(dst, "subscription", string(s.State))
	dst = xmlstream.AppendAttr(dst, "subid", s.SubID)
	dst = xmlstream.AppendAttr(dst, "expiry", s.Expiry)
	if !s.Options {
		return append(dst, "/>"...)
	}
	dst = append(dst, "><subscribe-options/>"...)
	return xmlstream.AppendEnd(dst, local)
}

func (o *Options) append(dst []byte) []byte {
	dst = append(dst, "<options"...)
	dst = xmlstream.AppendAttr(dst, "node", o.Node)
	dst = xmlstream.AppendAttr(dst, "jid", o.JID.String())
	dst = xmlstream.AppendAttr(dst, "subid", o.SubID)
	if o.Form == nil {
		return append(dst, "/>"...)
	}
	dst = append(dst, '>')
	dst = o.Form.AppendXML(dst)
	return append(dst, "</options>"...)
}

func (x *Items) append(dst []byte, local string) []byte {
	dst = append(append(dst, '<'), local...)
	dst = xmlstream.AppendAttr(dst, "node", x.Node)
	dst = xmlstream.AppendAttr(dst, "subid", x.SubID)
	if x.Max != nil {
		dst = append(dst, " max_items='"...)
		dst = append(strconv.AppendInt(dst, int64(*x.Max), 10), '\'')
	}
	if x.Notify {
		dst = append(dst, " notify='true'"...)
	}
	if len(x.Items) == 0 {
		return append(dst, "/>"...)
	}
	dst = append(dst, '>')
	for i := range x.Items {
		dst = x.Items[i].append(dst)
	}
	return xmlstream.AppendEnd(dst, local)
}

func (i *Item) append(dst []byte) []byte {
	dst = append(dst, "<item"...)
	dst = xmlstream.AppendAttr(dst, "id", i.ID)
	dst = xmlstream.AppendAttr(dst, "publisher", i.Publisher)
	if len(i.Payload) == 0 {
		return append(dst, "/>"...)
	}
	dst = append(dst, '>')
	dst = append(dst, i.Payload...)
	return append(dst, "</item>"...)
}

func (s *Subscriptions) append(dst []byte, whole bool) []byte {
	if len(s.List) == 0 {
		return appendNode(dst, "subscriptions", s.Node, "/>")
	}
	dst = appendNode(dst, "subscriptions", s.Node, ">")
	for i := range s.List {
		dst = s.List[i].append(dst, "subscription", whole)
	}
	return append(dst, "</subscriptions>"...)
}

func (a *Affiliations) append(dst []byte) []byte {
	if len(a.List) == 0 {
		return appendNode(dst, "affiliations", a.Node, "/>")
	}
	dst = appendNode(dst, "affiliations", a.Node, ">")
	for _, x := range a.List {
		dst = append(dst, "<affiliation"...)
		dst = xmlstream.AppendAttr(dst, "node", x.Node)
		dst = xmlstream.AppendAttr(dst, "jid", x.JID.String())
		dst = xmlstream.AppendAttr(dst, "affiliation", string(x.Affiliation))
		dst = append(dst, "/>"...)
	}
	return append(dst, "</affiliations>"...)
}

// DecodeXML implements stanza.Payload. Addresses that are none are jid-malformed; forms that are
// none are bad-request.
func (q *Request) DecodeXML(r *xmlstream.Reader) error {
	*q = Request{}
	for n := range r.Children() {
		if n.Space == rsm.NS && n.Local == "set" {
			q.Page = new(rsm.Set)
			fail(r, q.Page.DecodeXML(r))
		}
		if n.Space != NS {
			continue
		}
		switch n.Local {
		case "create":
			q.Create = &NodeForm{Node: r.Attr("node")}
		case "configure":
			f := nodeForm(r)
			q.Configure = true
			if q.Create == nil || f.Node != "" { // §8.1.3
				r.Fail(stanza.BadRequest.Err("configure follows create, and names no node"))
				break
			}
			q.Create.Form = f.Form
		case "subscribe":
			q.Subscribe = subscription(r)
		case "unsubscribe":
			q.Unsubscribe = subscription(r)
		case "subscription":
			q.Subscription = subscription(r)
		case "options":
			q.Options = options(r)
		case "publish":
			q.Publish = items(r)
		case "publish-options":
			q.PublishOptions = nodeForm(r).Form
		case "items":
			q.Items = items(r)
		case "retract":
			q.Retract = items(r)
		case "subscriptions":
			q.Subscriptions = subscriptions(r)
		case "affiliations":
			q.Affiliations = affiliations(r)
		case "default":
			q.Default = nodeForm(r)
		}
	}
	return r.Err()
}

func fail(r *xmlstream.Reader, err error) {
	if err != nil {
		r.Fail(err)
	}
}

// nodeForm reads an element with a node and perhaps a form.
func nodeForm(r *xmlstream.Reader) *NodeForm {
	f := &NodeForm{Node: r.Attr("node")}
	f.Form = formIn(r)
	return f
}

func formIn(r *xmlstream.Reader) (f *form.Form) {
	for n := range r.Children() {
		if n.Space == namespaceOfForm && n.Local == "x" && f == nil {
			f = new(form.Form)
			fail(r, f.DecodeXML(r))
		}
	}
	return f
}

// address reads an attribute that may be missing.
func address(r *xmlstream.Reader, name string) jid.JID {
	text := r.Attr(name)
	if text == "" {
		return jid.JID{}
	}
	j, err := jid.Parse(text)
	if err != nil {
		r.Fail(stanza.JIDMalformed.Err("the " + name + " is not valid"))
	}
	return j
}

func subscription(r *xmlstream.Reader) *Subscription {
	space := r.Name().Space
	s := &Subscription{
		Node: r.Attr("node"), JID: address(r, "jid"), SubID: r.Attr("subid"),
		State: State(r.Attr("subscription")), Expiry: r.Attr("expiry"),
	}
	for n := range r.Children() {
		if n == (xmlstream.Name{Space: space, Local: "subscribe-options"}) {
			s.Options = true
		}
	}
	return s
}

func options(r *xmlstream.Reader) *Options {
	o := &Options{Node: r.Attr("node"), JID: address(r, "jid"), SubID: r.Attr("subid")}
	o.Form = formIn(r)
	return o
}

func items(r *xmlstream.Reader) *Items {
	x := &Items{Node: r.Attr("node"), SubID: r.Attr("subid")}
	x.Notify = r.Attr("notify") == "true" || r.Attr("notify") == "1"
	if text, ok := r.LookupAttr("max_items"); ok {
		n, err := strconv.ParseUint(text, 10, 31)
		if err != nil {
			r.Fail(stanza.BadRequest.Err("max_items is a number"))
		}
		most := int(n)
		x.Max = &most
	}
	for n := range r.Children() {
		if n == (xmlstream.Name{Space: NS, Local: "item"}) {
			x.Items = append(x.Items, item(r))
		}
	}
	return x
}

func item(r *xmlstream.Reader) Item {
	i := Item{ID: r.Attr("id"), Publisher: r.Attr("publisher")}
	for range r.Children() {
		if i.Elements++; i.Elements == 1 {
			i.Payload = []byte(r.Raw())
		} else {
			i.Payload = append(i.Payload, r.Raw()...)
		}
	}
	return i
}

func subscriptions(r *xmlstream.Reader) *Subscriptions {
	s, space := &Subscriptions{Node: r.Attr("node")}, r.Name().Space
	for n := range r.Children() {
		if n == (xmlstream.Name{Space: space, Local: "subscription"}) {
			s.List = append(s.List, *subscription(r))
		}
	}
	return s
}

func affiliations(r *xmlstream.Reader) *Affiliations {
	a, space := &Affiliations{Node: r.Attr("node")}, r.Name().Space
	for n := range r.Children() {
		if n == (xmlstream.Name{Space: space, Local: "affiliation"}) {
			a.List = append(a.List, AffiliationOf{
				Node: r.Attr("node"), JID: address(r, "jid"), Affiliation: Affiliation(r.Attr("affiliation")),
			})
		}
	}
	return a
}
