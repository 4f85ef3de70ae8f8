// SPDX-License-Identifier: Apache-2.0

// Command configdoc writes docs/configuration.md, the manual of stonechat.yaml,
// from the fields of config.Config and of each module's Config: a field's
// comment is the text, its tags are the key and the default.
//
//	go run ./internal/gen/configdoc -o docs/configuration.md [-check]
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"github.com/stonechat-im/stonechat/internal/gen"
)

func main() {
	out := flag.String("o", "docs/configuration.md", "the file to write; it stands two folders below the root's name")
	check := flag.Bool("check", false, "write nothing; fail if the file is stale")
	flag.Parse()
	if err := run(*out, *check); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(out string, check bool) error {
	root, err := filepath.Abs(filepath.Join(filepath.Dir(out), ".."))
	if err != nil {
		return err
	}
	sections, err := read(root)
	if err != nil {
		return err
	}
	return gen.Write(out, manual(sections), check)
}
