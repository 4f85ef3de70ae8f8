// SPDX-License-Identifier: Apache-2.0

package main

// How to read this file: words walks the commands; bash, zsh and fish each write them as their
// shell wants, with descriptions where it shows such. Where no flag is asked for, files are offered.

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/alecthomas/kong"
)

// Completion prints what makes a shell complete the commands.
type Completion struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"bash, zsh or fish."`
}

// Help says what a person asks next.
func (Completion) Help() string {
	return `For this shell alone, and then for all:

  source <(stonechat completion bash)
  stonechat completion bash > /usr/share/bash-completion/completions/stonechat
  stonechat completion zsh  > /usr/local/share/zsh/site-functions/_stonechat
  stonechat completion fish > ~/.config/fish/completions/stonechat.fish`
}

// Run implements the command.
func (c Completion) Run(k *kong.Context) error {
	write := map[string]func(io.Writer, []*kong.Node) error{"bash": bash, "zsh": zsh, "fish": fish}[c.Shell]
	return write(os.Stdout, words(k.Model.Node, nil))
}

// words lists a command and all below it, those that are hidden excepted.
func words(n *kong.Node, list []*kong.Node) []*kong.Node {
	list = append(list, n)
	for _, child := range n.Children {
		if child.Type == kong.CommandNode && !child.Hidden {
			list = words(child, list)
		}
	}
	return list
}

// at is the way to a command, "user add"; "" for the program itself.
func at(n *kong.Node) string {
	if n.Parent == nil {
		return ""
	}
	return strings.TrimSpace(at(n.Parent) + " " + n.Name)
}

// below are the commands under one.
func below(n *kong.Node) (list []*kong.Node) {
	for _, child := range n.Children {
		if child.Type == kong.CommandNode && !child.Hidden {
			list = append(list, child)
		}
	}
	return list
}

// flagsOf are a command's own flags.
func flagsOf(n *kong.Node) (list []*kong.Flag) {
	for _, f := range n.Flags {
		if !f.Hidden {
			list = append(list, f)
		}
	}
	return list
}

// takesFile reports whether a flag's value is the name of a file.
func takesFile(f *kong.Flag) bool { return f.PlaceHolder == "FILE" || f.PlaceHolder == "FOLDER" }

// quote makes one word of a text for a shell.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// script collects lines, and the first error of writing them.
type script struct {
	w   io.Writer
	err error
}

func (s *script) line(format string, args ...any) {
	if s.err == nil {
		_, s.err = fmt.Fprintf(s.w, format+"\n", args...)
	}
}

// walk writes the lines with which bash and zsh find the command that stands before the cursor,
// among the words of that expression.
func (s *script) walk(nodes []*kong.Node, expression string) {
	s.line(`    local at="" w`)
	s.line(`    for w in %s; do`, expression)
	s.line(`        case "$at $w" in`)
	for _, n := range nodes[1:] {
		s.line(`        %s) at=%s ;;`, quote(strings.TrimSuffix(at(n), n.Name)+pad(n)+n.Name), quote(at(n)))
	}
	s.line(`        esac`)
	s.line(`    done`)
}

// pad is the space that "$at $w" has where at is empty.
func pad(n *kong.Node) string {
	if n.Parent.Parent == nil {
		return " "
	}
	return ""
}

func bash(w io.Writer, nodes []*kong.Node) error {
	s := &script{w: w}
	s.line("# bash completion of stonechat")
	s.line("_stonechat() {")
	s.walk(nodes, `"${COMP_WORDS[@]:1:COMP_CWORD-1}"`)
	s.line(`    local cur="${COMP_WORDS[COMP_CWORD]}" commands="" flags=""`)
	s.line(`    case "$at" in`)
	for _, n := range nodes {
		var commands, flags []string
		for _, child := range below(n) {
			commands = append(commands, child.Name)
		}
		for _, f := range flagsOf(n) {
			flags = append(flags, "--"+f.Name)
		}
		s.line(`    %s) commands=%s flags=%s ;;`, quote(at(n)), quote(strings.Join(commands, " ")), quote(strings.Join(flags, " ")))
	}
	s.line(`    esac`)
	s.line(`    local IFS=$'\n'`)
	s.line(`    case "$cur" in`)
	s.line(`    -*) COMPREPLY=($(IFS=' ' compgen -W "$flags" -- "$cur")) ;;`)
	s.line(`    *) if [ -n "$commands" ]; then`)
	s.line(`           COMPREPLY=($(IFS=' ' compgen -W "$commands" -- "$cur"))`)
	s.line(`       else`)
	s.line(`           COMPREPLY=($(compgen -f -- "$cur"))`)
	s.line(`       fi ;;`)
	s.line(`    esac`)
	s.line("}")
	s.line("complete -o filenames -F _stonechat stonechat")
	return s.err
}

func zsh(w io.Writer, nodes []*kong.Node) error {
	s := &script{w: w}
	s.line("#compdef stonechat")
	s.line("_stonechat() {")
	s.walk(nodes, `"${(@)words[2,CURRENT-1]}"`)
	s.line(`    local -a commands flags`)
	s.line(`    case "$at" in`)
	for _, n := range nodes {
		s.line(`    %s)`, quote(at(n)))
		for _, child := range below(n) {
			s.line(`        commands+=(%s)`, quote(child.Name+":"+child.Help))
		}
		for _, f := range flagsOf(n) {
			s.line(`        flags+=(%s)`, quote("--"+f.Name+":"+strings.ReplaceAll(f.Help, ":", `\:`)))
		}
		s.line(`        ;;`)
	}
	s.line(`    esac`)
	s.line(`    if [[ "$words[CURRENT]" == -* ]]; then`)
	s.line(`        _describe -o flag flags`)
	s.line(`    elif (( $#commands )); then`)
	s.line(`        _describe command commands`)
	s.line(`    else`)
	s.line(`        _files`)
	s.line(`    fi`)
	s.line("}")
	s.line(`if [ "$funcstack[1]" = "_stonechat" ]; then _stonechat "$@"; else compdef _stonechat stonechat; fi`)
	return s.err
}

func fish(w io.Writer, nodes []*kong.Node) error {
	s := &script{w: w}
	s.line("# fish completion of stonechat")
	s.line("complete -c stonechat -f")
	for _, n := range nodes {
		for _, child := range below(n) {
			s.line("complete -c stonechat -n %s -a %s -d %s", quote(here(n)), child.Name, quote(child.Help))
		}
		if len(below(n)) == 0 && len(n.Positional) > 0 {
			s.line("complete -c stonechat -n %s -F", quote(here(n)))
		}
		for _, f := range flagsOf(n) {
			line := fmt.Sprintf("complete -c stonechat -n %s -l %s", quote(here(n)), f.Name)
			if f.Short != 0 {
				line += " -s " + string(f.Short)
			}
			switch {
			case takesFile(f):
				line += " -r -F"
			case !f.IsBool():
				line += " -x"
			}
			s.line("%s -d %s", line, quote(f.Help))
		}
	}
	return s.err
}

// here is the condition under which the words of a command are offered.
func here(n *kong.Node) string {
	if n.Parent == nil {
		return "__fish_use_subcommand"
	}
	var conditions []string
	for p := n; p.Parent != nil; p = p.Parent {
		conditions = append(conditions, "__fish_seen_subcommand_from "+p.Name)
	}
	if next := below(n); len(next) > 0 {
		names := make([]string, len(next))
		for i := range next {
			names[i] = next[i].Name
		}
		conditions = append(conditions, "not __fish_seen_subcommand_from "+strings.Join(names, " "))
	}
	return strings.Join(conditions, "; and ")
}
