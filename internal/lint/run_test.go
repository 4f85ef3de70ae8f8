// SPDX-License-Identifier: Apache-2.0

package lint

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/config"
)

// runLimit ends an example or a generator that hangs.
const runLimit = 3 * time.Minute

func TestGenerated(t *testing.T) {
	root, files := files(t)
	generators, findings := Generators(files)
	report(t, findings)
	for _, g := range generators {
		ctx, cancel := context.WithTimeout(t.Context(), runLimit)
		defer cancel()
		c := exec.CommandContext(ctx, "go", append(g.Args, "-check")...)
		c.Dir = filepath.Join(root, filepath.FromSlash(g.Dir))
		if out, err := c.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s\trun make generate and commit what it writes", g.Where, err, out)
		}
	}
}

func TestExamples(t *testing.T) {
	root, files := files(t)
	_, packages := tree(t)
	examples, findings := Examples(files)
	report(t, findings)
	stonechat := ""
	boxes := map[string]string{} // a document's folder
	servers := exampleServers{}
	for _, e := range examples {
		switch e.Lang + " " + e.Act {
		case "yaml config":
			loadExample(t, packages, e)
		case "go build":
			buildExample(t, root, e)
		case "sh run", "sh server":
			if stonechat == "" {
				stonechat = buildStonechat(t, root)
			}
			if boxes[e.File] == "" {
				boxes[e.File] = t.TempDir()
			}
			var env []string
			if e.Act == "server" {
				env = servers.env(t, stonechat, boxes[e.File])
			}
			runExample(t, e, stonechat, boxes[e.File], env)
		}
	}
}

// loadExample reads a configuration as the server does. The keys of modules are
// read by the modules, so here only their names are held against the folders.
func loadExample(t *testing.T, packages []Package, e Example) {
	c, err := config.Parse(e.Where, []byte(e.Text))
	if err != nil {
		t.Error(err)
		return
	}
	var modules []string
	for _, p := range packages {
		if matches("module/*", p.Path) || matches("gateway/*", p.Path) {
			modules = append(modules, path.Base(p.Path))
		}
	}
	if err := c.Modules.Check(modules...); err != nil {
		t.Error(err)
	}
}

// buildExample compiles a program as if it stood in a folder of this module.
func buildExample(t *testing.T, root string, e Example) {
	box := t.TempDir()
	source, overlay := filepath.Join(box, "main.go"), filepath.Join(box, "overlay.json")
	write(t, source, []byte(e.Text))
	shown := filepath.Join(root, "internal", "lint", "example", "main.go")
	data, err := json.Marshal(map[string]map[string]string{"Replace": {shown: source}})
	if err != nil {
		t.Fatal(err)
	}
	write(t, overlay, data)
	c := exec.CommandContext(t.Context(), "go", "build", "-overlay", overlay, "-o", filepath.Join(box, "example"), "./internal/lint/example")
	c.Dir = root
	if out, err := c.CombinedOutput(); err != nil {
		t.Errorf("%s: %v\n%s", e.Where, err, out)
	}
}

func runExample(t *testing.T, e Example, stonechat, box string, env []string) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skipf("%s: needs bash: %v", e.Where, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), runLimit)
	defer cancel()
	c := exec.CommandContext(ctx, bash, "-euc", e.Text)
	c.Dir = box
	c.Env = append(os.Environ(), "HOME="+box, "PATH="+filepath.Dir(stonechat)+string(os.PathListSeparator)+os.Getenv("PATH"))
	c.Env = append(c.Env, env...)
	c.WaitDelay = 5 * time.Second
	if out, err := c.CombinedOutput(); err != nil {
		t.Errorf("%s: %v\n%s\n%s", e.Where, err, strings.TrimSpace(e.Text), out)
	}
}

func buildStonechat(t *testing.T, root string) string {
	name := filepath.Join(t.TempDir(), "stonechat")
	c := exec.CommandContext(t.Context(), "go", "build", "-o", name, "./cmd/stonechat")
	c.Dir = root
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("go build ./cmd/stonechat: %v\n%s", err, out)
	}
	return name
}

func write(t *testing.T, name string, data []byte) {
	t.Helper()
	if err := os.WriteFile(name, data, 0o600); err != nil {
		t.Fatal(err)
	}
}
