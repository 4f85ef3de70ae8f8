// SPDX-License-Identifier: Apache-2.0

package consent

// How to read this file: wants says what a stanza wants; the functions below it what the requests of one vocabulary want, in the
// order in which request looks for them.

import (
	"strings"

	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/command"
	"github.com/stonechat-im/stonechat/xmpp/control"
	"github.com/stonechat-im/stonechat/xmpp/disco"
	"github.com/stonechat-im/stonechat/xmpp/entitytime"
	"github.com/stonechat-im/stonechat/xmpp/form"
	"github.com/stonechat-im/stonechat/xmpp/ping"
	"github.com/stonechat-im/stonechat/xmpp/provisioning"
	"github.com/stonechat-im/stonechat/xmpp/sensordata"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/version"
)

// Namespaces of what is recognized here and needs no words.
const (
	nsConcentrators = "urn:xmpp:iot:concentrators" // XEP-0326
	nsLast          = "jabber:iq:last"             // XEP-0012
)

// wants is what s wants of a thing; free says that it is for everybody to send. The error refuses s.
func (m *Module) wants(t *server.Turn, u *server.User, s *stanza.Stanza) (w *want, free bool, err error) {
	switch s.Kind {
	case stanza.IQ:
		if !s.Type.IsRequest() {
			return nil, true, nil // an answer to what the thing has asked
		}
		return m.request(t, u, s)
	case stanza.Message:
		return m.message(t, u, s)
	default:
		// Other presence asks for nothing, and is no secret of the thing's.
		if s.Type != stanza.Subscribe {
			return nil, true, nil
		}
		w = &want{way: wayPresence, right: store.RightFriend}
	}
	return w, false, nil
}

// request is what an IQ wants; free says that it is for everybody to send.
func (m *Module) request(t *server.Turn, u *server.User, s *stanza.Stanza) (w *want, free bool, err error) {
	i := s.First()
	if i < 0 || len(children(s)) > 1 { // RFC 6120 §8.2.3: which of them a thing would look at nobody knows
		return &want{way: wayRequest, need: needOwner}, false, nil
	}
	space, local, _ := s.Child(i)
	switch string(space) {
	case sensordata.NS:
		w, err = readout(s, i, string(local))
		return w, false, err
	case control.NS:
		w, err = controlled(s, i, string(local))
		return w, false, err
	case command.NS:
		w, err = commanded(s, m.speaksAt(u, s))
		return w, false, err
	case nsConcentrators:
		return concentrated(s, i, string(local)), false, nil
	case provisioning.NS:
		free = m.tokens != nil && m.tokens.Admits(t, u, s) // whom the thing has sent a token to doubts it
	case disco.NSInfo, disco.NSItems, ping.NS, version.NS, entitytime.NS, nsLast:
		if s.Type == stanza.Get {
			return &want{way: wayQuery, need: needAny, silent: true}, false, nil
		}
	}
	return &want{way: wayRequest, need: needOwner}, free, nil
}

// children are the indexes of those that were not cut.
func children(s *stanza.Stanza) (list []int) {
	for i := range s.Len() {
		if _, _, ok := s.Child(i); ok {
			list = append(list, i)
		}
	}
	return list
}

// speaksAt reports whether the session that s is for asks for itself.
func (m *Module) speaksAt(u *server.User, s *stanza.Stanza) bool {
	se := u.Session(s.To.Resource())
	return se != nil && m.asksItself(se)
}

func node(n sensordata.Node) store.ThingNode {
	return store.ThingNode{ID: n.ID, Source: n.Source, Cache: n.Cache}
}

func nodesOf(list []sensordata.Node) (nodes []store.ThingNode) {
	for _, n := range list {
		nodes = append(nodes, node(n))
	}
	return nodes
}

// wireNodes makes nodes words again. No nodes that are not nil stay so: in a limit they are nothing, and nil is everything.
func wireNodes(nodes []store.ThingNode) (list []sensordata.Node) {
	if nodes == nil {
		return nil
	}
	list = make([]sensordata.Node, 0, len(nodes))
	for _, n := range nodes {
		list = append(list, sensordata.Node{ID: n.ID, Source: n.Source, Cache: n.Cache})
	}
	return list
}

// replace puts p in the place of child i, which is the only one of its kind.
func replace(s *stanza.Stanza, i int, p stanza.Payload) {
	s.Cut(i)
	s.Add(p)
}

// readout is what a request of XEP-0323 wants.
func readout(s *stanza.Stanza, i int, local string) (*want, error) {
	w := &want{way: wayReadout, right: store.RightRead}
	var ask sensordata.Request
	if local != ask.XMLName().Local { // of whatever type: a thing may not look at that
		w.need = needSome // to cancel what he may ask for
		return w, nil
	}
	if _, err := s.Decode(&ask); err != nil {
		return nil, err
	}
	w.nodes, w.names, w.tokens = nodesOf(ask.Nodes), ask.Names, tokensOf(ask.Tokens)
	w.reduce = func(nodes []store.ThingNode, names []string) bool {
		l := sensordata.Limit{Nodes: wireNodes(nodes), Names: names}
		less, ok := ask.Reduce(l)
		if ok {
			replace(s, i, less)
		}
		return ok
	}
	return w, nil
}

// controlled is what a request of XEP-0325 wants.
func controlled(s *stanza.Stanza, i int, local string) (*want, error) {
	w := &want{way: wayControl, right: store.RightControl}
	if local != (*control.Set)(nil).XMLName().Local {
		w.need = needSome // the form of what can be set
		var form control.GetForm
		if local == form.XMLName().Local {
			if _, err := s.Decode(&form); err != nil {
				return nil, err
			}
			w.tokens = tokensOf(form.Tokens)
		}
		return w, nil
	}
	var set control.Set
	if _, err := s.Decode(&set); err != nil {
		return nil, err
	}
	w.nodes, w.names, w.tokens = nodesOf(set.Nodes), set.Names(), tokensOf(set.Tokens)
	for _, name := range formNames(set.Form) {
		if !named(w.names, name) {
			w.names = append(w.names, name)
		}
	}
	if len(w.names) == 0 {
		w.need = needSome // sets nothing
		return w, nil
	}
	// Done is all or nothing: what is left of a command would be answered as if it were the whole.
	return w, nil
}

// formNames are the names of all that a form submits, whatever it calls it.
func formNames(f *form.Form) (names []string) {
	if f == nil {
		return nil
	}
	for i := range f.Fields {
		if v := f.Fields[i].Var; v != "" && v != form.VarFormType && v != control.VarSession {
			names = append(names, v)
		}
	}
	return names
}

// Nodes of the commands that the SDK's things have. Every other command has the name by which it is allowed.
const (
	commandRead = "read"
	commandSet  = "set"
)

// commanded is what a command wants (XEP-0050).
func commanded(s *stanza.Stanza, speaks bool) (*want, error) {
	w := &want{way: wayCommand, right: store.RightControl, speaks: speaks}
	var c command.Command
	if found, err := s.Decode(&c); err != nil || !found {
		return &want{way: wayCommand, need: needOwner}, err
	}
	verb, name, isSet := strings.Cut(c.Node, "/")
	isSet = isSet && strings.EqualFold(verb, commandSet)
	more := !speaks && len(c.Payload) > 0 // beside the form: which of them it looks at nobody knows
	switch {
	case strings.EqualFold(c.Node, commandRead):
		w.right = store.RightRead
		if speaks {
			w.need = needSome // it shows what may be read
		}
	case more && (isSet || strings.EqualFold(c.Node, commandSet)): // to control all of it
	case strings.EqualFold(c.Node, commandSet):
		if w.names = formNames(c.Form); speaks || len(w.names) == 0 {
			w.need, w.names = needSome, nil
		}
	case isSet && name != "":
		w.names = []string{name}
		for _, x := range formNames(c.Form) {
			if x != name && !speaks { // the parameter's own field may have any name there
				w.names = append(w.names, x)
			}
		}
	default:
		w.names = []string{c.Node}
	}
	return w, nil
}

// concentrated is what a request to a concentrator wants (XEP-0326): to read its tree, or to have a node do something.
func concentrated(s *stanza.Stanza, i int, local string) *want {
	w := &want{way: wayNode, right: store.RightRead, need: needSome}
	r := s.Reader(i)
	add := func() {
		if id := r.Attr("nodeId"); id != "" && len(w.nodes) < sensordata.MaxNodes {
			w.nodes = append(w.nodes, store.ThingNode{ID: id, Source: r.Attr("sourceId"), Cache: r.Attr("cacheType")})
		}
	}
	name := r.Attr("command")
	add()
	for range r.Children() {
		add()
	}
	if len(w.nodes) == sensordata.MaxNodes || r.Err() != nil {
		w.need = needOwner // not all were looked at
		return w
	}
	if local == "subscribe" || local == "unsubscribe" {
		return w // to what changes of what he may read
	}
	if strings.Contains(local, "NodeCommand") && local != "getNodeCommands" || strings.Contains(local, "CommandParameters") || s.Type == stanza.Set {
		w.right, w.need = store.RightControl, needNames
		if name != "" {
			w.names = []string{name}
		}
	}
	return w
}
