// SPDX-License-Identifier: Apache-2.0

package config_test

import (
	"fmt"
	"testing"

	"github.com/stonechat-im/stonechat/config"
)

func TestChanged(t *testing.T) {
	parse := func(text string) *config.Config {
		t.Helper()
		c, err := config.Parse("test.yaml", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	for _, c := range []struct{ name, a, b, want string }{
		{"nothing", "", "", "[]"},
		{"a default written out", "", "limits: {sessions_per_account: 20}", "[]"},
		{"a limit", "", "limits: {sessions_per_account: 21}", "[{limits.sessions_per_account true}]"},
		{"what needs a start", "domains: [a.example]", "domains: [a.example, b.example]", "[{domains false}]"},
		{"a listener", "", "listen: {client: []}", "[{listen.client false}]"},
		{"several, in order", "", "log: {level: warn}\ndata: ./other\nregistration: open", "[{data false} {registration true} {log.level true}]"},
		{"a module", "modules: {sm: {resume: 1m}}", "modules: {sm: {resume: 2m}}", "[{modules.sm false}]"},
		{"a module off", "modules: {roster: {items: 1}, sm: {resume: 1m}}", "modules: {sm: {resume: 1m}, roster: false}", "[{modules.roster false}]"},
		{"a module no more", "modules: {sm: {resume: 1m}}", "", "[{modules.sm false}]"},
		{"the same module", "modules: {sm: {resume: 1m}}", "modules: {sm: {resume: 1m}}", "[]"},
		{"a certificate", "", "tls: {certificate: a, key: b}", "[{tls.certificate true} {tls.key true}]"},
	} {
		if got := fmt.Sprint(config.Changed(parse(c.a), parse(c.b))); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}
