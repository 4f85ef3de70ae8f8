// SPDX-License-Identifier: Apache-2.0

package carbons_test

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/stonechat-im/stonechat/internal/xmpptest"
	"github.com/stonechat-im/stonechat/xmpp/carbons"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

func TestCopy(t *testing.T) {
	golden, err := os.ReadFile("testdata/xep0280-7.1-received.xml")
	if err != nil {
		t.Fatal(err)
	}
	received := string(bytes.TrimSpace(golden))
	sent := "<sent" + strings.TrimSuffix(strings.TrimPrefix(received, "<received"), "</received>") + "</sent>"
	for _, xml := range []string{received, sent, received} {
		var c carbons.Copy
		if err := xmpptest.Decode(xml, &c); err != nil {
			t.Fatal(err)
		}
		s, err := c.Forwarded.Parse()
		if err != nil || !strings.Contains(stanza.BodyOf(s), "art thou") || c.Sent != (xml == sent) {
			t.Errorf("%v, %v of %s", s, err, xml)
		}
		again, want := string(c.AppendXML([]byte("<x/>"))), "<x/>"+xml
		if strings.ReplaceAll(again, "&apos;", "'") != want {
			t.Errorf("written %s\nread    %s", again, want)
		}
	}
}

func TestSwitches(t *testing.T) {
	for _, s := range []carbons.Switch{carbons.Enable, carbons.Disable, carbons.Private} {
		var got carbons.Switch
		if err := xmpptest.Decode(string(s.AppendXML(nil)), &got); err != nil || got != s {
			t.Errorf("%s is read as %s, %v", s, got, err)
		}
	}
	xmpptest.Refuse(t, []xmpptest.Refusal{
		{Name: "no switch", XML: "<sent xmlns='urn:xmpp:carbons:2'/>", Into: new(carbons.Switch), Condition: stanza.BadRequest},
		{Name: "no copy", XML: "<sent xmlns='urn:xmpp:carbons:2'/>", Into: new(carbons.Copy), Condition: stanza.BadRequest},
		{Name: "no stanza", XML: "<sent xmlns='urn:xmpp:carbons:2'><forwarded xmlns='urn:xmpp:forward:0'/></sent>",
			Into: new(carbons.Copy), Condition: stanza.BadRequest},
	})
}

// FuzzCopy holds that a copy which is taken holds a stanza or an error, and is written as what is
// taken again.
func FuzzCopy(f *testing.F) {
	f.Add([]byte("<sent xmlns='urn:xmpp:carbons:2'><forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client'><body>x</body></message></forwarded></sent>"))
	f.Add([]byte("<x:received xmlns:x='urn:xmpp:carbons:2' xmlns:c='jabber:client'><forwarded xmlns='urn:xmpp:forward:0'><c:iq c:a='' type='get'><c:b/></c:iq></forwarded></x:received>"))
	f.Fuzz(func(t *testing.T, input []byte) {
		xml, ok := xmpptest.Valid(input)
		if !ok {
			return
		}
		var c, again carbons.Copy
		if xmpptest.Decode(xml, &c) != nil {
			return
		}
		s, err := c.Forwarded.Parse()
		written, ok := xmpptest.Valid(c.AppendXML(nil))
		if !ok {
			t.Fatalf("written as %s", c.AppendXML(nil))
		}
		if e := xmpptest.Decode(written, &again); e != nil {
			t.Fatalf("%s is refused: %v", written, e)
		}
		s2, err2 := again.Forwarded.Parse()
		if (err == nil) != (err2 == nil) || err == nil && string(s.Append(nil, "")) != string(s2.Append(nil, "")) {
			t.Errorf("%v, %v\n%v, %v", s, err, s2, err2)
		}
	})
}
