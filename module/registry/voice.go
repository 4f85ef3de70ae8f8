// SPDX-License-Identifier: Apache-2.0

package registry

// How to read this file: the service is at a domain, and some clients let nobody write to one. So it is at an address with a local
// part, too, which it speaks to people from, and which looks to their clients like a contact that is always there.

import (
	"context"

	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/caps"
	"github.com/stonechat-im/stonechat/xmpp/command"
	"github.com/stonechat-im/stonechat/xmpp/disco"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/registry"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

const (
	voiceLocal    = "registry"
	voiceResource = "stonechat"
	voiceName     = "Things"
	capsNode      = "https://stonechat.im/things"
)

// Voice is from where the service speaks to people, by the domain that it is of: registry@things.DOMAIN, at which it answers as it
// does at Address. It is zero where there is none.
func (m *Module) Voice(domain string) jid.JID { return voiceOf(m.hosts[domain]) }

func voiceOf(at jid.JID) jid.JID {
	if at.IsZero() {
		return at
	}
	voice, _ := jid.New(voiceLocal, at.Domain(), "") // both parts are prepared
	return voice
}

// presence is for those who want a registry as their friend, as XEP-0347 §5.1 has it where it is no service: everybody may, and it
// is there. It wants to see nobody.
func (s *service) presence(t *server.Turn, st *stanza.Stanza) {
	who := st.From.Bare()
	answer := func(typ stanza.Type) {
		p := stanza.New(stanza.Presence, typ, who)
		p.From = st.To.Bare()
		t.Route(p)
	}
	switch st.Type {
	case stanza.Subscribe:
		answer(stanza.Subscribed)
		s.appear(t, st.To, who)
	case stanza.Probe:
		s.appear(t, st.To, st.From)
	case stanza.Unsubscribe:
		answer(stanza.Unsubscribed)
	}
}

// appear shows who that it is there: at its domain by as little as can be said, at its other address as clients are.
func (m *Module) appear(t *server.Turn, from, who jid.JID) {
	p := stanza.New(stanza.Presence, stanza.Available, who)
	if p.From = from.Bare(); !p.From.IsDomain() {
		p.From, _ = p.From.WithResource(voiceResource)
		p.Add(&stanza.Raw{Name: xmlstream.Name{Space: stanza.NSClient, Local: "status"}, Bytes: []byte("<status>Say help</status>")})
		if c, err := m.caps(); err == nil {
			p.Add(c)
		}
	}
	t.Route(p)
}

// capabilities are a hash of what there is to know of the service at that address, so that clients see its commands without asking
// (XEP-0115).
func (m *Module) capabilities() (*caps.Caps, error) {
	ver, err := caps.Ver(caps.SHA1, m.about(true))
	return &caps.Caps{Hash: caps.SHA1, Node: capsNode, Ver: ver}, err
}

// isCapabilities reports whether somebody asks at a node what that hash stands for.
func (m *Module) isCapabilities(to jid.JID, node string) bool {
	c, err := m.caps()
	return err == nil && !to.IsDomain() && node == c.InfoNode()
}

// about is what there is to know of the service, where it speaks or at its domain.
func (m *Module) about(speaks bool) *disco.Info {
	is := disco.Identity{Category: "component", Type: "generic", Name: voiceName}
	features := append([]string{disco.NSInfo, disco.NSItems, registry.NS}, m.features...)
	if m.leader != nil {
		features = append(features, command.NS)
	}
	if speaks {
		is.Category, is.Type = "client", "bot"
		features = append(features, caps.NS)
	}
	return &disco.Info{Identities: []disco.Identity{is}, Features: features}
}

// introduced is what makes the service a contact of an owner's who has an account here and owns nothing else: from there he can
// talk to it. Who removes it from his contacts is not given it again.
func (m *Module) introduced(ctx context.Context, x *store.Thing, owner jid.JID) (list []Relation, err error) {
	if !m.server.Serves(owner.Domain()) || owner.IsDomain() {
		return nil, nil
	}
	if some, err := m.store.ListThings(ctx, store.ThingFilter{Owner: owner, Limit: 1}); err != nil || len(some) > 0 {
		return nil, err
	}
	return []Relation{{Thing: m.Voice(x.JID.Domain()), Other: owner, Friends: true, Service: true, Name: voiceName}}, nil
}
