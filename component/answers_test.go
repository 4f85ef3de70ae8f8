// SPDX-License-Identifier: Apache-2.0

package component_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/stonechat-im/stonechat/component"
	"github.com/stonechat-im/stonechat/xmpp/disco"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// A program says more of its addresses and their nodes than that they are there, or that something is not.
func TestDescribe(t *testing.T) {
	l := listen(t)
	l.start(func(c *component.Config) {
		c.Describe = func(_ context.Context, to jid.JID, node string, info *disco.Info) error {
			switch {
			case to.Local() == "broken":
				return errors.New("the map is torn")
			case node == "rain":
				info.Identities = []disco.Identity{{Category: "pubsub", Type: "leaf", Name: to.Local()}}
				info.Features = append(info.Features, "urn:example:rain")
			case node != "":
				return stanza.ItemNotFound.Err("")
			}
			return nil
		}
		c.Items = func(_ context.Context, to jid.JID, node string) ([]disco.Item, error) {
			if node != "" {
				return nil, stanza.ItemNotFound.Err("")
			}
			return []disco.Item{{JID: to, Node: "rain"}}, nil
		}
	})
	p := l.admit()
	for _, c := range []struct {
		to, payload string
		want        []string
	}{
		{"london@sms.d", "<query xmlns='http://jabber.org/protocol/disco#info' node='rain'/>",
			[]string{"type='result'", "node='rain'", "category='pubsub'", "name='london'", "var='urn:example:rain'", "var='urn:xmpp:ping'"}},
		{"london@sms.d", "<query xmlns='http://jabber.org/protocol/disco#info'/>", []string{"type='result'", "category='component'", "var='urn:xmpp:ping'"}},
		{"london@sms.d", "<query xmlns='http://jabber.org/protocol/disco#info' node='snow'/>", []string{"<item-not-found "}},
		{"broken@sms.d", "<query xmlns='http://jabber.org/protocol/disco#info'/>", []string{"<internal-server-error "}},
		{"london@sms.d", "<query xmlns='http://jabber.org/protocol/disco#items'/>", []string{"type='result'", "<item jid='london@sms.d' node='rain'/>"}},
		{"london@sms.d", "<query xmlns='http://jabber.org/protocol/disco#items' node='snow'/>", []string{"<item-not-found "}},
	} {
		p.say("<iq from='juliet@d/x' to='" + c.to + "' type='get' id='q'>" + c.payload + "</iq>")
		p.expect(true, c.want...)
	}
}

// Whoever is to see a component's presence is sent it each time that it has connected.
func TestSession(t *testing.T) {
	l := listen(t)
	c, err := component.New(l.config())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	c.HandleSession(func(ctx context.Context) {
		s := component.Presence{Show: "chat"}.Stanza(jid.MustParse("london@sms.d"), juliet)
		if err := c.Send(ctx, s); err != nil {
			t.Error(err)
		}
	})
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		p := l.admit()
		p.expect(true, "<presence ", "from='london@sms.d'", "to='juliet@d/x'", "<show>chat</show>")
		flushed := make(chan error, 1)
		go func() { flushed <- c.Flush(limited(t)) }()
		go p.serve()
		if err := <-flushed; err != nil {
			t.Fatal(err)
		}
		_ = p.conn.Close()
	}
}

// A gateway that has to know when its people are there asks them for their presence, and lets go of it with them.
func TestMutual(t *testing.T) {
	l := listen(t)
	c := l.start(nil)
	c.HandleContacts(component.Contacts{Mutual: true})
	p := l.admit()
	p.say("<presence from='juliet@d' to='london@sms.d' type='subscribe'/>")
	p.expect(true, "type='subscribed'", "from='london@sms.d'", "to='juliet@d'")
	if s := p.expect(true, "<presence from='london@sms.d' to='juliet@d'"); strings.Contains(s, "type=") {
		t.Errorf("shown %s", s)
	}
	p.expect(true, "type='subscribe'", "from='london@sms.d'", "to='juliet@d'")
	p.say("<presence from='juliet@d' to='london@sms.d' type='unsubscribe'/>")
	p.expect(true, "type='unsubscribed'")
	p.expect(true, "type='unavailable'")
	p.expect(true, "type='unsubscribe'")
}
