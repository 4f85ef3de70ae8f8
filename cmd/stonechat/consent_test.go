// SPDX-License-Identifier: Apache-2.0

package main

// How to read this file: a home has an owner, a thing that knows nothing of consent, and those who want something of it. The table of
// refusals tries every right in every way by each of them.

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/stonechat-im/stonechat/module/registry"
	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// home is a bed with a thing of juliet's.
type home struct {
	*bed
	meter, juliet *peer
	outside       *farAway
}

// farAway takes what is for other servers.
type farAway struct {
	mu  sync.Mutex
	got []string
}

func (*farAway) Present() bool { return true }

func (o *farAway) Take(_ *server.Turn, s *stanza.Stanza) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.got = append(o.got, string(s.Append(nil, "")))
	return nil
}

func (o *farAway) take() []string {
	synctest.Wait()
	o.mu.Lock()
	defer o.mu.Unlock()
	got := o.got
	o.got = nil
	return got
}

func newHome(t *testing.T, more string) *home {
	t.Helper()
	h := &home{bed: newBed(t, more), outside: new(farAway)}
	h.Account("juliet@d")
	h.Account("meter@d")
	if _, err := h.Attach(server.Elsewhere, h.outside); err != nil {
		t.Fatal(err)
	}
	h.adopt("meter@d", "juliet@d", "")
	h.juliet, h.meter = h.online("juliet@d/garden"), h.online("meter@d/x")
	h.juliet.Got()
	h.meter.Got()
	return h
}

// adopt makes an account a thing of an owner's, or nobody's.
func (h *home) adopt(thing, owner, node string) {
	h.t.Helper()
	x := store.Thing{ThingName: store.ThingName{JID: jid.MustParse(thing), ThingNode: store.ThingNode{ID: node}}}
	if owner != "" {
		x.Owner = jid.MustParse(owner)
	}
	p, err := find[*registry.Module](h.mods).Adopt(h.t.Context(), x)
	if err == nil {
		err = p.Wait(h.t.Context())
	}
	if err != nil {
		h.t.Fatal(err)
	}
	synctest.Wait()
}

// say has somebody say something to the service, and returns the answer.
func (h *home) say(p *peer, text string) string {
	h.t.Helper()
	p.Got()
	p.Send("<message to='things.d' type='chat' id='w'><body>" + text + "</body></message>")
	for _, xml := range p.Got() {
		if _, body, ok := strings.Cut(xml, "<body>"); ok && strings.Contains(xml, "from='things.d'") {
			return strings.TrimSuffix(body, "</body></message>")
		}
	}
	h.t.Fatalf("%q is not answered", text)
	return ""
}

// tells is say where the answer must have these parts.
func (h *home) tells(p *peer, text string, parts ...string) {
	h.t.Helper()
	answer := h.say(p, text)
	for _, part := range parts {
		if !strings.Contains(answer, part) {
			h.t.Errorf("%q is answered\n\t%s\nwithout %q", text, answer, part)
		}
	}
}

// refusals are those that the store has of the thing, as caller:way.
func (h *home) refusals() (list []string) {
	h.t.Helper()
	synctest.Wait()
	all, err := h.Disk.Refusals(h.t.Context(), jid.MustParse("meter@d"), 0, 0)
	if err != nil {
		h.t.Fatal(err)
	}
	for _, r := range all {
		list = append(list, r.Caller.String()+":"+r.Way)
	}
	return list
}

// caller is somebody who wants something.
type caller struct {
	h    *home
	jid  string // full
	peer *peer  // nil: at another server
}

// send sends a stanza, with FROM where its sender stands at another server, and returns what it brings him.
func (c *caller) send(xml string) []string {
	c.h.t.Helper()
	if c.peer == nil {
		c.h.outside.take()
		c.h.from(strings.Replace(xml, " to=", " xmlns='jabber:client' from='"+c.jid+"' to=", 1))
		return c.h.outside.take()
	}
	c.peer.Got()
	c.peer.Send(xml)
	return c.peer.Got()
}

const (
	readT   = "<req xmlns='urn:xmpp:iot:sensordata' seqnr='1' momentary='true'><field name='t'/></req>"
	readAll = "<req xmlns='urn:xmpp:iot:sensordata' seqnr='1' momentary='true'/>"
	setOn   = "<set xmlns='urn:xmpp:iot:control'><boolean name='on' value='true'/></set>"
	setForm = "<set xmlns='urn:xmpp:iot:control'><x xmlns='jabber:x:data' type='submit'><field var='on'><value>1</value></field></x></set>"
	getForm = "<getForm xmlns='urn:xmpp:iot:control'/>"
	senmlT  = "urn:ietf:params:xml:ns:senml#t"
)

func iqTo(typ, payload string) string {
	return "<iq to='meter@d/x' type='" + typ + "' id='q'>" + payload + "</iq>"
}

func toCommand(node, form string) string {
	return iqTo("set", "<command xmlns='http://jabber.org/protocol/commands' node='"+node+"' action='execute'>"+form+"</command>")
}

func pubsubItems(node string) string {
	return "<iq to='meter@d' type='get' id='q'><pubsub xmlns='http://jabber.org/protocol/pubsub'><items node='" + node + "'/></pubsub></iq>"
}

// callers are those of the table. Rights are given by rules of juliet's.
var callerNames = []string{"stranger@d", "stranger@x.example", "friend@d", "reads-h@d", "sets-off@d", "former@d", "reads-t@d", "reads@x.example", "sets-on@d", "sets@x.example", "all@d", "juliet@d"}

var rulesOfTable = []string{
	"allow friend@d to see meter", "allow reads-h@d to read meter h", "allow sets-off@d to control meter off", "allow reads-t@d to read meter t",
	"allow reads@x.example to read meter", "allow sets-on@d to control meter on", "allow sets@x.example to control meter",
	"allow all@d to read meter", "allow all@d to control meter", "allow all@d to see meter",
}

// TestTableOfRefusals: for every right, in every way, who has it not is refused, and what he has sent is never at the thing; who has
// no right at all is told what he would be told if nobody lived there.
func TestTableOfRefusals(t *testing.T) {
	readers := "reads-t@d reads@x.example all@d juliet@d"
	controllers := "sets-on@d sets@x.example all@d juliet@d"
	anyRight := "friend@d reads-h@d sets-off@d reads-t@d reads@x.example sets-on@d sets@x.example all@d juliet@d"
	for _, way := range []struct {
		name, xml string
		may       string // who gets through
		arrives   string // what the thing has then
		way       string // of the refusals
	}{
		{"0323 of a field", iqTo("get", readT), readers, "sensordata", "readout"},
		{"0323 of everything", iqTo("get", readAll), readers + " reads-h@d", "sensordata", "readout"},
		{"0323 cancel", iqTo("get", "<cancel xmlns='urn:xmpp:iot:sensordata' seqnr='1'/>"), readers + " reads-h@d", "cancel", "readout"},
		{"0325 by iq", iqTo("set", setOn), controllers, "control", "control"},
		{"0325 by a form", iqTo("set", setForm), controllers, "control", "control"},
		{"0325 getForm", iqTo("get", getForm), controllers + " sets-off@d", "getForm", "control"},
		{"0325 by message", "<message to='meter@d/x'>" + setOn + "</message>", controllers, "control", "control"},
		{"0325 by message to the account", "<message to='meter@d'>" + setOn + "</message>", controllers, "control", "control"},
		{"0050 read", toCommand("read", ""), "reads@x.example all@d juliet@d", "command", "command"},
		{"0050 set", toCommand("set", ""), controllers + " sets-off@d", "command", "command"},
		{"0050 set with a form", toCommand("set", "<x xmlns='jabber:x:data' type='submit'><field var='on'><value>1</value></field></x>"), controllers, "command", "command"},
		{"0050 of a parameter", toCommand("set/on", ""), controllers, "command", "command"},
		{"0050 of its own", toCommand("on", ""), controllers, "command", "command"},
		{"0326", iqTo("get", "<getAllDataSources xmlns='urn:xmpp:iot:concentrators'/>"), readers + " reads-h@d", "concentrators", "node"},
		{"0326 command", iqTo("set", "<executeNodeCommand xmlns='urn:xmpp:iot:concentrators' nodeId='1' sourceId='s' command='on'/>"), controllers, "concentrators", "node"},
		{"chat", "<message to='meter@d' type='chat'><body>set on true</body></message>", "all@d juliet@d", "set on true", "chat"},
		{"chat to the session", "<message to='meter@d/x' type='chat'><body>set on true</body></message>", "all@d juliet@d", "set on true", "chat"},
		{"chat with a command within", "<message to='meter@d/x'><body>x</body>" + setOn + "</message>", "all@d juliet@d", "control", "chat"},
		{"json", "<message to='meter@d/x'><json-message xmlns='urn:xmpp:json-msg:0'/></message>", "all@d juliet@d", "json", "message"},
		{"ping", iqTo("get", "<ping xmlns='urn:xmpp:ping'/>"), anyRight, "ping", "query"},
		{"disco", iqTo("get", "<query xmlns='http://jabber.org/protocol/disco#info'/>"), anyRight, "disco", "query"},
		{"version", iqTo("get", "<query xmlns='jabber:iq:version'/>"), anyRight, "version", "query"},
		{"anything else", iqTo("set", "<jingle xmlns='urn:xmpp:jingle:1'/>"), "juliet@d", "jingle", "request"},
		{"provisioning", "<message to='meter@d/x'><friend xmlns='urn:xmpp:iot:provisioning' jid='stranger@d'/></message>", "juliet@d", "provisioning", "message"},
		{"groupchat", "<message to='meter@d/x' type='groupchat'><body>stop</body></message>", "juliet@d", "stop", "chat"},
		{"items", pubsubItems(senmlT), readers, "", "published"},
		{"subscribe", "<iq to='meter@d' type='set' id='q'><pubsub xmlns='http://jabber.org/protocol/pubsub'><subscribe node='" + senmlT + "' jid='JID'/></pubsub></iq>", readers, "", "published"},
	} {
		t.Run(way.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHome(t, "")
				h.meter.Send("<iq type='set' id='pub'><pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='" + senmlT + "'><item id='1'><x xmlns='urn:x'>21</x></item></publish></pubsub></iq>")
				all := h.callers()
				for _, rule := range rulesOfTable {
					h.tells(h.juliet, rule, "revoke")
				}
				h.meter.Got()
				may := strings.Fields(way.may)
				for _, name := range callerNames {
					c := all[name]
					got := strings.Join(c.send(strings.Replace(way.xml, "JID", c.jid, 1)), "")
					had := strings.Join(h.meter.Got(), "")
					refused := slices.Contains(h.refusals(), c.bare()+":"+way.way)
					passes := slices.Contains(may, name)
					arrived := way.arrives != "" && strings.Contains(had, way.arrives)
					if way.arrives == "" {
						arrived = !strings.Contains(got, "type='error'") && strings.Contains(got, "type='result'")
					}
					if arrived != passes || refused == passes {
						t.Errorf("%s: at the thing %v, noted as refused %v, want %v; he got %s, it got %s", name, arrived, refused, passes, got, had)
					}
					if passes {
						continue
					}
					want := "service-unavailable"
					if slices.Contains(strings.Fields(anyRight), name) {
						want = "forbidden"
					}
					if !strings.Contains(got, "<"+want) {
						t.Errorf("%s is told %s, want %s", name, got, want)
					}
					if had != "" {
						t.Errorf("%s: the thing has %s", name, had)
					}
				}
			})
		})
	}
}

func (c *caller) bare() string { return jid.MustParse(c.jid).Bare().String() }

// callers binds those of the table. The former owner had the thing, and disowned it before juliet had it.
func (h *home) callers() map[string]*caller {
	h.t.Helper()
	all := make(map[string]*caller)
	for _, name := range callerNames {
		c := &caller{h: h, jid: name + "/r"}
		switch {
		case name == "juliet@d":
			c.jid, c.peer = "juliet@d/garden", h.juliet
		case strings.HasSuffix(name, "@d"):
			h.Account(name)
			c.peer = h.online(c.jid)
		}
		all[name] = c
	}
	return all
}
