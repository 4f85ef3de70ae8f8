// SPDX-License-Identifier: Apache-2.0

package sm_test

import (
	"fmt"
	"testing"

	"github.com/stonechat-im/stonechat/internal/xmpptest"
	"github.com/stonechat-im/stonechat/xmpp/sm"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

func TestCodec(t *testing.T) {
	const id = "some-long-sm-id"
	xmpptest.Codec(t, []xmpptest.Case{
		{File: "xep0198-2-feature", Want: &sm.Feature{}},
		{File: "xep0198-3-enable", Want: &sm.Enable{}},
		{File: "xep0198-3-enable-max", Want: &sm.Enable{Resume: true, Max: 300}, Lossy: true}, // resume='1'
		{File: "xep0198-3-enabled", Want: &sm.Enabled{}},
		{File: "xep0198-3-enabled-resume", Want: &sm.Enabled{ID: id, Resume: true}},
		{File: "xep0198-3-enabled-max", Want: &sm.Enabled{ID: "x", Resume: true, Max: 600}},
		{File: "xep0198-3-failed", Want: &sm.Failed{Condition: stanza.UnexpectedRequest}},
		{File: "xep0198-4-request", Want: &sm.Request{}},
		{File: "xep0198-4-ack", Want: &sm.Ack{H: 1}},
		{File: "xep0198-5-enable-resume", Want: &sm.Enable{Resume: true}},
		{File: "xep0198-5-enabled-location", Want: &sm.Enabled{
			ID: id, Resume: true, Location: "[2001:41D0:1:A49b::1]:9222"}},
		{File: "xep0198-5-resume", Want: &sm.Resume{PrevID: id, H: 1<<32 - 1}},
		{File: "xep0198-5-resumed", Want: &sm.Resumed{PrevID: id}},
		{File: "xep0198-5-failed", Want: &sm.Failed{Condition: stanza.ItemNotFound, H: 21, HasH: true}},
		{File: "xep0198-6-too-high", Want: &sm.TooHigh{H: 10, SendCount: 8}},
		{File: "xep0198-9.3-authenticate", Want: &sm.Resume{PrevID: id, H: 7}},
	})
	refuse := func(into stanza.Payload, attrs ...string) {
		for _, a := range attrs {
			xml := fmt.Sprintf("<%s xmlns='%s' %s/>", into.XMLName().Local, sm.NS, a)
			xmpptest.Refuse(t, []xmpptest.Refusal{{Name: xml, XML: xml, Into: into, Condition: stanza.BadRequest}})
		}
	}
	refuse(&sm.Ack{}, "", "h=''", "h='-1'", "h='4294967296'", "h='99999999999999999999'", "h='1.0'", "h='x'", "h='+1'")
	refuse(&sm.Enable{}, "max='0'", "max='-1'", "max='soon'", "max=''")
	refuse(&sm.Enabled{}, "max='soon'", "resume='true'", "resume='1' id=''")
	refuse(&sm.Resume{}, "", "h='1'", "previd='x'", "previd='' h='1'", "previd='x' h='y'")
	refuse(&sm.Resumed{}, "", "h='1'", "previd='x'")
	refuse(&sm.Failed{}, "h=''", "h='x'")
	refuse(&sm.TooHigh{}, "h='x'", "send-count='x'")
}

func TestMaxIsClamped(t *testing.T) {
	var e sm.Enable
	if err := xmpptest.Decode("<enable xmlns='urn:xmpp:sm:3' max='99999999999'/>", &e); err != nil || e.Max != 1<<32-1 {
		t.Errorf("max = %d, %v", e.Max, err)
	}
}

func element(name, h string) *xmlstream.Element {
	return &xmlstream.Element{Space: []byte(sm.NS), Local: []byte(name), Attrs: []xmlstream.Attr{
		{Space: []byte("urn:x:strange"), Local: []byte("h"), Value: []byte("5")},
		{Local: []byte("h"), Value: []byte(h)},
	}}
}

func TestElement(t *testing.T) {
	for _, c := range []struct {
		h    string
		want uint32
		ok   bool
	}{
		{"0", 0, true}, {"17", 17, true}, {"4294967295", 1<<32 - 1, true},
		{"4294967296", 0, false}, {"", 0, false}, {"-1", 0, false}, {"99999999999", 0, false},
	} {
		if got, ok := sm.HOf(element("a", c.h)); ok != c.ok || ok && got != c.want {
			t.Errorf("h='%s': %d, %t", c.h, got, ok)
		}
	}
	if _, ok := sm.HOf(&xmlstream.Element{}); ok {
		t.Error("h of nothing")
	}
	a, r := element("a", "1"), element("r", "1")
	if !sm.IsAck(a) || sm.IsAck(r) || !sm.IsRequest(r) || sm.IsRequest(a) {
		t.Error("<a/> and <r/> are mistaken")
	}
	a.Space = []byte("urn:xmpp:sm:2")
	if sm.IsAck(a) {
		t.Error("another namespace is taken")
	}
	dst := make([]byte, 0, 64)
	if n := testing.AllocsPerRun(100, func() {
		h, _ := sm.HOf(r)
		dst = (&sm.Ack{H: h}).AppendXML(dst[:0])
	}); n != 0 {
		t.Errorf("an ack costs %v allocations", n)
	}
}

func FuzzElements(f *testing.F) {
	all := []stanza.Payload{
		&sm.Feature{}, &sm.Enable{}, &sm.Enabled{}, &sm.Request{}, &sm.Ack{}, &sm.Resume{}, &sm.Resumed{}, &sm.Failed{}, &sm.TooHigh{},
	}
	f.Add([]byte("<enabled xmlns='urn:xmpp:sm:3' id='&lt;' resume='1' max='4294967295' location='[::1]:1'/>"))
	f.Add([]byte("<resume xmlns='urn:xmpp:sm:3' h='4294967296' previd='x'/>"))
	f.Add([]byte("<failed xmlns='urn:xmpp:sm:3' h='1'><gone xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/><text xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>x</text></failed>"))
	f.Fuzz(func(t *testing.T, input []byte) {
		for _, p := range all {
			xmpptest.RoundTrip(t, input, p)
		}
		// What is read off the stream without a decoder is what the decoder reads.
		p := xmlstream.NewParser(xmlstream.Frame, stanza.NSClient, xmlstream.Limits{ElementBytes: 1 << 16, Depth: 9, Attributes: 9, Children: 9})
		p.Feed(input)
		if event, err := p.Next(); event != xmlstream.EventElement || err != nil {
			return
		}
		var a sm.Ack
		e := p.Element()
		h, ok := sm.HOf(e)
		if err := a.DecodeXML(xmlstream.NewReader(e.Raw, stanza.NSClient)); ok != (err == nil) || ok && h != a.H {
			t.Fatalf("%s: HOf says %d, %v; DecodeXML %d, %v", e.Raw, h, ok, a.H, err)
		}
	})
}
