// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// removal proves what a module costs: without the folder of each module and its
// lines in wire.go, one module at a time, what is left, tests included, must
// still compile. The compiler is shown such a tree; nothing is copied or changed.
func removal(modules ...string) func(context.Context, *report) error {
	return func(ctx context.Context, r *report) error {
		for _, name := range modules {
			if err := removeModule(ctx, name); err != nil {
				r.failed++
				fmt.Printf("FAIL  without %s: %v\n", name, err)
				continue
			}
			r.passed++
			fmt.Printf("ok    without %s\n", name)
		}
		if r.failed > 0 {
			return fmt.Errorf("%d of %d modules cannot be removed", r.failed, len(modules))
		}
		return nil
	}
}

func removeModule(ctx context.Context, name string) error {
	root, err := os.Getwd()
	if err != nil {
		return err
	}
	folder := filepath.Join(root, "module", name)
	files, err := os.ReadDir(folder)
	if err != nil {
		return err
	}
	shown := map[string]string{} // by the file's path: what stands in its place, "" for nothing
	for _, f := range files {
		if f.Type().IsRegular() {
			shown[filepath.Join(folder, f.Name())] = ""
		}
	}
	wire := filepath.Join(root, "cmd", "stonechat", "wire.go")
	text, err := os.ReadFile(wire)
	if err != nil {
		return err
	}
	left := withoutModule(string(text), name)
	if gone := strings.Count(string(text), "\n") - strings.Count(left, "\n"); gone != 2 {
		return fmt.Errorf("%d lines of wire.go name it: a module is its import and one line", gone)
	}
	box, err := os.MkdirTemp("", "stonechat-without-"+name)
	if err != nil {
		return err
	}
	defer os.RemoveAll(box)
	shown[wire] = filepath.Join(box, "wire.go")
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": shown})
	if err != nil {
		return err
	}
	list := filepath.Join(box, "overlay.json")
	if err := errors.Join(os.WriteFile(shown[wire], []byte(left), 0o600), os.WriteFile(list, overlay, 0o600)); err != nil {
		return err
	}
	if out, err := prepare(ctx, "go", "vet", "-overlay", list, "./...").CombinedOutput(); err != nil {
		return fmt.Errorf("go vet: %w\n%s", err, out)
	}
	// That it is really away: who asks for it by name finds nothing.
	if err := prepare(ctx, "go", "build", "-overlay", list, "./module/"+name).Run(); err == nil {
		return errors.New("it was not taken away")
	}
	return nil
}

// withoutModule drops the import of a module and the lines that make it.
func withoutModule(wire, name string) string {
	quoted := regexp.QuoteMeta(name)
	its := regexp.MustCompile(`/module/` + quoted + `"$|\b` + quoted + `\.New\(`)
	var left strings.Builder
	for line := range strings.Lines(wire) {
		if !its.MatchString(strings.TrimRight(line, "\n")) {
			left.WriteString(line)
		}
	}
	return left.String()
}
