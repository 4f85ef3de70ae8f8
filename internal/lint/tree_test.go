// SPDX-License-Identifier: Apache-2.0

package lint

import (
	"testing"
)

// The tests of this file run the rules on the tree itself.

func tree(t *testing.T) (string, []Package) {
	t.Helper()
	root, err := Root()
	if err != nil {
		t.Fatal(err)
	}
	packages, err := Packages(root)
	if err != nil {
		t.Fatal(err)
	}
	return root, packages
}

func files(t *testing.T) (string, []File) {
	t.Helper()
	root, err := Root()
	if err != nil {
		t.Fatal(err)
	}
	files, err := Files(root)
	if err != nil {
		t.Fatal(err)
	}
	return root, files
}

func report(t *testing.T, findings []Finding) {
	t.Helper()
	for _, f := range findings {
		t.Error(f)
	}
}

func TestLayers(t *testing.T) {
	_, packages := tree(t)
	report(t, CheckLayers(packages))
}

func TestThirdParty(t *testing.T) {
	_, packages := tree(t)
	report(t, CheckThirdParty(packages))
}

func TestDocs(t *testing.T) {
	_, packages := tree(t)
	_, findings, err := Document(packages)
	if err != nil {
		t.Fatal(err)
	}
	report(t, findings)
}

func TestDoap(t *testing.T) {
	root, packages := tree(t)
	documented, _, err := Document(packages)
	if err != nil {
		t.Fatal(err)
	}
	doap, err := readDoap(root)
	if err != nil {
		t.Fatal(err)
	}
	report(t, CheckDoap(doap, documented))
}

func TestSource(t *testing.T) {
	_, files := files(t)
	report(t, CheckSource(files))
}

func TestNames(t *testing.T) {
	_, files := files(t)
	report(t, CheckNames(files))
}

func TestLinks(t *testing.T) {
	_, files := files(t)
	report(t, CheckLinks(files))
}

func TestSyntax(t *testing.T) {
	_, files := files(t)
	report(t, CheckSyntax(files))
}

func TestShape(t *testing.T) {
	_, files := files(t)
	report(t, CheckShape(files))
}

func TestModules(t *testing.T) {
	root, packages := tree(t)
	findings, err := CheckModules(root, packages)
	if err != nil {
		t.Fatal(err)
	}
	report(t, findings)
}

func TestLogs(t *testing.T) {
	_, files := files(t)
	report(t, CheckLogs(files))
}

func TestLimits(t *testing.T) {
	_, files := files(t)
	report(t, CheckLimits(files))
}
