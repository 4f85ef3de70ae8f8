// SPDX-License-Identifier: Apache-2.0

package lint

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestRemoval is the measure of the design from its other end: a module without data of its own and
// one that stores go by taking away their folder and their line in wire.go, with its import, and the
// tree still builds. The compiler is shown such a tree; nothing is copied or changed.
func TestRemoval(t *testing.T) {
	root, all := files(t)
	for _, module := range []string{"ping", "offline"} {
		t.Run(module, func(t *testing.T) {
			shown := map[string]string{} // by the file's path: what stands in its place, "" for nothing
			for _, f := range all {
				if strings.HasPrefix(f.Path, "module/"+module+"/") {
					shown[filepath.Join(root, filepath.FromSlash(f.Path))] = ""
				}
			}
			if len(shown) == 0 {
				t.Fatalf("there is no module/%s", module)
			}
			wire := filepath.Join(root, "cmd", "stonechat", "wire.go")
			data, err := os.ReadFile(wire)
			if err != nil {
				t.Fatal(err)
			}
			var kept []string
			gone := 0
			for line := range strings.Lines(string(data)) {
				if strings.Contains(line, `/module/`+module+`"`) || strings.Contains(line, module+".New(") {
					gone++
					continue
				}
				kept = append(kept, line)
			}
			if gone != 2 {
				t.Errorf("%d lines of wire.go name it: a module is its import and one line", gone)
			}
			box := t.TempDir()
			shown[wire] = filepath.Join(box, "wire.go")
			write(t, shown[wire], []byte(strings.Join(kept, "")))
			overlay, err := json.Marshal(map[string]map[string]string{"Replace": shown})
			if err != nil {
				t.Fatal(err)
			}
			write(t, filepath.Join(box, "overlay.json"), overlay)
			c := exec.CommandContext(t.Context(), "go", "build", "-overlay", filepath.Join(box, "overlay.json"), "-o", box, "./cmd/...")
			c.Dir = root
			if out, err := c.CombinedOutput(); err != nil {
				t.Errorf("without module/%s: %v\n%s", module, err, out)
			}
			// That it is really away: who asks for it by name finds nothing.
			c = exec.CommandContext(t.Context(), "go", "build", "-overlay", filepath.Join(box, "overlay.json"), "./module/"+module)
			c.Dir = root
			if err := c.Run(); err == nil {
				t.Errorf("module/%s was not taken away", module)
			}
		})
	}
}
