// SPDX-License-Identifier: Apache-2.0

package message_test

import (
	"testing"

	"github.com/stonechat-im/stonechat/module/message"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

func TestKept(t *testing.T) {
	const (
		composing = "<composing xmlns='http://jabber.org/protocol/chatstates'/>"
		noStore   = "<no-store xmlns='urn:xmpp:hints'/>"
		body      = "<body>hi</body>"
		payload   = "<x xmlns='u:x'/>"
	)
	for _, c := range []struct {
		typ, content string
		want         bool
	}{
		{"chat", body, true},
		{"normal", body, true},
		{"headline", body, false},
		{"groupchat", body, false},
		{"error", body, false},
		{"chat", body + noStore, false},
		{"chat", body + composing, true},
		{"chat", composing, false},
		{"chat", composing + "<thread>t</thread>", false},
		{"chat", composing + "<store xmlns='urn:xmpp:hints'/>", false},
		{"chat", composing + payload, true},
		{"chat", "<thread>t</thread>", true}, // no chat state at all
		{"chat", payload, true},
		{"chat", "", true},
		{"chat", "<subject>s</subject>", true},
	} {
		s, err := stanza.Parse([]byte("<message xmlns='jabber:client' type='" + c.typ + "'>" + c.content + "</message>"))
		if err != nil {
			t.Fatal(err)
		}
		if got := message.Kept(s); got != c.want {
			t.Errorf("%s %s: %v", c.typ, c.content, got)
		}
	}
}
