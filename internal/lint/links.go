// SPDX-License-Identifier: Apache-2.0

package lint

import (
	"bytes"
	"fmt"
	"path"
	"regexp"
	"strings"
)

var markdownLink = regexp.MustCompile(`\]\(([^)#:\s]+)(?:#[^)]*)?\)`)

// CheckLinks reports links of documents to files that are not there.
func CheckLinks(files []File) []Finding {
	exists := map[string]bool{}
	for _, f := range files {
		exists[f.Path] = true
		for dir := path.Dir(f.Path); dir != "."; dir = path.Dir(dir) {
			exists[dir] = true
		}
	}
	var findings []Finding
	for _, f := range files {
		if path.Ext(f.Path) != ".md" || f.isTestdata() {
			continue
		}
		n, fenced := 0, false
		for line := range bytes.Lines(f.Data) {
			n++
			if strings.HasPrefix(strings.TrimSpace(string(line)), "```") {
				fenced = !fenced
			}
			if fenced {
				continue
			}
			for _, m := range markdownLink.FindAllSubmatch(line, -1) {
				if target := path.Join(path.Dir(f.Path), string(m[1])); !exists[target] {
					findings = append(findings, Finding{fmt.Sprintf("%s:%d", f.Path, n), "links to " + target + ", which is not there", ""})
				}
			}
		}
	}
	return sorted(findings)
}
