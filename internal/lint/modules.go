// SPDX-License-Identifier: Apache-2.0

package lint

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// CheckModules reports modules that do not bear one name everywhere: the
// folder, the package clause, what Name() returns (which is the key in the
// configuration, in logs and in metrics), the title of its README if it has
// one. It also reports modules that no program is made of.
func CheckModules(root string, packages []Package) ([]Finding, error) {
	var findings []Finding
	wired := map[string]bool{}
	for _, p := range packages {
		if strings.HasPrefix(p.Path, "cmd/") {
			for _, i := range p.Imports {
				wired[strings.TrimPrefix(i, "./")] = true
			}
		}
	}
	for _, p := range packages {
		if !matches("module/*", p.Path) && !matches("gateway/*", p.Path) {
			continue
		}
		name := filepath.Base(p.Path)
		if p.Name != name {
			findings = append(findings, Finding{p.Path, "its package is called " + p.Name, "folder and package bear one name"})
		}
		if !wired[p.Path] {
			findings = append(findings, Finding{p.Path, "is in no program", "a module is one folder and one line in cmd/stonechat/wire.go"})
		}
		var parsed []*ast.File
		for _, file := range p.GoFiles {
			f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, file), nil, parser.SkipObjectResolution)
			if err != nil {
				return nil, fmt.Errorf("lint: %w", err)
			}
			parsed = append(parsed, f)
		}
		if !returns(parsed, "Name", name) {
			findings = append(findings, Finding{p.Path, "its method Name does not return " + strconv.Quote(name),
				"the folder's name is the key in the configuration, in logs and in metrics"})
		}
		readme, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(p.Path), "README.md"))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("lint: %w", err)
		}
		if title, _, _ := strings.Cut(string(readme), "\n"); strings.TrimSpace(title) != "# "+name {
			findings = append(findings, Finding{p.Path + "/README.md", "its title is not # " + name, "one name everywhere"})
		}
	}
	return sorted(findings), nil
}

// returns reports whether a method of the package is one return of the text,
// literal or by a constant.
func returns(files []*ast.File, method, text string) bool {
	constants := stringConstants(files)
	for _, f := range files {
		for _, d := range f.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || fn.Recv == nil || fn.Name.Name != method || fn.Body == nil || len(fn.Body.List) != 1 {
				continue
			}
			ret, ok := fn.Body.List[0].(*ast.ReturnStmt)
			if !ok || len(ret.Results) != 1 {
				continue
			}
			if got, ok := fold(ret.Results[0], constants); ok && got == text {
				return true
			}
		}
	}
	return false
}
