// SPDX-License-Identifier: Apache-2.0

package registry_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/stonechat-im/stonechat/internal/xmpptest"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/registry"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

func TestURI(t *testing.T) {
	odd := registry.Tags{registry.Str("SN", `a;b\c:d=e #%41 ä`), registry.Str("KEY", `;\`), registry.Num("LAT", -1e-7)}
	for _, c := range []struct {
		u                  registry.URI
		whole, link, asked string
	}{
		{registry.URI{Tags: lamp()},
			"IoTDisco;SN:7731-0042;MAN:lamps.example;MODEL:Desk;#V:2.5;KEY:k3y of the lamp",
			"iotdisco:SN=7731-0042;MAN=lamps.example;MODEL=Desk;#V=2.5;KEY=k3y%20of%20the%20lamp", ""},
		{registry.URI{Registry: things, Tags: lamp()[3:]},
			"IoTDisco;#V:2.5;KEY:k3y of the lamp;R:things.example.com",
			"iotdisco:#V=2.5;KEY=k3y%20of%20the%20lamp;R=things.example.com",
			"xmpp:things.example.com?message;body=claim%20IoTDisco%3B%23V%3A2.5%3BKEY%3Ak3y%20of%20the%20lamp"},
		{registry.URI{Registry: jid.MustParse("registry@example.com/x y"), Tags: odd},
			`IoTDisco;SN:a\;b\\c:d=e #%41 ä;KEY:\;\\;#LAT:-1e-07;R:registry@example.com/x y`,
			`iotdisco:SN=a\;b\\c:d=e%20#%2541%20%C3%A4;KEY=\;\\;#LAT=-1e-07;R=registry@example.com/x%20y`,
			"xmpp:registry@example.com/x%20y?message;body=claim%20IoTDisco%3BSN%3Aa%5C%3Bb%5C%5Cc%3Ad%3De%20%23%2541%20%C3%A4" +
				"%3BKEY%3A%5C%3B%5C%5C%3B%23LAT%3A-1e-07"},
		{registry.URI{Registry: things, Tags: lamp()[:1]}, "IoTDisco;SN:7731-0042;R:things.example.com",
			"iotdisco:SN=7731-0042;R=things.example.com", ""}, // no key: nothing to claim by
	} {
		if c.u.String() != c.whole || c.u.Link() != c.link || c.u.Chat() != c.asked {
			t.Errorf("%+v is\n%s\n%s\n%s", c.u, c.u, c.u.Link(), c.u.Chat())
		}
		for _, form := range []string{c.whole, c.link, c.asked, " \n" + c.whole + "\r\n", c.link + ";"} {
			if form == "" {
				continue
			}
			read, err := registry.ParseURI(form)
			if err != nil || read.Registry != c.u.Registry || !read.Tags.Equal(c.u.Tags) {
				t.Errorf("%s read as %+v, %v", form, read, err)
			}
		}
	}
}

// Phones and people write codes as they like.
func TestURILenient(t *testing.T) {
	want := registry.Tags{registry.Str("SN", "A1"), registry.Num("V", 2)}
	for _, s := range []string{
		"iotdisco;sn:A1;#v:2", "IOTDISCO:SN=A1;#V=2.0", "IoTDisco;;SN:A1;#V:2.00;", `IoTDisco;SN:\A\1;#V: 2`, "iotdisco:SN=%41%31;%23V=2",
		"xmpp:things.example.com?message;body=IoTDisco;x=y", // no tags that way: see below
		"XMPP://things.example.com?message;subject=hello;body=CLAIM%20%20IoTDisco%3BSN%3AA1%3B%23V%3A2;type=chat",
	} {
		u, err := registry.ParseURI(s)
		if strings.HasSuffix(s, "x=y") {
			xmpptest.Condition(t, err, stanza.BadRequest)
			continue
		}
		if err != nil || !u.Tags.Equal(want) {
			t.Errorf("%s read as %+v, %v", s, u, err)
		}
	}
	// Who says which registry within the code means that one.
	u, err := registry.ParseURI("xmpp:things.example.com?message;body=iotdisco%3ASN%3DA1%3BR%3Dother.example.com")
	if err != nil || u.Registry.String() != "other.example.com" {
		t.Errorf("%+v, %v", u, err)
	}
}

func TestURIRefused(t *testing.T) {
	for s, want := range map[string]stanza.Condition{
		"": stanza.BadRequest, "IoTDisco": stanza.BadRequest, "IoTDisco;": stanza.BadRequest, "iotdisco:": stanza.BadRequest,
		"https://example.com": stanza.BadRequest, "IoTDisco;SN": stanza.BadRequest, "IoTDisco;:x": stanza.BadRequest,
		"IoTDisco;SN:a;MAN": stanza.BadRequest, "IoTDisco;SN;MAN:a": stanza.BadRequest, `IoTDisco;SN:a\`: stanza.BadRequest,
		"IoTDisco;S N:a": stanza.BadRequest, "IoTDisco;#V:two": stanza.BadRequest, "IoTDisco;#V:NaN": stanza.BadRequest,
		"IoTDisco;##V:2": stanza.BadRequest, "IoTDisco;SN:a;sn:b": stanza.BadRequest, "IoTDisco;SN:a;R:@": stanza.JIDMalformed,
		"IoTDisco;R:things.example.com": stanza.BadRequest, "IoTDisco;SN:a\nb": stanza.BadRequest, "IoTDisco;SN:\xff": stanza.BadRequest,
		"iotdisco:SN=%ff": stanza.BadRequest, "iotdisco:SN=a%00": stanza.BadRequest, "iotdisco:SN=a;#V>=2": stanza.BadRequest,
		"IoTDisco;SN:" + strings.Repeat("a", registry.MaxTagValue+1):  stanza.PolicyViolation,
		"IoTDisco" + strings.Repeat(";A:1", registry.MaxTags+1):       stanza.PolicyViolation,
		"IoTDisco;SN:" + strings.Repeat("a", registry.MaxURI):         stanza.PolicyViolation,
		"xmpp:@?message;body=IoTDisco;SN:a":                           stanza.JIDMalformed,
		"xmpp:things.example.com":                                     stanza.BadRequest,
		"xmpp:things.example.com?subscribe":                           stanza.BadRequest,
		"xmpp:things.example.com?message":                             stanza.BadRequest,
		"xmpp:things.example.com?message;body=hello":                  stanza.BadRequest,
		"xmpp:things.example.com?message;body=xmpp%3Aa%3Fmessage":     stanza.BadRequest,
		"xmpp:things.example.com?message;body=claim":                  stanza.BadRequest,
		"xmpp:things.example.com?subscribe;body=IoTDisco%3BSN%3Aa":    stanza.BadRequest,
		"xmpp:%ff@things.example.com?message;body=IoTDisco%3BSN%3Aa":  stanza.BadRequest,
		"xmpp:things.example.com?message;body=IoTDisco%3BSN%3Aa%0A%0": stanza.BadRequest,
	} {
		t.Run(s[:min(len(s), 60)], func(t *testing.T) {
			_, err := registry.ParseURI(s)
			xmpptest.Condition(t, err, want)
		})
	}
}

// With a key a code claims, without it searches; the key is never searched by.
func TestClaimOrSearch(t *testing.T) {
	u := registry.URI{Registry: things, Tags: lamp()}
	claim, ok := u.Claim()
	if !ok || !claim.Tags.Equal(lamp()) || claim.Private {
		t.Errorf("claims %+v, %t", claim, ok)
	}
	search := u.Search()
	if len(search.Operators) != 4 || !search.Matches(lamp().Public()) || search.Matches(lamp()[1:]) {
		t.Errorf("searches %+v", search)
	}
	for _, tags := range []registry.Tags{lamp().Public(), {registry.Str("KEY", "")}} {
		if claim, ok := (registry.URI{Tags: tags}).Claim(); ok {
			t.Errorf("claims %+v without a key", claim)
		}
	}
}

func FuzzParseURI(f *testing.F) {
	f.Add("IoTDisco;SN:394872348732948723;MAN:www.example.com;#V:1.2;KEY:4857402340298342")
	f.Add("iotdisco:SN=1;#V=1.0;R=registry.example")
	f.Add(registry.URI{Registry: things, Tags: lamp()}.Chat())
	f.Add(`IoTDisco;A:\;\\;R:a@b/c;d`)
	f.Fuzz(func(t *testing.T, s string) {
		u, err := registry.ParseURI(s)
		if err != nil {
			xmpptest.Condition(t, err, err.(*stanza.Error).Condition)
			return
		}
		for _, form := range []string{u.String(), u.Link(), u.Chat()} {
			if form == "" {
				continue
			}
			if len(form) > registry.MaxURI {
				continue // it has grown by its escapes
			}
			again, err := registry.ParseURI(form)
			if err != nil || again.Registry != u.Registry || !again.Tags.Equal(u.Tags) {
				t.Errorf("%q is %+v, written %q, read as %+v, %v", s, u, form, again, err)
			}
		}
		if chat := u.Chat(); chat != "" {
			if _, err := url.Parse(chat); err != nil {
				t.Errorf("%q is no URI: %v", chat, err)
			}
		}
	})
}
