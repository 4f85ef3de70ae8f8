// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"testing"

	"github.com/stonechat-im/stonechat/config"
)

// Loggers that were made before a change follow it, with all that With has given them.
func TestLogging(t *testing.T) {
	var out strings.Builder
	l := newLogging(config.Log{Level: "info", Format: "text"}, &out)
	plain := l.logger()
	module := plain.With("module", "sm")
	group := module.WithGroup("g").With("jid", "a@b")
	other := module.With("peer", "x") // does not share what group was given
	for _, c := range []struct {
		name string
		set  config.Log
		log  func()
		want string
	}{
		{"text", config.Log{Level: "info", Format: "text"}, func() { module.Info("hello", "err", 1) }, "level=INFO msg=hello module=sm err=1\n"},
		{"below the level", config.Log{Level: "warn", Format: "text"}, func() { plain.Info("hello"); module.Info("hello") }, ""},
		{"json", config.Log{Level: "debug", Format: "json"}, func() { module.Debug("hello") }, `"level":"DEBUG","msg":"hello","module":"sm"}` + "\n"},
		{"groups", config.Log{Level: "info", Format: "json"}, func() { group.Info("hello", "stanza", 2) }, `"msg":"hello","module":"sm","g":{"jid":"a@b","stanza":2}}` + "\n"},
		{"brothers", config.Log{Level: "info", Format: "text"}, func() { other.Info("hello") }, "msg=hello module=sm peer=x\n"},
	} {
		out.Reset()
		l.set(c.set)
		c.log()
		if got := out.String(); !strings.HasSuffix(got, c.want) || c.want == "" && got != "" {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}
