// SPDX-License-Identifier: Apache-2.0

package contact_test

import (
	"strings"
	"testing"

	"github.com/stonechat-im/stonechat/config"
	"github.com/stonechat-im/stonechat/module/contact"
	"github.com/stonechat-im/stonechat/xmpp/form"
)

// told is a module disco that only listens.
type told struct{ forms []string }

func (d *told) Extend(f *form.Form) { d.forms = append(d.forms, string(f.AppendXML(nil))) }

// published is what a configuration publishes.
func published(t *testing.T, text string) (string, error) {
	t.Helper()
	c, err := config.Parse("x.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	var own contact.Config
	if err := c.Modules.Decode("contact", &own); err != nil {
		return "", err
	}
	var d told
	if err := contact.New(own, &d).Init(nil); err != nil {
		t.Fatal(err)
	}
	return strings.Join(d.forms, ""), nil
}

// XEP-0157 §3, example 2.
func TestForm(t *testing.T) {
	got, err := published(t, `modules:
  contact:
    admin: ["mailto:xmpp@shakespeare.lit", "xmpp:admins@shakespeare.lit"]
    status: [https://status.shakespeare.lit]
    abuse: [mailto:abuse@shakespeare.lit]
`)
	const want = "<x xmlns='jabber:x:data' type='result'>" +
		"<field var='FORM_TYPE' type='hidden'><value>http://jabber.org/network/serverinfo</value></field>" +
		"<field var='abuse-addresses' type='list-multi'><value>mailto:abuse@shakespeare.lit</value></field>" +
		"<field var='admin-addresses' type='list-multi'><value>mailto:xmpp@shakespeare.lit</value><value>xmpp:admins@shakespeare.lit</value></field>" +
		"<field var='status-addresses' type='list-multi'><value>https://status.shakespeare.lit</value></field></x>"
	if err != nil || got != want {
		t.Errorf("%v\n%s\nwant\n%s", err, got, want)
	}
	if got, err := published(t, ""); err != nil || got != "" {
		t.Errorf("without addresses: %s, %v", got, err)
	}
}

func TestAddresses(t *testing.T) {
	for text, good := range map[string]bool{
		"mailto:a@b":                        true,
		"mailto:a%2Bb@c?subject=hi":         true,
		"xmpp:a@b":                          true,
		"xmpp:a@b?message":                  true,
		"xmpp:room@conference.example?join": true,
		"https://example.org/help":          true,
		"tel:+4930123456":                   true,
		"a@b":                               false,
		"example.org":                       false,
		"/help":                             false,
		"":                                  false,
		"mailto:":                           false,
		"xmpp:":                             false,
		"xmpp:@":                            false,
		"mailto:%zz":                        false,
		"https:///help":                     false,
		"http://[":                          false,
	} {
		var a contact.Address
		if err := a.UnmarshalText([]byte(text)); (err == nil) != good {
			t.Errorf("%q: %v", text, err)
		} else if good && string(a) != text {
			t.Errorf("%q became %q", text, a)
		}
	}
	if _, err := published(t, "modules:\n  contact:\n    admin:\n    - a@b"); err == nil || !strings.Contains(err.Error(), "x.yaml:4: modules.contact.admin[0]") {
		t.Error(err)
	}
	if _, err := published(t, "modules:\n  contact:\n    boss: []"); err == nil {
		t.Error("an unknown kind")
	}
}
