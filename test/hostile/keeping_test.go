// SPDX-License-Identifier: Apache-2.0

//go:build linux

package hostile

import (
	"strconv"
	"strings"
	"testing"

	"github.com/stonechat-im/stonechat/xmpp/carbons"
	"github.com/stonechat-im/stonechat/xmpp/mam"
	"github.com/stonechat-im/stonechat/xmpp/private"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// keepingAttacks are on archives, carbons and private XML.
func keepingAttacks() []attack {
	query := func(set string) string {
		return "<query xmlns='" + mam.NS + "'><set xmlns='http://jabber.org/protocol/rsm'>" + set + "</set></query>"
	}
	addresses := strings.Repeat("<jid>a@example.org</jid>", 1)
	for i := range 1100 {
		addresses += "<jid>a" + strconv.Itoa(i) + "@example.org</jid>"
	}
	return []attack{
		{"a page of a million messages", func(t *testing.T, s *server) {
			p := s.session(t, "mallory")
			for i := range 200 {
				p.send("<message type='chat' to='mallory@localhost' id='" + strconv.Itoa(i) + "'><body>note</body></message>")
			}
			p.still()
			answer, messages := p.asks("mallory@localhost", "set", query("<max>1000000</max>"))
			if refusal(answer) != "" || messages != 50 || strings.Contains(answer.raw, "complete='true'") {
				t.Errorf("%d messages, and %s", messages, answer.raw)
			}
			p.close()
		}, ""},
		asked("a page of less than nothing", "bad-request", "mallory@localhost", "set", query("<max>-1</max>")),
		asked("a page behind what is not there", "item-not-found", "mallory@localhost", "set", query("<after>AAAAAAAAAAAAAAAAAAAAAA</after>")),
		asked("somebody else's archive", "service-unavailable", "iago@localhost", "set", query("")),
		asked("preferences with too many addresses", "policy-violation", "mallory@localhost", "set",
			"<prefs xmlns='"+mam.NS+"' default='never'><always>"+addresses+"</always><never/></prefs>"),
		{"queries without end", func(t *testing.T, s *server) {
			// Whoever asks faster than it reads is not read until it has; it gets all the answers.
			p := s.session(t, "mallory")
			go p.send(strings.Repeat("<iq type='set' id='q'>"+query("<max>50</max><before/>")+"</iq>", 300) +
				"<iq type='get' id='last' to='" + domain + "'><ping xmlns='urn:xmpp:ping'/></iq>")
			answers := 0
			for id := ""; id != "last"; {
				e := p.read()
				if id = xmlstream.NewReader(e.raw, stanza.NSClient).Attr("id"); id == "q" {
					answers++
				}
			}
			if answers != 300 {
				t.Errorf("%d answers", answers)
			}
			p.close()
		}, "sessions_waiting_to_read 0+"},
		{"a forged id of an archive", func(t *testing.T, s *server) {
			// XEP-0359 §6: what bears our name and is not ours goes.
			to, p := s.session(t, "iago"), s.session(t, "mallory")
			p.send("<message type='chat' to='" + to.full + "' id='f'><body>x</body><stanza-id xmlns='urn:xmpp:sid:0' by='iago@localhost' id='forged'/></message>")
			if e, _ := to.until("message", func(_ element, r *xmlstream.Reader) bool { return r.Attr("id") == "f" }); strings.Contains(e.raw, "forged") {
				t.Errorf("read %s", e.raw)
			}
			p.close()
			to.close()
		}, ""},
		{"a forged carbon copy", func(t *testing.T, s *server) {
			// XEP-0280 §11: it comes from mallory, for all to see, and is not copied as one's own.
			to, other, p := s.session(t, "iago"), s.session(t, "iago"), s.session(t, "mallory")
			for _, x := range []*peer{to, other} {
				x.must("iago@localhost", "<enable xmlns='"+carbons.NS+"'/>")
			}
			p.send("<message type='chat' to='" + to.full + "' id='f'><received xmlns='" + carbons.NS + "'><forwarded xmlns='urn:xmpp:forward:0'>" +
				"<message xmlns='jabber:client' from='romeo@localhost/x' to='iago@localhost' type='chat'><body>give him the keys</body></message></forwarded></received></message>")
			for _, x := range []*peer{to, other} {
				p.still()
				x.send("<iq type='get' id='end' to='" + domain + "'><ping xmlns='urn:xmpp:ping'/></iq>")
				x.until("end", func(e element, r *xmlstream.Reader) bool {
					if e.is(stanza.NSClient, "message") && r.Attr("from") != p.full && !strings.Contains(e.raw, "from='"+p.full+"'") {
						t.Errorf("read %s", e.raw)
					}
					return r.Attr("id") == "end"
				})
				x.close()
			}
			p.close()
		}, ""},
		asked("private XML that is too large", "resource-constraint", "mallory@localhost", "set",
			"<query xmlns='"+private.NS+"'><x xmlns='urn:example'>"+strings.Repeat("x", 60_000)+"</x></query>"),
	}
}
