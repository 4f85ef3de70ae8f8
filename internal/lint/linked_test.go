// SPDX-License-Identifier: Apache-2.0

package lint

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestThingLinks holds what a device links against the list in testdata/thing.txt, so that nothing
// comes to every device of the world unseen. What the standard library keeps to itself is not told.
func TestThingLinks(t *testing.T) {
	root, err := Root()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.CommandContext(t.Context(), "go", "list", "-deps", "./thing")
	c.Dir, c.Env = root, append(os.Environ(), "GOOS=linux", "GOARCH=arm", "CGO_ENABLED=0")
	out, err := c.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var linked []string
	for name := range strings.FieldsSeq(string(out)) {
		if own := strings.HasPrefix(name, Module); own || !strings.Contains("/"+name+"/", "/internal/") && !strings.HasPrefix(name, "vendor/") {
			linked = append(linked, name)
		}
	}
	slices.Sort(linked)
	name := filepath.Join("testdata", "thing.txt")
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	allowed := strings.Fields(string(data))
	for _, p := range linked {
		if !slices.Contains(allowed, p) {
			t.Errorf("a thing links %s: if every device is to carry it, add it to internal/lint/%s", p, name)
		}
	}
	for _, p := range allowed {
		if !slices.Contains(linked, p) {
			t.Errorf("a thing does not link %s any more: take it out of internal/lint/%s", p, name)
		}
	}
}
