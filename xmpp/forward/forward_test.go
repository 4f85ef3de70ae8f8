// SPDX-License-Identifier: Apache-2.0

package forward_test

import (
	"bytes"
	"os"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/internal/xmpptest"
	"github.com/stonechat-im/stonechat/xmpp/delay"
	"github.com/stonechat-im/stonechat/xmpp/forward"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// What is forwarded is read, and written as it was, strange payloads and all.
func TestCodec(t *testing.T) {
	golden, err := os.ReadFile("testdata/xep0297-3.1-forward.xml")
	if err != nil {
		t.Fatal(err)
	}
	golden = bytes.TrimSpace(golden)
	f := forward.Forwarded{Delay: &delay.Delay{}, Stanza: []byte("<before/>")}
	if err := xmpptest.Decode(string(golden), &f); err != nil {
		t.Fatal(err)
	}
	if at := time.Date(2010, 7, 10, 23, 8, 25, 0, time.UTC); f.Delay == nil || !f.Delay.Stamp.Equal(at) {
		t.Errorf("it passed at %v", f.Delay)
	}
	s, err := f.Parse()
	if err != nil || s.From.String() != "juliet@capulet.lit/orchard" || !s.Has("http://jabber.org/protocol/mood", "mood") {
		t.Fatalf("%v, %v", s, err)
	}
	if got := string(forward.New(s, f.Delay).AppendXML([]byte("<x/>"))); got != "<x/>"+string(golden) {
		t.Errorf("written: %s", got)
	}
	// Prefixes of the elements around it come with it.
	const prefixed = "<forwarded xmlns='urn:xmpp:forward:0' xmlns:c='jabber:client' xmlns:m='urn:m'><c:message m:a='1'><c:body>x</c:body><m:b/></c:message></forwarded>"
	if err := xmpptest.Decode(prefixed, &f); err != nil {
		t.Fatal(err)
	}
	if s, err = f.Parse(); err != nil || stanza.BodyOf(s) != "x" || !s.Has("urn:m", "b") || f.Delay != nil {
		t.Errorf("%v, %v", s, err)
	}
}

func TestRefuse(t *testing.T) {
	xmpptest.Refuse(t, []xmpptest.Refusal{
		{Name: "nothing", Into: &forward.Forwarded{}, Condition: stanza.BadRequest, XML: "<forwarded xmlns='urn:xmpp:forward:0'/>"},
		{Name: "no namespace", Into: &forward.Forwarded{}, Condition: stanza.BadRequest,
			XML: "<forwarded xmlns='urn:xmpp:forward:0'><message/></forwarded>"},
		{Name: "two", Into: &forward.Forwarded{}, Condition: stanza.BadRequest,
			XML: "<forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client'/><message xmlns='jabber:client'/></forwarded>"},
		{Name: "bad stamp", Into: &forward.Forwarded{}, Condition: stanza.BadRequest,
			XML: "<forwarded xmlns='urn:xmpp:forward:0'><delay xmlns='urn:xmpp:delay'/><message xmlns='jabber:client'/></forwarded>"},
	})
}
