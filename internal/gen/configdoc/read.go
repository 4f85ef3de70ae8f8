// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
)

// How to read this file: read is called first; structsOf parses a package,
// sectionsOf turns its struct Config, and those in it, into tables of keys.

// section is one table of the manual: the keys below one key.
type section struct {
	path string // "limits"; "" for the keys of the first level
	text string // the comment of the struct
	keys []key
}

// key is one row.
type key struct {
	name    string
	kind    string // in an operator's words
	text    string // the comment of the field
	initial string // the default, as YAML
	choices string
	later   string // choices that are not built yet
	unbuilt string // what it waits for
	live    bool   // takes effect at SIGHUP
}

// read finds the sections of the configuration and of the modules.
func read(root string) ([]section, error) {
	structs, err := structsOf(filepath.Join(root, "config"))
	if err != nil {
		return nil, err
	}
	sections, err := sectionsOf(structs, "Config", "")
	if err != nil {
		return nil, err
	}
	folders, err := os.ReadDir(filepath.Join(root, "module"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, folder := range folders {
		if !folder.IsDir() {
			continue
		}
		structs, err := structsOf(filepath.Join(root, "module", folder.Name()))
		if err != nil {
			return nil, err
		}
		if structs["Config"].spec == nil || !hasKeys(structs["Config"].spec) {
			continue
		}
		more, err := sectionsOf(structs, "Config", "modules."+folder.Name())
		if err != nil {
			return nil, err
		}
		sections = append(sections, more...)
	}
	return sections, nil
}

// structure is one struct type with its comment.
type structure struct {
	spec     *ast.StructType
	text     string
	defaults map[string]string // by field; what the package's func Default returns
}

// structsOf parses a package's files, tests excepted.
func structsOf(dir string) (map[string]structure, error) {
	names, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return nil, err
	}
	structs := map[string]structure{}
	var literal *ast.CompositeLit
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return nil, fmt.Errorf("configdoc: %w", err)
		}
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Name.Name == "Default" && fn.Recv == nil {
				literal = returned(fn)
			}
			g, ok := d.(*ast.GenDecl)
			if !ok || g.Tok != token.TYPE {
				continue
			}
			for _, s := range g.Specs {
				spec := s.(*ast.TypeSpec)
				if st, ok := spec.Type.(*ast.StructType); ok {
					doc := g.Doc
					if spec.Doc != nil {
						doc = spec.Doc
					}
					structs[spec.Name.Name] = structure{spec: st, text: flow(doc)}
				}
			}
		}
	}
	if literal != nil {
		name := types.ExprString(literal.Type)
		st := structs[name]
		st.defaults = values(literal)
		structs[name] = st
	}
	return structs, nil
}

func hasKeys(s *ast.StructType) bool {
	for _, f := range s.Fields.List {
		if f.Tag != nil && strings.Contains(f.Tag.Value, `yaml:"`) {
			return true
		}
	}
	return false
}

// sectionsOf returns the section of a struct and, after it, those of the
// structs in it.
func sectionsOf(structs map[string]structure, name, path string) ([]section, error) {
	own := section{path: path, text: structs[name].text}
	var below []section
	for _, f := range structs[name].spec.Fields.List {
		if f.Tag == nil || len(f.Names) != 1 {
			continue
		}
		tag := reflect.StructTag(strings.Trim(f.Tag.Value, "`"))
		yaml := tag.Get("yaml")
		if yaml == "" {
			continue
		}
		full := strings.TrimPrefix(path+"."+yaml, ".")
		kind := types.ExprString(f.Type)
		if structs[kind].spec != nil && hasKeys(structs[kind].spec) {
			more, err := sectionsOf(structs, kind, full)
			if err != nil {
				return nil, err
			}
			below = append(below, more...)
			continue
		}
		text := withoutName(flow(f.Doc), f.Names[0].Name)
		if text == "" {
			return nil, fmt.Errorf("configdoc: %s has no comment for operators", full)
		}
		initial, ok := tag.Lookup("default")
		if !ok {
			initial, ok = structs[name].defaults[f.Names[0].Name]
		}
		if !ok && kind != "Modules" {
			return nil, fmt.Errorf("configdoc: %s has no default", full)
		}
		if initial == "" && kind == "string" {
			initial = `""`
		}
		if initial == "" {
			initial = "{}"
		}
		own.keys = append(own.keys, key{yaml, kindOf(kind), text, initial, tag.Get("oneof"), tag.Get("later"), tag.Get("unbuilt"), tag.Get("live") == "yes"})
	}
	return append([]section{own}, below...), nil
}

// flow is the text of a comment as one line.
func flow(c *ast.CommentGroup) string { return strings.Join(strings.Fields(c.Text()), " ") }

// withoutName turns "Resume is how long it waits." into "How long it waits.":
// operators do not know the names of fields.
func withoutName(text, field string) string {
	for _, verb := range []string{" is ", " are "} {
		if rest, ok := strings.CutPrefix(text, field+verb); ok && rest != "" {
			return strings.ToUpper(rest[:1]) + rest[1:]
		}
	}
	return text
}

// kindOf says in an operator's words what a Go type holds.
func kindOf(goType string) string {
	switch strings.TrimPrefix(goType, "config.") {
	case "string":
		return "text"
	case "bool":
		return "true or false"
	case "Limit", "int", "int64", "uint", "uint16", "float64":
		return "number"
	case "Bytes":
		return "size"
	case "Duration", "time.Duration":
		return "duration"
	}
	switch {
	case strings.HasPrefix(goType, "[]"):
		return "list"
	case strings.HasPrefix(goType, "map["), goType == "Modules":
		return "keys"
	}
	return "text"
}
