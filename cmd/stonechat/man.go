// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// Man prints the manual page, which is made of what the commands say of themselves.
type Man struct{}

// Help says what a person asks next.
func (Man) Help() string {
	return `  stonechat man | man -l -
  stonechat man > /usr/local/share/man/man1/stonechat.1`
}

// Run implements the command.
func (Man) Run(k *kong.Context) error { return man(os.Stdout, k.Model.Node) }

func man(w io.Writer, root *kong.Node) error {
	s := &script{w: w}
	s.line(`.TH STONECHAT 1 "" %s "User commands"`, roff(fmt.Sprintf("%q", "stonechat "+buildVersion())))
	s.line(".SH NAME\nstonechat \\- %s", roff(strings.TrimSuffix(root.Help, ".")))
	s.line(".SH SYNOPSIS\n.B stonechat\n.I command\n[\\fIflags\\fR]")
	s.line(".SH DESCRIPTION")
	s.line("One program: an XMPP server for people and devices, its administration, and tools for those who use it.")
	s.line(".SH COMMANDS")
	for _, n := range words(root, nil)[1:] {
		if len(below(n)) == 0 {
			s.command(n)
		}
	}
	s.line(".SH ENVIRONMENT")
	for _, name := range environment(root) {
		s.line(".TP\n.B %s\n%s", name, roff(environmentText(root, name)))
	}
	s.line(".SH EXIT STATUS\n0, or 1 after an error, which is told on standard error.")
	return s.err
}

// command writes one command's part.
func (s *script) command(n *kong.Node) {
	s.line(".SS %s", roff(n.Summary()))
	s.line("%s", roff(n.Help))
	if n.Detail != "" {
		s.line(".PP\n.nf\n%s\n.fi", roff(n.Detail))
	}
	for _, p := range n.Positional {
		s.line(".TP\n.I %s\n%s", roff(p.Name), roff(p.Help))
	}
	for _, f := range flagsOf(n) {
		name := "--" + f.Name
		if f.Short != 0 {
			name = "-" + string(f.Short) + ", " + name
		}
		value := ""
		if !f.IsBool() {
			value = "=" + f.FormatPlaceHolder()
		}
		s.line(".TP\n\\fB%s\\fR%s\n%s", roff(name), roff(value), roff(f.Help))
	}
}

// environment lists the variables that flags are taken from, and the password's, sorted.
func environment(root *kong.Node) []string {
	names := []string{"STONECHAT_PASSWORD"}
	for _, n := range words(root, nil) {
		for _, f := range n.Flags {
			names = append(names, f.Envs...)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func environmentText(root *kong.Node, name string) string {
	for _, n := range words(root, nil) {
		for _, f := range n.Flags {
			if slices.Contains(f.Envs, name) {
				return "Instead of --" + f.Name + ". " + f.Help
			}
		}
	}
	return "The password of an account, where none is read from a file."
}

// roff protects a text from being read as instructions of the page.
func roff(text string) string {
	text = strings.NewReplacer(`\`, `\e`, `-`, `\-`).Replace(text)
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, ".") || strings.HasPrefix(line, "'") {
			lines[i] = `\&` + line
		}
	}
	return strings.Join(lines, "\n")
}
