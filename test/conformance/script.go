// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// A Script is one file of clients and steps.
type Script struct {
	Name       string   // file name without .txt
	Sections   []string // what its header says it tests: "RFC 6120 §7.6"
	Variant    string   // "Server: …": how the server must be configured; empty: as usual
	transports []string // "Transport: …": the only transports that it makes sense on; empty: all
	Second     bool     // needs a server of two domains
	file       string
	clients    []declaration
	steps      []step
}

// stage is how far a client comes on its own when a script says that it connects.
type stage int

const (
	raw         stage = iota // a connection, nothing sent
	notLoggedIn              // TLS is on, the features are known
	notBound                 // logged in
	bound
)

type declaration struct {
	name, account, resource string
	stage                   stage
	unregistered            bool     // the account must not be made
	second                  bool     // the account is one of the server's second domain
	capabilities            []string // what it tells that it can (XEP-0115); nil: it tells nothing
	resumable               bool     // enables stream management with resumption
}

type step struct {
	line     int
	text     string   // the sentence, for reports
	subjects []string // names of clients
	do       action
	arg      string   // what the verb's pattern captured
	blocks   []string // the XML below it: one, or the alternatives separated by "or:"
}

var (
	sectionPattern = regexp.MustCompile(`((?:RFC|XEP)[ -]\d+)?(?: ?§([\w.]*\w))?`)
	subjectPattern = regexp.MustCompile(`^([A-Z]\w*(?:(?:, | and )[A-Z]\w*)*)(?:'s)? (.+)$`)
	subjectJoint   = regexp.MustCompile(`, | and `)
)

// Load reads and checks a script.
func Load(file string) (*Script, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("conformance: %w", err)
	}
	s := &Script{Name: strings.TrimSuffix(filepath.Base(file), ".txt"), file: file}
	for i, line := range strings.Split(string(data), "\n") {
		if err := s.parse(i+1, strings.TrimRight(line, " \t\r")); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", file, i+1, err)
		}
	}
	if len(s.Sections) == 0 {
		return nil, fmt.Errorf("%s:1: the header names no section of a specification that this script tests", file)
	}
	return s, nil
}

// On reports whether the script makes sense on a transport.
func (s *Script) On(transport string) bool {
	return s.transports == nil || slices.Contains(s.transports, transport)
}

func (s *Script) parse(number int, line string) error {
	if line == "" {
		return nil
	}
	if line[0] == '#' {
		s.cite(line)
		return nil
	}
	if line[0] == ' ' || line[0] == '\t' || line == "or:" {
		if len(s.steps) == 0 || s.steps[len(s.steps)-1].blocks == nil {
			return fmt.Errorf("%q belongs to no step: the line above must end with a colon", line)
		}
		st := &s.steps[len(s.steps)-1]
		if line == "or:" {
			st.blocks = append(st.blocks, "")
		} else {
			last := &st.blocks[len(st.blocks)-1]
			*last = strings.TrimPrefix(*last+"\n"+strings.TrimSpace(line), "\n")
		}
		return nil
	}
	head, block, colon := cutColon(line)
	if colon && !strings.Contains(head, " ") {
		return s.declare(head, strings.TrimSpace(block))
	}
	sentence := subjectPattern.FindStringSubmatch(head)
	if sentence == nil {
		return fmt.Errorf("%q is neither a client's declaration nor a sentence", line)
	}
	st := step{line: number, text: line, subjects: subjectJoint.Split(sentence[1], -1)}
	for _, name := range st.subjects {
		if name != "All" && name != "Nobody" && !slices.ContainsFunc(s.clients, func(d declaration) bool { return d.name == name }) {
			return fmt.Errorf("%s is not declared", name)
		}
	}
	if colon {
		sentence[2] += ":"
		st.blocks = []string{strings.TrimSpace(block)}
	}
	for _, v := range verbs {
		if m := v.pattern.FindStringSubmatch(sentence[2]); m != nil {
			st.do, st.arg = v.do, strings.Join(m[1:], "")
			s.steps = append(s.steps, st)
			return nil
		}
	}
	return fmt.Errorf("no verb for %q; README.md lists them", sentence[2])
}

// cutColon cuts at a colon that ends a word, unlike those of a namespace or a time.
func cutColon(line string) (head, block string, found bool) {
	if head, found = strings.CutSuffix(line, ":"); found && !strings.Contains(head, ": ") {
		return head, "", true
	}
	return strings.Cut(line, ": ")
}

// cite takes "RFC 6121 §4.2, §4.4, XEP-0198" for what it names: three sections, of which the second is of RFC 6121, too.
func (s *Script) cite(line string) {
	document := ""
	for _, m := range sectionPattern.FindAllStringSubmatch(line, -1) {
		if m[1] != "" {
			document = m[1]
		}
		if document == "" || m[1] == "" && m[2] == "" {
			continue
		}
		section := document
		if m[2] != "" {
			section += " §" + m[2]
		}
		s.Sections = append(s.Sections, section)
	}
}

// declare takes "Romeo: account romeo, resource orchard, sm".
func (s *Script) declare(name, text string) error {
	switch name {
	case "Server":
		s.Variant = text
		return nil
	case "Transport":
		s.transports = strings.Split(text, ", ")
		return nil
	}
	d := declaration{name: name, stage: bound}
	stages := map[string]stage{"raw": raw, "not logged in": notLoggedIn, "not bound": notBound}
	for _, option := range strings.Split(text, ", ") {
		word, value, _ := strings.Cut(option, " ")
		if at, ok := stages[option]; ok {
			d.stage = at
		} else if word == "account" {
			d.account = value
		} else if word == "features" {
			d.capabilities = strings.Fields(value)
		} else if word == "resource" {
			d.resource = value
		} else if option == "sm" {
			d.resumable = true
		} else if option == "not registered" {
			d.unregistered = true
		} else if option == "second domain" {
			d.second, s.Second = true, true
		} else {
			return fmt.Errorf("client %s: unknown option %q", name, option)
		}
	}
	if d.second {
		d.account += "2" // beside the account of that name in the first domain
	}
	s.clients = append(s.clients, d)
	return nil
}
