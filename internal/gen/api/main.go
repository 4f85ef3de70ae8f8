// SPDX-License-Identifier: Apache-2.0

// Command api writes the folder api: what the public packages export, one declaration a line, so
// that a change of it is seen in review and told to the authors of programs.
//
//	go run ./internal/gen/api -o api [-check]
//
// With -check it names the lines that went and those that came.
package main

//go:generate go run ../../../internal/gen/api -o ../../../api

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/stonechat-im/stonechat/internal/gen"
)

const module = "github.com/stonechat-im/stonechat"

// public are the folders of packages that programs import; each is a file.
func public() []string { return []string{"xmpp", "client", "thing", "component"} }

func main() {
	out := flag.String("o", "api", "the folder to write to, in the module's root")
	check := flag.Bool("check", false, "write nothing; fail if a file is stale")
	flag.Parse()
	if err := run(*out, *check); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(out string, check bool) error {
	var failed []error
	for _, folder := range public() {
		lines, err := exported(filepath.Dir(out), folder)
		if err != nil {
			return err
		}
		if len(lines) == 0 {
			continue // not there yet
		}
		name, data := filepath.Join(out, folder+".txt"), []byte(strings.Join(lines, "\n")+"\n")
		err = gen.Write(name, data, check)
		if errors.Is(err, gen.ErrStale) {
			had, _ := os.ReadFile(name) // what is not there has no lines
			err = fmt.Errorf("%w\n%s", err, difference(had, data))
		}
		failed = append(failed, err)
	}
	return errors.Join(failed...)
}

// difference is the lines that went and those that came.
func difference(before, now []byte) string {
	had, has := lines(before), lines(now)
	var b strings.Builder
	for _, l := range had {
		if !slices.Contains(has, l) {
			b.WriteString("- " + l + "\n")
		}
	}
	for _, l := range has {
		if !slices.Contains(had, l) {
			b.WriteString("+ " + l + "\n")
		}
	}
	if strings.Contains(b.String(), "- ") {
		b.WriteString("What programs use has changed or gone: CHANGELOG.md says so under Changed or Removed, and what to do.\n")
	}
	return b.String()
}

func lines(data []byte) []string {
	var list []string
	for l := range bytes.Lines(data) {
		list = append(list, strings.TrimRight(string(l), "\r\n"))
	}
	return list
}
