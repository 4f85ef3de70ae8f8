// SPDX-License-Identifier: Apache-2.0

package lint

// Reading order: Doap is what doap.xml says; CheckDoap holds it against package
// comments, CheckFeatures against what a running server answers.

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Doap is what doap.xml claims to the world.
type Doap struct {
	RFCs []string
	XEPs []Claim
}

// spoken are XEPs that a server does not list in its disco answer, though a
// package of theirs has a namespace, each with where it shows instead.
var spoken = map[string]string{
	"0004": "in the payloads of others",
	"0045": "in the answers of rooms and of their service",
	"0059": "in the payloads of others",
	"0060": "in the answers of its service and of accounts",
	"0100": "in the answers of gateways",
	"0114": "a component's stream",
	"0106": "clients escape; a server advertises it only for gateways",
	"0122": "in the forms of others",
	"0141": "in the forms of others",
	"0331": "in the forms of others",
	"0336": "in the forms of others",
	"0157": "a form in the server's answer",
	"0175": "a SASL mechanism",
	"0178": "a SASL mechanism",
	"0198": "a stream feature",
	"0249": "from client to client",
	"0280": "clients ask and take; the server makes no copies yet",
	"0297": "in the payloads of others",
	"0317": "in the answers of rooms",
	"0335": "things and clients speak it, past the server",
	"0432": "things and clients speak it, past the server",
	"0323": "things and who reads them speak it, past the server",
	"0325": "things and who controls them speak it, past the server",
	"0324": "in the answers of the service of things",
	"0326": "things and clients speak it, past the server",
	"0347": "things and clients speak it, past the server",
	"0334": "hints are obeyed, not advertised",
	"0356": "in what a component is told and asks",
	"0421": "in the answers of rooms and of their service",
	"0440": "a stream feature",
	"0445": "a stream feature",
}

// ParseDoap reads doap.xml (XEP-0453).
func ParseDoap(data []byte) (Doap, error) {
	const (
		doap = "http://usefulinc.com/ns/doap#"
		xmpp = "https://linkmauve.fr/ns/xmpp-doap#"
	)
	var file struct {
		Project struct {
			Implements []struct {
				Resource string `xml:"http://www.w3.org/1999/02/22-rdf-syntax-ns# resource,attr"`
				Xep      *struct {
					XEP struct {
						Resource string `xml:"http://www.w3.org/1999/02/22-rdf-syntax-ns# resource,attr"`
					} `xml:"https://linkmauve.fr/ns/xmpp-doap# xep"`
					Status  string `xml:"https://linkmauve.fr/ns/xmpp-doap# status"`
					Version string `xml:"https://linkmauve.fr/ns/xmpp-doap# version"`
				} `xml:"https://linkmauve.fr/ns/xmpp-doap# SupportedXep"`
			} `xml:"http://usefulinc.com/ns/doap# implements"`
		} `xml:"http://usefulinc.com/ns/doap# Project"`
	}
	if err := xml.NewDecoder(bytes.NewReader(data)).Decode(&file); err != nil {
		return Doap{}, fmt.Errorf("lint: doap.xml: %w", err)
	}
	if !bytes.Contains(data, []byte(doap)) || !bytes.Contains(data, []byte(xmpp)) {
		return Doap{}, fmt.Errorf("lint: doap.xml: namespaces %s and %s are not declared", doap, xmpp)
	}
	var d Doap
	for _, i := range file.Project.Implements {
		if i.Xep == nil {
			number, ok := strings.CutPrefix(i.Resource, rfcAddress)
			if !ok {
				return Doap{}, fmt.Errorf("lint: doap.xml: %q is no RFC's address", i.Resource)
			}
			d.RFCs = append(d.RFCs, number)
			continue
		}
		number, ok := strings.CutPrefix(i.Xep.XEP.Resource, xepAddress)
		if !ok {
			return Doap{}, fmt.Errorf("lint: doap.xml: %q is no XEP's address", i.Xep.XEP.Resource)
		}
		d.XEPs = append(d.XEPs, Claim{strings.TrimSuffix(number, ".html"), i.Xep.Status, i.Xep.Version})
	}
	return d, nil
}

// RFCs and XEPs are named by their addresses.
const (
	rfcAddress = "https://www.rfc-editor.org/info/rfc"
	xepAddress = "https://xmpp.org/extensions/xep-"
)

func readDoap(root string) (Doap, error) {
	data, err := os.ReadFile(filepath.Join(root, "doap.xml"))
	if err != nil {
		return Doap{}, fmt.Errorf("lint: %w", err)
	}
	return ParseDoap(data)
}

// CheckDoap compares doap.xml with the claims of package comments: the same
// XEPs in the same versions, of several packages' statuses the weakest; every
// RFC that a package claims whole, and none that no package claims.
func CheckDoap(d Doap, packages []Documented) []Finding {
	const file = "doap.xml"
	var findings []Finding
	claimed, by, rfcs := joined(packages)
	for xep, versions := range by {
		if len(versions) > 1 {
			findings = append(findings, Finding{"XEP-" + xep, "is claimed in several versions: " +
				strings.Join(slices.Sorted(maps.Keys(versions)), ", "), "package comments must agree"})
		}
	}
	seen := map[string]bool{}
	for _, c := range d.XEPs {
		if seen[c.XEP] {
			findings = append(findings, Finding{file, "names XEP-" + c.XEP + " twice", ""})
		}
		seen[c.XEP] = true
		have, ok := claimed[c.XEP]
		switch {
		case !ok:
			findings = append(findings, Finding{file, "claims XEP-" + c.XEP, "no package comment does; a claim comes with its code"})
		case have != c:
			findings = append(findings, Finding{file, fmt.Sprintf("says XEP-%s (%s, %s)", c.XEP, c.Status, c.Version),
				fmt.Sprintf("package comments say (%s, %s)", have.Status, have.Version)})
		}
	}
	for xep, c := range claimed {
		if !seen[xep] {
			findings = append(findings, Finding{file, fmt.Sprintf("lacks XEP-%s (%s, %s)", xep, c.Status, c.Version), "a package comment claims it"})
		}
	}
	for _, n := range d.RFCs {
		if _, ok := rfcs[n]; !ok {
			findings = append(findings, Finding{file, "claims RFC " + n, "no package comment does; a claim comes with its code"})
		}
		if seen["RFC "+n] {
			findings = append(findings, Finding{file, "names RFC " + n + " twice", ""})
		}
		seen["RFC "+n] = true
	}
	for n, whole := range rfcs {
		if whole && !seen["RFC "+n] {
			findings = append(findings, Finding{file, "lacks RFC " + n, "a package comment claims the whole of it"})
		}
	}
	return sorted(findings)
}

// joined merges the claims of packages: the weakest status of each XEP, its
// versions, and the RFCs (true if the whole of it is claimed).
func joined(packages []Documented) (xeps map[string]Claim, versions map[string]map[string]bool, rfcs map[string]bool) {
	xeps, versions, rfcs = map[string]Claim{}, map[string]map[string]bool{}, map[string]bool{}
	for _, p := range packages {
		for n, whole := range p.RFCs {
			rfcs[n] = rfcs[n] || whole
		}
		for _, c := range p.XEPs {
			if versions[c.XEP] == nil {
				versions[c.XEP] = map[string]bool{}
			}
			versions[c.XEP][c.Version] = true
			if have, ok := xeps[c.XEP]; !ok || have.Status == "complete" {
				xeps[c.XEP] = c
			}
		}
	}
	return xeps, versions, rfcs
}

// CheckFeatures compares the features of a running default server's disco#info
// answer (XEP-0030) with the tree, for the test that starts one: every feature
// is a constant NS… or Feature… of a package whose comment claims an RFC or XEP
// that doap.xml names, and every XEP of doap.xml that has such constants shows
// at least one of them, unless it is known to be spoken elsewhere.
//
//	root, _ := lint.Root()
//	findings, err := lint.CheckFeatures(root, features)
func CheckFeatures(root string, features []string) ([]Finding, error) {
	packages, err := Packages(root)
	if err != nil {
		return nil, err
	}
	documented, _, err := Document(packages)
	if err != nil {
		return nil, err
	}
	d, err := readDoap(root)
	if err != nil {
		return nil, err
	}
	return checkFeatures(d, documented, features), nil
}

func checkFeatures(d Doap, packages []Documented, features []string) []Finding {
	var findings []Finding
	inDoap := map[string]bool{}
	for _, c := range d.XEPs {
		inDoap[c.XEP] = true
	}
	for _, n := range d.RFCs {
		inDoap["RFC "+n] = true
	}
	known, shown := map[string]bool{}, map[string]bool{}
	hasConstants := map[string][]string{}
	for _, p := range packages {
		claimed := false
		for n := range p.RFCs {
			claimed = claimed || inDoap["RFC "+n]
		}
		for _, c := range p.XEPs {
			claimed = claimed || inDoap[c.XEP]
			for ns := range p.Namespaces {
				hasConstants[c.XEP] = append(hasConstants[c.XEP], ns)
			}
		}
		for ns := range p.Namespaces {
			known[ns] = known[ns] || claimed
		}
	}
	for _, f := range features {
		base, _, _ := strings.Cut(f, "#")
		shown[f] = true
		if !known[f] && !known[base] {
			findings = append(findings, Finding{"disco#info", "advertises " + f,
				"no package whose RFC or XEP is in doap.xml has it as a constant NS… or Feature…"})
		}
	}
	for _, c := range d.XEPs {
		constants := hasConstants[c.XEP]
		visible := slices.ContainsFunc(constants, func(ns string) bool { return shown[ns] })
		if len(constants) > 0 && !visible && spoken[c.XEP] == "" {
			findings = append(findings, Finding{"disco#info", "shows nothing of XEP-" + c.XEP,
				"doap.xml claims it; if it shows elsewhere, say where in internal/lint/doap.go"})
		}
	}
	return sorted(findings)
}
