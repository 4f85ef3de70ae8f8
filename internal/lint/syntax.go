// SPDX-License-Identifier: Apache-2.0

package lint

// How to read this file: CheckSyntax walks Go files one package at a time.
// globals judges each package-level var by how it is made and by whether any
// function of the package writes it; sleeps looks at tests. Both work on syntax
// alone, so what they cannot see they report, and the tables take exceptions.

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"path"
	"regexp"
	"strings"
)

// globalVars are package-level variables that are neither sentinel errors nor
// tables that nobody writes, and init functions, each with its reason. The key
// is the package's folder, a dot and the name.
var globalVars = map[string]string{}

// sleepers are tests that may call time.Sleep outside a synctest bubble.
var sleepers = map[string]string{}

// steady are calls whose results are values, not state.
var steady = regexp.MustCompile(`^(errors\.New|fmt\.Errorf|(\w+\.)?Must\w*|strings\.NewReplacer|idna\.New|precis\.\w+|` +
	`sync\.OnceValues?|time\.Date|reflect\.Type(For|Of)|\w+\.(Std|URL|RawStd|RawURL)Encoding\.\w+)$`)

// CheckSyntax reports init functions, global variables and time.Sleep in tests.
func CheckSyntax(files []File) []Finding { return checkSyntax(files, globalVars, sleepers) }

func checkSyntax(files []File, globalVars, sleepers map[string]string) []Finding {
	var findings []Finding
	used := map[string]bool{}
	fset := token.NewFileSet()
	packages, tests := map[string][]*ast.File{}, map[string][]*ast.File{}
	for _, f := range files {
		if !f.isGo() || f.isTestdata() {
			continue
		}
		parsed, err := parser.ParseFile(fset, f.Path, f.Data, parser.ParseComments)
		if err != nil {
			findings = append(findings, Finding{f.Path, "does not parse: " + err.Error(), ""})
			continue
		}
		if f.isTest() || strings.HasPrefix(f.Path, "test/") {
			tests[path.Dir(f.Path)] = append(tests[path.Dir(f.Path)], parsed)
		}
		if !f.isTest() {
			packages[path.Dir(f.Path)] = append(packages[path.Dir(f.Path)], parsed)
		}
	}
	for _, parsed := range tests {
		bubbles := bubbles(parsed)
		for _, f := range parsed {
			findings = append(findings, sleeps(fset, f, bubbles, sleepers, used)...)
		}
	}
	for dir, parsed := range packages {
		findings = append(findings, globals(fset, dir, parsed, globalVars, used)...)
	}
	for _, table := range []map[string]string{globalVars, sleepers} {
		for key := range table {
			if !used[key] {
				findings = append(findings, Finding{key, "needs its row in internal/lint/syntax.go no more", ""})
			}
		}
	}
	return sorted(findings)
}

// bubbles names the functions that run their argument in a bubble:
// synctest.Test, and those of the package that hand a parameter on to it.
func bubbles(files []*ast.File) map[string]bool {
	names := map[string]bool{"synctest.Test": true}
	for _, f := range files {
		for _, d := range f.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || fn.Body == nil {
				continue
			}
			parameters := map[string]bool{}
			for _, field := range fn.Type.Params.List {
				for _, name := range field.Names {
					parameters[name.Name] = true
				}
			}
			ast.Inspect(fn.Body, func(n ast.Node) bool {
				call, ok := n.(*ast.CallExpr)
				if !ok || types.ExprString(call.Fun) != "synctest.Test" || len(call.Args) != 2 {
					return true
				}
				if id, ok := call.Args[1].(*ast.Ident); ok && parameters[id.Name] {
					names[fn.Name.Name] = true
				}
				return true
			})
		}
	}
	return names
}

// sleeps reports calls of time.Sleep that are not lexically inside a bubble of
// testing/synctest, where the clock is a false one.
func sleeps(fset *token.FileSet, f *ast.File, bubbles map[string]bool, sleepers map[string]string, used map[string]bool) []Finding {
	var findings []Finding
	for _, d := range f.Decls {
		ast.Inspect(d, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			switch callee := types.ExprString(call.Fun); {
			case bubbles[callee]:
				return false
			case callee == "time.Sleep":
				where := fset.Position(call.Pos())
				key := where.Filename
				if sleepers[key] != "" {
					used[key] = true
					return true
				}
				findings = append(findings, Finding{fmt.Sprintf("%s:%d", where.Filename, where.Line), "calls time.Sleep in a test",
					"wait for the event itself, or let testing/synctest turn the clock (inside synctest.Test it is allowed)"})
			}
			return true
		})
	}
	return findings
}

// globals reports the init functions and the package-level variables of one
// package that are not allowed.
func globals(fset *token.FileSet, dir string, files []*ast.File, excepted map[string]string, used map[string]bool) []Finding {
	var findings []Finding
	object := func(pos token.Pos, name, what, why string) {
		key := dir + "." + name
		if excepted[key] != "" {
			used[key] = true
			return
		}
		where := fset.Position(pos)
		findings = append(findings, Finding{fmt.Sprintf("%s:%d", where.Filename, where.Line), what, why})
	}
	vars := map[string]*ast.ValueSpec{}
	for _, f := range files {
		for _, d := range f.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Name.Name == "init" && d.Recv == nil {
					object(d.Pos(), "init", "has an init function", "what runs is called by somebody: cmd/stonechat/wire.go lists the parts")
				}
			case *ast.GenDecl:
				if d.Tok != token.VAR {
					continue
				}
				for _, s := range d.Specs {
					v := s.(*ast.ValueSpec)
					if isEmbedded(d, v) {
						continue
					}
					for i, name := range v.Names {
						if name.Name == "_" {
							continue
						}
						if !isPool(v, i) {
							vars[name.Name] = v
						}
						if why := made(v, i); why != "" {
							object(name.Pos(), name.Name, "has the global variable "+name.Name+": "+why,
								"state lives in a value that somebody owns; exceptions are in internal/lint/syntax.go")
						}
					}
				}
			}
		}
	}
	for name, pos := range written(files, vars) {
		object(pos, name, "writes the global variable "+name, "a table at package level is never written")
	}
	return findings
}

func isEmbedded(d *ast.GenDecl, v *ast.ValueSpec) bool {
	for _, doc := range []*ast.CommentGroup{d.Doc, v.Doc} {
		if doc == nil {
			continue
		}
		for _, c := range doc.List {
			if strings.HasPrefix(c.Text, "//go:embed ") {
				return true
			}
		}
	}
	return false
}

// isPool reports whether a variable is a sync.Pool: what is in it belongs to
// nobody, and its address is how it is used.
func isPool(v *ast.ValueSpec, i int) bool {
	if i >= len(v.Values) {
		return false
	}
	lit, ok := v.Values[i].(*ast.CompositeLit)
	return ok && lit.Type != nil && types.ExprString(lit.Type) == "sync.Pool"
}

// made says what is wrong with how a variable is made, or "".
func made(v *ast.ValueSpec, i int) string {
	if len(v.Values) == 0 {
		return "it has no value, so somebody writes it"
	}
	value := v.Values[min(i, len(v.Values)-1)]
	switch e := value.(type) {
	case *ast.CompositeLit:
		name := ""
		if e.Type != nil {
			name = types.ExprString(e.Type)
		}
		if (strings.HasPrefix(name, "sync.") && name != "sync.Pool") || strings.HasPrefix(name, "atomic.") {
			return name + " is state"
		}
		return ""
	case *ast.BasicLit, *ast.BinaryExpr, *ast.FuncLit, *ast.SelectorExpr:
		return ""
	case *ast.CallExpr:
		callee := types.ExprString(e.Fun)
		_, isType := e.Fun.(*ast.ArrayType)
		_, isFuncLit := e.Fun.(*ast.FuncLit)
		local := token.IsIdentifier(callee) && !token.IsExported(callee) && callee != "make" && callee != "new"
		if isType || isFuncLit || local || steady.MatchString(callee) {
			return ""
		}
		return callee + " may return state"
	case *ast.UnaryExpr:
		if e.Op == token.AND {
			return "it is a pointer"
		}
		return ""
	}
	return "it is " + types.ExprString(value)
}

// written finds the variables that functions of the package assign to, step,
// delete from or take the address of.
func written(files []*ast.File, vars map[string]*ast.ValueSpec) map[string]token.Pos {
	out := map[string]token.Pos{}
	mark := func(e ast.Expr) {
		if id := base(e); id != nil && vars[id.Name] != nil && (id.Obj == nil || id.Obj.Decl == vars[id.Name]) {
			out[id.Name] = id.Pos()
		}
	}
	for _, f := range files {
		for _, d := range f.Decls {
			ast.Inspect(d, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.AssignStmt:
					if n.Tok != token.DEFINE {
						for _, e := range n.Lhs {
							mark(e)
						}
					}
				case *ast.IncDecStmt:
					mark(n.X)
				case *ast.UnaryExpr:
					if n.Op == token.AND {
						mark(n.X)
					}
				case *ast.CallExpr:
					if name := types.ExprString(n.Fun); (name == "delete" || name == "clear") && len(n.Args) > 0 {
						mark(n.Args[0])
					}
				}
				return true
			})
		}
	}
	return out
}

// base finds x in x, x.f, x[i], x[i:j], *x and (x).
func base(e ast.Expr) *ast.Ident {
	for {
		switch x := e.(type) {
		case *ast.Ident:
			return x
		case *ast.SelectorExpr:
			e = x.X
		case *ast.IndexExpr:
			e = x.X
		case *ast.SliceExpr:
			e = x.X
		case *ast.StarExpr:
			e = x.X
		case *ast.ParenExpr:
			e = x.X
		default:
			return nil
		}
	}
}
