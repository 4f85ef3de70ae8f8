// SPDX-License-Identifier: Apache-2.0

package config_test

import (
	"strings"
	"testing"

	"github.com/stonechat-im/stonechat/config"
)

// What components may do for accounts is checked as a whole.
func TestGrants(t *testing.T) {
	parse := func(more string) (*config.Config, error) {
		return config.Parse("test.yaml", []byte("domains: [Example.org, im.example.org, example.net]\ncomponents:\n  irc.im.example.org: {secret: x}\n  elsewhere: {secret: x}\n  a.example.net:\n    secret: x\n"+more))
	}
	c, err := parse("    for: [EXAMPLE.org]\n    privilege: {roster: get, presence: roster, iq: {\"u:a\": both}}\n    delegation: {\"u:a\": [node]}\n")
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"irc.im.example.org": "im.example.org", "elsewhere": "example.org", "a.example.net": "example.org"} {
		if got := c.DomainsFor(name); len(got) != 1 || got[0] != want {
			t.Errorf("%s is for %s, want %s", name, got, want)
		}
	}
	if x := c.Components["irc.im.example.org"].Privilege; x.Roster != "none" || !x.Push || x.Message != "none" || x.Presence != "none" {
		t.Errorf("by default: %+v", x)
	}
	for more, want := range map[string]string{
		"    for: [example.com]\n":                                                                 "none of domains",
		"    privilege: {roster: all}\n":                                                           "none of: none get set both",
		"    privilege: {message: incoming}\n":                                                     "none of",
		"    privilege: {presence: all}\n":                                                         "none of",
		"    privilege: {presence: roster}\n":                                                      "needs roster",
		"    privilege: {presence: roster, roster: set}\n":                                         "needs roster",
		"    privilege: {iq: {\"u:a\": all}}\n":                                                    "none of: none get set both",
		"    privilege: {iq: {\"urn:xmpp:privilege:2\": both}}\n":                                  "nobody can be given",
		"    delegation: {\"urn:xmpp:delegation:2\": []}\n":                                        "nobody can be given",
		"    delegation: {\"\": []}\n":                                                             "no namespace",
		"    delegation: {\"urn:xmpp:delegation:2:bare:disco#info:*\": []}\n":                      "needs http://jabber.org/protocol/pubsub",
		"    delegation: {\"u:a\": []}\n  b.example.net: {secret: x, delegation: {\"u:a\": []}}\n": "delegated to a.example.net already",
	} {
		if _, err := parse(more); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", more, err, want)
		}
	}
}
