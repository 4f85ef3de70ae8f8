// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// folder writes Go files into a folder that looks like the repository's root.
func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		name = filepath.Join(root, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func TestManual(t *testing.T) {
	root := folder(t, map[string]string{
		"config/config.go": "package config\n" +
			"// Config is all.\ntype Config struct {\n" +
			"\t// Where data\n\t// is kept.\n\tData string `yaml:\"data\" default:\"./data\"`\n" +
			"\tLog Log `yaml:\"log\"`\n\tinner int\n}\n" +
			"// Log says what is written.\ntype Log struct {\n" +
			"\t// The least.\n\tLevel string `yaml:\"level\" default:\"info\" oneof:\"info warn\" later:\"all\"`\n}\n",
		"module/sm/sm.go": "package sm\n" +
			"// Config is what operators may change.\ntype Config struct {\n" +
			"\t// Resume is how long a session waits.\n\tResume time.Duration `yaml:\"resume\" default:\"10m\" unbuilt:\"it\"`\n" +
			"\tStore store.Store\n}\n",
		"module/roster/roster.go": "package roster\n" +
			"// Config is the key modules.roster.\ntype Config struct {\n" +
			"\t// How many.\n\tItems int `yaml:\"items\"`\n\t// How long.\n\tWait time.Duration `yaml:\"wait\"`\n" +
			"\t// How large.\n\tBytes int `yaml:\"bytes\"`\n\t// Which.\n\tHosts []string `yaml:\"hosts\"`\n}\n" +
			"// Default is it.\nfunc Default() Config {\n\treturn Config{Items: 10_000, Wait: 2 * time.Hour, Bytes: 4 << 10, Hosts: []string{\"a\"}}\n}\n",
		"module/ping/ping.go": "package ping\ntype Module struct{}\n",
	})
	sections, err := read(root)
	if err != nil {
		t.Fatal(err)
	}
	page := string(manual(sections))
	for _, want := range []string{
		"## First level\n\n| key | kind | default | |\n|---|---|---|---|\n| `data` | text | `./data` | Where data is kept. |\n",
		"## log\n\n`log` says what is written.\n",
		"| `level` | info, warn | `info` | The least. *Not built yet: all.* |",
		"## modules.sm\n\n`modules.sm` is what operators may change.\n",
		"## modules.roster\n\n| key |",
		"| `resume` | duration | `10m` | *Not built yet.* How long a session waits. |",
		"```yaml config\ndata: ./data\nlog:\n  level: info\nmodules:\n  roster:\n    items: 10000\n    wait: 2h\n    bytes: 4096\n" +
			"    hosts: [\"a\"]\n  sm:\n    resume: 10m\n```\n",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks\n%s\nin\n%s", want, page)
		}
	}
}

func TestReadRefuses(t *testing.T) {
	for _, c := range []struct{ field, want string }{
		{"\tData string `yaml:\"data\" default:\"x\"`\n", "data has no comment"},
		{"\t// Data.\n\tData string `yaml:\"data\"`\n", "data has no default"},
	} {
		root := folder(t, map[string]string{"config/config.go": "package config\ntype Config struct {\n" + c.field + "}\n"})
		if _, err := read(root); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v", c.field, err)
		}
	}
}
