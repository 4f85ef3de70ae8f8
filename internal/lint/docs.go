// SPDX-License-Identifier: Apache-2.0

package lint

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// Documented is a package with its package comment and what that claims.
type Documented struct {
	Package
	Doc        string
	RFCs       map[string]bool   // "6120": true if the whole of it is claimed, false for sections ("RFC 6120 §11")
	XEPs       []Claim           // lines like "XEP-0199 (complete, 2.0.1)"
	Namespaces map[string]string // constants NS… and Feature…: value to name
}

// Claim is one XEP said to be implemented.
type Claim struct {
	XEP     string // "0199"
	Status  string // complete or partial
	Version string // of the specification
}

// Document reads the comments and constants of packages, and reports packages
// without a comment that says what they do, and claims that are not in form.
//
// Claims are the paragraphs of a package comment that begin with an RFC or XEP:
//
//	RFC 6121 §2
//	XEP-0198 (partial, 1.6): no resumption on another node
//
// An RFC named with sections is claimed in part, and so is an XEP that is
// "complete but for …", unless that is obsolete, deprecated or legacy.
func Document(packages []Package) ([]Documented, []Finding, error) {
	var documented []Documented
	var findings []Finding
	for _, p := range packages {
		d := Documented{Package: p, RFCs: map[string]bool{}, Namespaces: map[string]string{}}
		names := p.GoFiles
		if len(names) == 0 {
			names = p.TestFiles // a package of tests only
		}
		var files []*ast.File
		for _, name := range names {
			f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, name), nil, parser.ParseComments|parser.SkipObjectResolution)
			if err != nil {
				return nil, nil, fmt.Errorf("lint: %w", err)
			}
			files = append(files, f)
			if f.Doc != nil {
				d.Doc += f.Doc.Text() + "\n"
			}
		}
		findings = append(findings, checkDoc(p, d.Doc)...)
		for _, xep := range d.readClaims() {
			findings = append(findings, Finding{p.Path, "claims " + xep + " without status and version",
				"the form is XEP-0199 (complete, 2.0.1), or partial with a note after a colon"})
		}
		for name, text := range stringConstants(files) {
			if strings.HasPrefix(name, "NS") || strings.HasPrefix(name, "Feature") {
				d.Namespaces[text] = name
			}
		}
		documented = append(documented, d)
	}
	return documented, sorted(findings), nil
}

func checkDoc(p Package, doc string) []Finding {
	wanted := "Package " + strings.TrimSuffix(p.Name, "_test") + " "
	if p.Name == "main" {
		wanted = "Command " + filepath.Base(p.Dir) + " "
	}
	first, _, _ := strings.Cut(strings.TrimSpace(doc), "\n\n")
	switch {
	case doc == "":
		return []Finding{{p.Path, "has no package comment", "its first sentence says what it does for whom"}}
	case !strings.HasPrefix(first, wanted):
		return []Finding{{p.Path, fmt.Sprintf("its comment does not begin with %q", wanted), "so that go doc reads well"}}
	case !strings.ContainsAny(first, ".:"):
		return []Finding{{p.Path, "its comment does not begin with a sentence", ""}}
	}
	return nil
}

var (
	claimBegin = regexp.MustCompile(`^(RFC \d{4,5}|XEP-\d{4})\b`)
	obsolete   = regexp.MustCompile(`^ but for .*\b(obsolete|deprecated|legacy)\b`) // what a XEP itself gives up
	rfcClaim   = regexp.MustCompile(`\bRFC (\d{4,5})\b( §)?`)
	xepClaim   = regexp.MustCompile(`(?:^|[,;] |\n\s*)XEP-(\d{4})\b(?: \((complete|partial)( [^,()]+)?, (\d+(?:\.\d+)*)\))?`)
)

// readClaims fills RFCs and XEPs from Doc and returns the XEPs that are named in
// a claim but not in form.
func (d *Documented) readClaims() (wrong []string) {
	for paragraph := range strings.SplitSeq(d.Doc, "\n\n") {
		paragraph = strings.TrimSpace(paragraph)
		if !claimBegin.MatchString(paragraph) {
			continue // prose
		}
		for _, m := range rfcClaim.FindAllStringSubmatch(paragraph, -1) {
			d.RFCs[m[1]] = d.RFCs[m[1]] || m[2] == ""
		}
		for _, m := range xepClaim.FindAllStringSubmatch(paragraph, -1) {
			switch {
			case m[2] == "":
				wrong = append(wrong, "XEP-"+m[1])
			case m[3] != "" && !obsolete.MatchString(m[3]): // "complete but for …"
				d.XEPs = append(d.XEPs, Claim{m[1], "partial", m[4]})
			default:
				d.XEPs = append(d.XEPs, Claim{m[1], m[2], m[4]})
			}
		}
	}
	return wrong
}

// stringConstants returns the constants of a package that are literals or sums
// of literals and such constants, by name.
func stringConstants(files []*ast.File) map[string]string {
	known := map[string]string{}
	for range 2 { // a second time for constants made of later ones
		for _, f := range files {
			for _, d := range f.Decls {
				g, ok := d.(*ast.GenDecl)
				if !ok || g.Tok != token.CONST {
					continue
				}
				for _, s := range g.Specs {
					v := s.(*ast.ValueSpec)
					for i, name := range v.Names {
						if i < len(v.Values) {
							if text, ok := fold(v.Values[i], known); ok {
								known[name.Name] = text
							}
						}
					}
				}
			}
		}
	}
	return known
}

func fold(e ast.Expr, known map[string]string) (string, bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		text, err := strconv.Unquote(e.Value)
		return text, err == nil && e.Kind == token.STRING
	case *ast.Ident:
		text, ok := known[e.Name]
		return text, ok
	case *ast.BinaryExpr:
		left, ok1 := fold(e.X, known)
		right, ok2 := fold(e.Y, known)
		return left + right, ok1 && ok2 && e.Op == token.ADD
	}
	return "", false
}
