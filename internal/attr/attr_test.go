// SPDX-License-Identifier: Apache-2.0

package attr_test

import (
	"strings"
	"testing"

	"github.com/stonechat-im/stonechat/internal/attr"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

func TestAttributes(t *testing.T) {
	required := func(r *xmlstream.Reader) any { return attr.Required(r, "a") }
	truth := func(r *xmlstream.Reader) any { return attr.Bool(r, "a", false) }
	untold := func(r *xmlstream.Reader) any { return attr.Bool(r, "a", true) }
	at := func(r *xmlstream.Reader) any { return attr.DateTime(r, "a").String() }
	address := func(r *xmlstream.Reader) any { return attr.JID(r, "a", false).String() }
	optional := func(r *xmlstream.Reader) any { return attr.JID(r, "a", true).String() }
	short := func(r *xmlstream.Reader) any { return attr.Short(r, r.Attr("a"), 3) }
	bounded := func(r *xmlstream.Reader) any { attr.Bounded(r, len(r.Attr("a")), 3, "letters"); return nil }
	for _, c := range []struct {
		xml  string
		read func(*xmlstream.Reader) any
		want any
		err  stanza.Condition
	}{
		{"<e a=''/>", required, "", ""},
		{"<e/>", required, "", stanza.BadRequest},
		{"<e a='1'/>", truth, true, ""},
		{"<e a='false'/>", untold, false, ""},
		{"<e/>", truth, false, ""},
		{"<e/>", untold, true, ""},
		{"<e a=''/>", untold, false, stanza.BadRequest},
		{"<e a='TRUE'/>", truth, false, stanza.BadRequest},
		{"<e a='2024-05-01T06:00:00Z'/>", at, "2024-05-01T06:00:00Z", ""},
		{"<e/>", at, "", ""},
		{"<e a='soon'/>", at, "", stanza.BadRequest},
		{"<e a='Juliet@d/r'/>", address, "juliet@d/r", ""},
		{"<e/>", optional, "", ""},
		{"<e/>", address, "", stanza.BadRequest},
		{"<e a='@d'/>", optional, "", stanza.JIDMalformed},
		{"<e a='abc'/>", short, "abc", ""},
		{"<e a='abcd'/>", short, "abcd", stanza.PolicyViolation},
		{"<e a='abc'/>", bounded, nil, ""},
		{"<e a='abcd'/>", bounded, nil, stanza.PolicyViolation},
	} {
		r := xmlstream.NewReader(c.xml, "")
		got := c.read(r)
		condition := stanza.Condition("")
		if r.Err() != nil {
			e, _ := stanza.AsError(r.Err())
			condition = e.Condition
		}
		if condition != c.err || got != c.want {
			t.Errorf("%s: %v, %v; want %v, %s", c.xml, got, r.Err(), c.want, c.err)
		}
	}
	r := xmlstream.NewReader("<e a='x'/>", "")
	if attr.Bool(r, "a", false); r.Err() == nil || !strings.Contains(r.Err().Error(), "a is true or false") {
		t.Errorf("it does not say which: %v", r.Err())
	}
}
