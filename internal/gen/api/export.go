// SPDX-License-Identifier: Apache-2.0

package main

// How to read this file: exported has the compiler's export data read, of every package of a
// folder; declarations writes the lines of one package.

import (
	"fmt"
	"go/importer"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path"
	"slices"
	"strings"
)

// exported lists what the packages in a folder of the module export.
func exported(root, folder string) ([]string, error) {
	c := exec.Command("go", "list", "-export", "-deps", "-f", "{{.ImportPath}}|{{.Export}}", module+"/"+folder+"/...")
	c.Dir = root
	c.Stderr = io.Discard // a folder that is not there yet is no error
	out, err := c.Output()
	if err != nil {
		return nil, fmt.Errorf("api: go list %s: %w", folder, err)
	}
	data := map[string]string{} // files, by import path
	var paths []string
	for line := range strings.Lines(string(out)) {
		name, file, _ := strings.Cut(strings.TrimSpace(line), "|")
		data[name] = file
		if name == module+"/"+folder || strings.HasPrefix(name, module+"/"+folder+"/") {
			paths = append(paths, name)
		}
	}
	load := importer.ForCompiler(token.NewFileSet(), "gc", func(name string) (io.ReadCloser, error) {
		return os.Open(data[name])
	})
	slices.Sort(paths)
	var list []string
	for _, name := range paths {
		p, err := load.Import(name)
		if err != nil {
			return nil, fmt.Errorf("api: %s: %w", name, err)
		}
		list = append(list, declarations(p)...)
	}
	return list, nil
}

// declarations are the lines of a package.
func declarations(p *types.Package) []string {
	short := strings.TrimPrefix(p.Path(), module+"/")
	w := &writer{pkg: p, prefix: short + ": "}
	for _, name := range p.Scope().Names() {
		if o := p.Scope().Lookup(name); o.Exported() {
			w.object(o)
		}
	}
	slices.Sort(w.lines)
	return w.lines
}

// writer writes lines.
type writer struct {
	pkg    *types.Package
	prefix string
	lines  []string
}

func (w *writer) line(format string, args ...any) {
	w.lines = append(w.lines, w.prefix+fmt.Sprintf(format, args...))
}

// typ is a type as the package itself would write it; other packages are named by their last word.
func (w *writer) typ(t types.Type) string {
	return types.TypeString(unnamed(t), func(p *types.Package) string {
		if p == w.pkg {
			return ""
		}
		return path.Base(p.Path())
	})
}

// unnamed drops the names of parameters, which are documentation.
func unnamed(t types.Type) types.Type {
	f, ok := t.(*types.Signature)
	if !ok {
		return t
	}
	drop := func(all *types.Tuple) *types.Tuple {
		var list []*types.Var
		for v := range all.Variables() {
			list = append(list, types.NewParam(token.NoPos, nil, "", unnamed(v.Type())))
		}
		return types.NewTuple(list...)
	}
	if f.TypeParams().Len() > 0 {
		return f // its parameters belong to it
	}
	return types.NewSignatureType(nil, nil, nil, drop(f.Params()), drop(f.Results()), f.Variadic())
}

func (w *writer) object(o types.Object) {
	switch o := o.(type) {
	case *types.Const:
		w.line("const %s %s = %s", o.Name(), w.typ(o.Type()), o.Val().ExactString())
	case *types.Var:
		w.line("var %s %s", o.Name(), w.typ(o.Type()))
	case *types.Func:
		w.line("func %s%s", o.Name(), strings.TrimPrefix(w.typ(o.Type()), "func"))
	case *types.TypeName:
		w.named(o)
	}
}

func (w *writer) named(o *types.TypeName) {
	if o.IsAlias() {
		w.line("type %s = %s", o.Name(), w.typ(types.Unalias(o.Type())))
		return
	}
	switch u := o.Type().Underlying().(type) {
	case *types.Struct:
		w.line("type %s struct", o.Name())
		w.fields(o.Name(), u)
	case *types.Interface:
		w.line("type %s interface", o.Name())
		for m := range u.Methods() {
			if m.Exported() {
				w.line("method %s.%s%s", o.Name(), m.Name(), strings.TrimPrefix(w.typ(m.Type()), "func"))
			}
		}
		return
	default:
		w.line("type %s %s", o.Name(), w.typ(u))
	}
	w.methods(o)
}

// fields writes the fields of a struct, those of hidden structs that it embeds among them.
func (w *writer) fields(owner string, s *types.Struct) {
	for f := range s.Fields() {
		inner, isStruct := f.Type().Underlying().(*types.Struct)
		switch {
		case f.Exported():
			w.line("field %s.%s %s", owner, f.Name(), w.typ(f.Type()))
		case f.Embedded() && isStruct:
			w.fields(owner, inner)
		}
	}
}

// methods writes the methods of a type, those of what it embeds among them.
func (w *writer) methods(o *types.TypeName) {
	values := types.NewMethodSet(o.Type())
	for m := range types.NewMethodSet(types.NewPointer(o.Type())).Methods() {
		f := m.Obj()
		if !f.Exported() {
			continue
		}
		star := ""
		if values.Lookup(f.Pkg(), f.Name()) == nil {
			star = "*"
		}
		w.line("method (%s%s) %s%s", star, o.Name(), f.Name(), strings.TrimPrefix(w.typ(f.Type()), "func"))
	}
}
