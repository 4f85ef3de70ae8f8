// SPDX-License-Identifier: Apache-2.0

package lint

import "testing"

func TestCheckLogs(t *testing.T) {
	source := `package a
func f() {
	s.log.Info("well", "jid", j, "err", err)
	s.log.Warn("bad key", "user", j)
	log.Error("no value", "jid")
	s.Log.Error("changes "+j, "jid", j)
	s.complain("handed on", args...)
	s.complain("bad", "colour", 1)
	s.log.With("module", name).Info("x")
	c.Log.With("mod", name)
	key.log.Info("x", key, 1)
	t.Error(x, "no logger")
	http.Error(w, "no logger", 500)
	log.Log(ctx, level, "levelled", "stanza", id)
}
`
	expect(t, "logs", checkLogs([]File{{Path: "a/a.go", Data: []byte(source)}, {Path: "a/a_test.go", Data: []byte(source)}},
		map[string]string{"jid": "x", "err": "x", "module": "x", "stanza": "x"}),
		`a/a.go:10: logs the key "mod"`, "a/a.go:11: logs a key that is not constant", `a/a.go:4: logs the key "user"`,
		"a/a.go:6: logs a message that is not constant", `a/a.go:8: logs the key "colour"`)
}

func TestCheckLimits(t *testing.T) {
	config := "package config\n\ntype Limits struct {\n\t// A.\n\tA Limit `yaml:\"a\" default:\"1\"`\n\tAB Limit `yaml:\"a_b\" default:\"1\"`\n}\ntype Log struct {\n\tL string `yaml:\"level\"`\n}\n"
	files := []File{
		{Path: "config/config.go", Data: []byte(config)},
		{Path: "server/metrics.go", Data: []byte("package server\nfunc f() { r.Counter(\"stonechat_x\", \"Met (limits.a_b).\") }\n// limits.a in a comment\n")},
	}
	expect(t, "limits", CheckLimits(files), "limits.a: is named in the help of no metric")
	expect(t, "no limits", CheckLimits(files[1:]), "has no limits")
}
