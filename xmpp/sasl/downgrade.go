// SPDX-License-Identifier: Apache-2.0

package sasl

import (
	"encoding/base64"
	"slices"
	"strings"
)

// downgradeHash is the value of the attribute h of a server-first-message: a
// hash over what the server offered, so that the proofs of both sides cover
// the offer. bindings nil means that XEP-0440 was not used. Neither list is
// changed.
//
// XEP-0474 §5.1 (0.5.0). The delimiters can't occur in XML, hence in no name.
func (f family) downgradeHash(mechanisms, bindings []string) string {
	var s strings.Builder
	join := func(list []string) {
		list = slices.Clone(list)
		slices.Sort(list) // bytewise: i;octet
		for i, name := range list {
			if i > 0 {
				s.WriteByte(0x1E)
			}
			s.WriteString(name)
		}
	}
	join(mechanisms)
	if bindings != nil {
		s.WriteByte(0x1F)
		join(bindings)
	}
	return base64.StdEncoding.EncodeToString(f.sum([]byte(s.String())))
}
