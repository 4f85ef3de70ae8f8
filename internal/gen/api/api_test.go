// SPDX-License-Identifier: Apache-2.0

package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"slices"
	"strings"
	"testing"
)

// What a package exports, whatever form it has, is a line; what it hides is none.
func TestDeclarations(t *testing.T) {
	const source = `package p
		const Answer, hidden = 42, 1
		type Kind uint8
		const First Kind = 1
		var Err error
		func Do(first, second int, rest ...string) (n int, err error) { return }
		func do() {}
		func Map[T any, K comparable](list []T) map[K]T { return nil }
		type Alias = map[string]Kind
		type S struct { A int; b int; F func(name string) bool }
		func (s *S) Do(x int) {}
		func (s S) Get() Kind { return 0 }
		func (s S) get() {}
		type I interface { M(x int) error; m() }
		type small struct{ C int }
		func (s *small) Feed(b []byte) {}
		type T struct { small; D int }`
	files := token.NewFileSet()
	f, err := parser.ParseFile(files, "p.go", source, 0)
	if err != nil {
		t.Fatal(err)
	}
	p, err := (&types.Config{}).Check(module+"/xmpp/p", files, []*ast.File{f}, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"const Answer untyped int = 42", "const First Kind = 1", "field S.A int", "field S.F func(string) bool", "field T.C int", "field T.D int",
		"func Do(int, int, ...string) (int, error)", "func Map[T any, K comparable](list []T) map[K]T",
		"method (*S) Do(int)", "method (*T) Feed([]byte)", "method (S) Get() Kind", "method I.M(int) error",
		"type Alias = map[string]Kind", "type I interface", "type Kind uint8", "type S struct", "type T struct", "var Err error",
	}
	got := declarations(p)
	for i := range got {
		got[i] = strings.TrimPrefix(got[i], "xmpp/p: ")
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// A stale file is told by its lines, and what programs lose is called so.
func TestDifference(t *testing.T) {
	if got := difference([]byte("a\nb\n"), []byte("a\nb\nc\n")); got != "+ c\n" {
		t.Errorf("came: %q", got)
	}
	if got := difference([]byte("a\nb\n"), []byte("a\nc\n")); !strings.HasPrefix(got, "- b\n+ c\n") || !strings.Contains(got, "CHANGELOG") {
		t.Errorf("changed: %q", got)
	}
	if got := difference(nil, []byte("a\n")); got != "+ a\n" {
		t.Errorf("new: %q", got)
	}
}
