// SPDX-License-Identifier: Apache-2.0

package lint

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"slices"
	"strings"
)

// Package is what the rules need to know of a package. Paths are relative to
// the module ("xmpp/jid"); imports of this module are too, with "./" before
// them, so that they cannot be taken for the standard library's.
type Package struct {
	Path        string
	Name        string // of the package clause
	Dir         string
	GoFiles     []string // names of files, without tests
	TestFiles   []string
	Imports     []string
	TestImports []string // of tests, inside and outside the package
}

// platforms are those whose files are looked at: build tags hide imports.
var platforms = []string{"linux", "darwin", "windows"}

// Packages lists the module's packages with `go list`, joined over platforms.
func Packages(root string) ([]Package, error) {
	byPath := map[string]*Package{}
	for _, goos := range platforms {
		listed, err := list(root, goos)
		if err != nil {
			return nil, err
		}
		for _, p := range listed {
			known := byPath[p.Path]
			if known == nil {
				byPath[p.Path] = &p
				continue
			}
			known.GoFiles = union(known.GoFiles, p.GoFiles)
			known.TestFiles = union(known.TestFiles, p.TestFiles)
			known.Imports = union(known.Imports, p.Imports)
			known.TestImports = union(known.TestImports, p.TestImports)
		}
	}
	packages := make([]Package, 0, len(byPath))
	for _, p := range byPath {
		packages = append(packages, *p)
	}
	slices.SortFunc(packages, func(a, b Package) int { return strings.Compare(a.Path, b.Path) })
	return packages, nil
}

func union(a, b []string) []string {
	all := append(slices.Clone(a), b...)
	slices.Sort(all)
	return slices.Compact(all)
}

func list(root, goos string) ([]Package, error) {
	c := exec.Command("go", "list", "-e",
		"-json=ImportPath,Name,Dir,GoFiles,CgoFiles,TestGoFiles,XTestGoFiles,Imports,TestImports,XTestImports", "./...")
	c.Dir = root
	c.Env = append(os.Environ(), "GOOS="+goos)
	c.Stderr = os.Stderr
	out, err := c.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := c.Start(); err != nil {
		return nil, fmt.Errorf("lint: go list: %w", err)
	}
	packages, err := decodeList(out)
	return packages, errors.Join(err, c.Wait())
}

func decodeList(r io.Reader) ([]Package, error) {
	var packages []Package
	for d := json.NewDecoder(r); ; {
		var p struct {
			ImportPath, Name, Dir                        string
			GoFiles, CgoFiles, TestGoFiles, XTestGoFiles []string
			Imports, TestImports, XTestImports           []string
		}
		err := d.Decode(&p)
		if err == io.EOF {
			return packages, nil
		}
		if err != nil {
			return nil, fmt.Errorf("lint: reading go list: %w", err)
		}
		packages = append(packages, Package{
			Path:        strings.TrimPrefix(p.ImportPath, Module+"/"),
			Name:        p.Name,
			Dir:         p.Dir,
			GoFiles:     union(p.GoFiles, p.CgoFiles),
			TestFiles:   union(p.TestGoFiles, p.XTestGoFiles),
			Imports:     relative(p.Imports),
			TestImports: relative(union(p.TestImports, p.XTestImports)),
		})
	}
}

func relative(imports []string) []string {
	for i, s := range imports {
		if rest, ok := strings.CutPrefix(s, Module+"/"); ok {
			imports[i] = "./" + rest
		}
	}
	return imports
}

// matches reports whether a package path fits a pattern: "xmpp/jid" itself,
// "module/*" one folder below, "server/..." the folder and all below.
func matches(pattern, pkg string) bool {
	if dir, ok := strings.CutSuffix(pattern, "/..."); ok {
		return pkg == dir || strings.HasPrefix(pkg, dir+"/")
	}
	ok, err := path.Match(pattern, pkg)
	return ok && err == nil
}
