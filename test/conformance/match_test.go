// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestMatch(t *testing.T) {
	for _, tt := range []struct{ name, want, got, differences string }{
		{"equal", `<message to='a'><body>hi</body></message>`, `<message to="a"><body>hi</body></message>`, ""},
		{"prefixes mean nothing", `<p xmlns='urn:x' xmlns:y='urn:y' y:a='1'/>`, `<q:p xmlns:q='urn:x' b:a='1' xmlns:b='urn:y'/>`, ""},
		{"namespace of an attribute", `<p xmlns:y='urn:y' y:a='1'/>`, `<p a='1'/>`, `/p@a: want "1", got ""|/p@a: want none, got "1"`},
		{"text", `<body>hi</body>`, `<body> hi</body>`, `/body: want text "hi", got " hi"`},
		{"indentation", "<a>\n <b/>\n</a>", "<a><b/></a>", ""},
		{"missing attribute", `<a x='1'/>`, `<a/>`, `/a@x: want "1", got ""`},
		{"unmentioned attribute", `<a/>`, `<a x='1'/>`, `/a@x: want none, got "1"`},
		{"id and language need no mention", `<message/>`, `<message id='1' xml:lang='en'/>`, ""},
		{"any", `<a x='{any}'>{any}</a>`, `<a x=''>t</a>`, ""},
		{"any is not absent", `<a x='{any}'/>`, `<a/>`, `/a@x: want "{any}", got ""`},
		{"maybe absent", `<a x='{maybe}1'/>`, `<a/>`, ""},
		{"maybe another", `<a x='{maybe}1'/>`, `<a x='2'/>`, `/a@x: want "{maybe}1", got "2"`},
		{"one of", `<a x='r{a|b}'/>`, `<a x='rb'/>`, ""},
		{"none of", `<a x='r{a|b}'/>`, `<a x='rc'/>`, `/a@x: want "r{a|b}", got "rc"`},
		{"captured twice", `<a x='{id}'>{id}</a>`, `<a x='1'>1</a>`, ""},
		{"captured differently", `<a x='{id}'>{id}</a>`, `<a x='1'>2</a>`, `/a: want text "{id}", got "2"`},
		{"order", `<a><b/><c/></a>`, `<a><c/><b/></a>`, `/a: the children come in another order`},
		{"any order", `<a>{any order}<b/><c/></a>`, `<a><c/><b/></a>`, ""},
		{"any order finds the right one", `<a>{any order}<b x='{any}'/><b x='1'/></a>`, `<a><b x='1'/><b x='2'/></a>`, ""},
		{"unexpected child", `<a><b/></a>`, `<a><b/><c xmlns='urn:c'/></a>`, `/a: unexpected <c xmlns='urn:c'/>`},
		{"missing child", `<a><b/></a>`, `<a/>`, `/a: missing <b/>`},
		{"more", `<a>{more}<b/></a>`, `<a>text<c/><b/><d/></a>`, ""},
		{"absent", `<a>{more}<b x='1'>{absent}</b></a>`, `<a><b x='2'/><c/></a>`, ""},
		{"not absent", `<a>{more}<b x='1'>{absent}</b></a>`, `<a><b x='2'/><b x='1'>t</b></a>`, `/a: must not have <b x='1'>t</b>`},
		{"fields of a form", `<x xmlns='jabber:x:data' type='form'><field var='a'><value>1</value></field><field var='b'><value/></field></x>`,
			`<x xmlns='jabber:x:data' type='form'><title>t</title><field var='b' label='B' type='text-single'><required/><value/></field><field type='fixed'/><field var='a'><value>1</value></field></x>`, ""},
		{"another field", `<x xmlns='jabber:x:data' type='form'/>`, `<x xmlns='jabber:x:data' type='form'><field var='a'/></x>`,
			`/x: unexpected <{jabber:x:data}field var='a'/>`},
		{"order of status codes", `<x xmlns='http://jabber.org/protocol/muc#user'><status code='110'/><status code='201'/></x>`,
			`<x xmlns='http://jabber.org/protocol/muc#user'><status code='201'/><status code='110'/></x>`, ""},
		{"one status code more", `<x xmlns='http://jabber.org/protocol/muc#user'><status code='110'/></x>`,
			`<x xmlns='http://jabber.org/protocol/muc#user'><status code='201'/><status code='110'/></x>`, `/x: unexpected <{http://jabber.org/protocol/muc#user}status code='201'/>`},
		{"occupant id", `<presence/>`, `<presence><occupant-id xmlns='urn:xmpp:occupant-id:0' id='1'/></presence>`, ""},
		{"another occupant id", `<presence><occupant-id xmlns='urn:xmpp:occupant-id:0' id='2'/></presence>`, `<presence><occupant-id xmlns='urn:xmpp:occupant-id:0' id='1'/></presence>`,
			`/presence/occupant-id@id: want "2", got "1"`},
		{"difference deep inside", `<a><b><c x='1'/></b></a>`, `<a><b><c x='2'/></b></a>`, `/a/b/c@x: want "1", got "2"`},
		{"another element", `<a/>`, `<b/>`, `/a is another element`},
		{"what errors may add", `<iq type='error'><error type='x'><gone xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>`,
			`<iq type='error'><ping xmlns='urn:xmpp:ping'/><error type='x' by='s'><gone xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/><text xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>t</text></error></iq>`, ""},
		{"what notifications may have", `<message><event xmlns='http://jabber.org/protocol/pubsub#event'><items><item id='1'/></items></event></message>`,
			`<message type='headline'><event xmlns='http://jabber.org/protocol/pubsub#event'><items><item id='1' publisher='a'/></items></event><delay xmlns='urn:xmpp:delay' stamp='s'/></message>`, ""},
		{"what notifications may not be", `<message><event xmlns='http://jabber.org/protocol/pubsub#event'/></message>`,
			`<message type='chat'><event xmlns='http://jabber.org/protocol/pubsub#event'/></message>`, `/message@type: want none, got "chat"`},
		{"another condition is another error", `<error type='x'><gone xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>`,
			`<error type='x'><conflict xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>`,
			`/error: missing <gone xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>|/error: unexpected <conflict xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			want, err := parseNodes(tt.want)
			if err != nil {
				t.Fatal(err)
			}
			got, err := parseNodes(tt.got)
			if err != nil {
				t.Fatal(err)
			}
			_, differences := matching{}.element("", want[0], got[0])
			if s := strings.Join(differences, "|"); s != tt.differences {
				t.Errorf("differences:\n%s\nwant:\n%s", s, tt.differences)
			}
		})
	}
}

// XEP-0115 §5.2
func TestVerification(t *testing.T) {
	got := verification("client/pc//Exodus 0.9.1", []string{nsCaps, nsInfo, "http://jabber.org/protocol/disco#items", nsMUC})
	if want := "QgayPKawpkPSDYmwT/WM94uAlu0="; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestCutColon(t *testing.T) {
	for _, tt := range []struct{ line, head, block string }{
		{"Romeo sends: <a b='c: d'/>", "Romeo sends", "<a b='c: d'/>"},
		{"Romeo receives:", "Romeo receives", ""},
		{"Romeo: account romeo, features urn:a urn:b+notify", "Romeo", "account romeo, features urn:a urn:b+notify"},
		{"Romeo queries the archive for start 2001-01-01T00:00:00Z", "Romeo queries the archive for start 2001-01-01T00:00:00Z", ""},
	} {
		if head, block, found := cutColon(tt.line); head != tt.head || block != tt.block || found != (tt.head != tt.line) {
			t.Errorf("%s: %q, %q, %v", tt.line, head, block, found)
		}
	}
}

func TestLoadRefuses(t *testing.T) {
	for _, tt := range []struct{ name, script, want string }{
		{"no section", "Romeo: account romeo\n", ":1: the header names no section"},
		{"unknown option", "# RFC 6120 §4\nRomeo: colour red\n", `:2: client Romeo: unknown option "colour red"`},
		{"undeclared client", "# RFC 6120 §4\nRomeo connects\n", ":2: Romeo is not declared"},
		{"unknown verb", "# RFC 6120 §4\nRomeo: raw\nRomeo sings\n", `:3: no verb for "sings"`},
		{"block of nothing", "# RFC 6120 §4\nRomeo: raw\nRomeo connects\n  <a/>\n", ":4:"},
		{"block that is missing", "# RFC 6120 §4\nRomeo: raw\nRomeo sends\n", `:3: no verb for "sends"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "s.txt")
			if err := os.WriteFile(file, []byte(tt.script), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := Load(file); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %s", err, tt.want)
			}
		})
	}
}
