// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// formatted fails when gofmt would change a file.
func formatted(ctx context.Context, _ *report) error {
	var files []string
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (path != "." && strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" || d.Name() == "node_modules") {
			return filepath.SkipDir
		}
		if strings.HasSuffix(path, ".go") {
			files = append(files, path)
		}
		return nil
	})
	if err != nil {
		return err
	}
	out, err := prepare(ctx, "gofmt", append([]string{"-l"}, files...)...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("gofmt: %w\n%s", err, out)
	}
	if len(out) > 0 {
		fmt.Printf("%s", out)
		return fmt.Errorf("gofmt would change these files")
	}
	return nil
}

// buildElsewhere compiles parts of the module for platforms that devices and
// desktops have and this machine may not.
func buildElsewhere(platforms []string, parts ...string) func(context.Context, *report) error {
	return func(ctx context.Context, r *report) error {
		modules, err := goList(ctx, "{{.Path}}", "-m")
		if err != nil {
			return err
		}
		var all []string
		for _, part := range parts {
			// A pattern of import paths may match nothing; one of folders may not.
			all = append(all, modules[0]+"/"+part)
		}
		for _, platform := range platforms {
			goos, goarch, _ := strings.Cut(platform, "/")
			args := []string{"build"}
			if platform != runtime.GOOS+"/"+runtime.GOARCH { // that one is built already
				args = append(args, "-gcflags=all=-N -l") // nothing is run: without optimising it takes two thirds of the time
			}
			c := prepare(ctx, "go", append(args, all...)...)
			c.Env = append(os.Environ(), "GOOS="+goos, "GOARCH="+goarch, "CGO_ENABLED=0")
			if out, err := c.CombinedOutput(); err != nil {
				r.failed++
				fmt.Printf("FAIL  %s\n%s", platform, out)
				continue
			}
			r.passed++
			fmt.Printf("ok    %s\n", platform)
		}
		if r.failed > 0 {
			return fmt.Errorf("%d platforms", r.failed)
		}
		return nil
	}
}

// goList runs `go list` and returns the words it prints.
func goList(ctx context.Context, format string, args ...string) ([]string, error) {
	c := prepare(ctx, "go", append([]string{"list", "-f", format}, args...)...)
	c.Stderr = os.Stderr
	out, err := c.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w", err)
	}
	return strings.Fields(string(out)), nil
}
