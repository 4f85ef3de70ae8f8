// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"fmt"
	"strings"
)

const intro = `# Configuration

<!-- Written by internal/gen/configdoc from the comments in package config and in the modules; run make generate. -->

` + "`stonechat serve -c stonechat.yaml`" + ` reads one YAML file. Every key has a default: an empty file, or none,
is a server for the domain localhost with the embedded store in ./data and a self-signed certificate.

A running server reads the file again at SIGHUP. Keys marked *Live* then take effect; it names the others that have
changed in its log, and they do with the next start. If anything in the file is wrong, nothing changes.

A key that does not exist, a bad value, and a part that is not built yet, are errors that name file, line and
key; the server does not start. Lengths of time name their unit: 100ms, 30s, 10m, 2h, 7d. Sizes are bytes, or
256KiB, 1MiB. ` + "`none`" + ` turns a limit off; that is for test beds. Anchors, aliases and tags of YAML are not read.
`

// manual writes the page: a table for each section, then a whole file.
func manual(sections []section) []byte {
	var b bytes.Buffer
	b.WriteString(intro)
	for _, s := range sections {
		if len(s.keys) == 0 {
			continue
		}
		title := s.path
		if title == "" {
			title = "First level"
		}
		fmt.Fprintf(&b, "\n## %s\n", title)
		if s.path != "" && s.text != "" {
			_, text, _ := strings.Cut(s.text, " ") // the type's name
			if !strings.HasPrefix(text, "is the key ") {
				fmt.Fprintf(&b, "\n`%s` %s\n", s.path, text)
			}
		}
		b.WriteString("\n| key | kind | default | |\n|---|---|---|---|\n")
		for _, k := range s.keys {
			fmt.Fprintf(&b, "| `%s` | %s | `%s` | %s |\n", k.name, kindText(k), k.initial, cell(k))
		}
	}
	b.WriteString("\n## Every key with its default\n\n```yaml config\n")
	tree(&b, sections)
	b.WriteString("```\n")
	return b.Bytes()
}

func kindText(k key) string {
	if k.choices != "" {
		return strings.Join(strings.Fields(k.choices), ", ")
	}
	return k.kind
}

func cell(k key) string {
	text := strings.ReplaceAll(k.text, "|", `\|`)
	if k.unbuilt != "" {
		text = "*Not built yet.* " + text
	}
	if k.live {
		text += " *Live.*"
	}
	if k.later != "" {
		text += " *Not built yet: " + strings.Join(strings.Fields(k.later), ", ") + ".*"
	}
	return text
}

// tree writes the sections as one YAML file.
func tree(b *bytes.Buffer, sections []section) {
	written := map[string]bool{}
	for _, s := range sections {
		if len(s.keys) == 0 {
			continue
		}
		indent := open(b, s.path, written)
		for _, k := range s.keys {
			if s.path == "" && k.name == "modules" {
				continue // its keys are sections of their own
			}
			fmt.Fprintf(b, "%s%s: %s\n", indent, k.name, k.initial)
		}
	}
}

// open writes the keys that lead to a section, once each, and returns the
// indentation of what is in it.
func open(b *bytes.Buffer, path string, written map[string]bool) string {
	if path == "" {
		return ""
	}
	indent, whole := "", ""
	for part := range strings.SplitSeq(path, ".") {
		whole += "." + part
		if !written[whole] {
			fmt.Fprintf(b, "%s%s:\n", indent, part)
			written[whole] = true
		}
		indent += "  "
	}
	return indent
}
