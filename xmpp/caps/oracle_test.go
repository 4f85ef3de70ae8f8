// SPDX-License-Identifier: Apache-2.0

package caps_test

import (
	"sort"

	"github.com/stonechat-im/stonechat/xmpp/disco"
	"github.com/stonechat-im/stonechat/xmpp/form"
)

// verString is XEP-0115 §5.1 step by step, slow and plain, for information that is
// well-formed. parts counts its separators.
func verString(info *disco.Info) string {
	s := ""
	var identities []string
	for _, i := range info.Identities {
		// '\x00' sorts before all that may follow it in the same place.
		identities = append(identities, i.Category+"\x00"+i.Type+"\x00"+i.Lang+"\x00"+i.Name)
	}
	sort.Strings(identities)
	for _, i := range identities {
		for _, c := range []byte(i) {
			if c == 0 {
				c = '/'
			}
			s += string([]byte{c})
		}
		s += "<"
	}
	for _, f := range sorted(info.Features) {
		s += f + "<"
	}
	byType := map[string]*form.Form{}
	var types []string
	for _, f := range info.Forms {
		if name, ok := hiddenType(f); ok {
			byType[name] = f
			types = append(types, name)
		}
	}
	for _, name := range sorted(types) {
		s += name + "<"
		var fields []form.Field
		for _, f := range byType[name].Fields {
			if f.Var != "FORM_TYPE" {
				fields = append(fields, f)
			}
		}
		sort.SliceStable(fields, func(i, j int) bool { return fields[i].Var < fields[j].Var })
		for _, f := range fields {
			s += f.Var + "<"
			for _, v := range sorted(f.Values) {
				s += v + "<"
			}
		}
	}
	return s
}

func parts(info *disco.Info) int {
	n := len(info.Identities) + len(info.Features)
	for _, f := range info.Forms {
		if _, ok := hiddenType(f); !ok {
			continue
		}
		n++
		for _, field := range f.Fields {
			if field.Var != "FORM_TYPE" {
				n += 1 + len(field.Values)
			}
		}
	}
	return n
}

// hiddenType looks at the first field of that name, as the package does: XEP-0004
// §3.2 knows no second one.
func hiddenType(f *form.Form) (string, bool) {
	for _, field := range f.Fields {
		if field.Var == "FORM_TYPE" {
			if field.Type != "hidden" || len(field.Values) == 0 {
				return "", false
			}
			return field.Values[0], true
		}
	}
	return "", false
}

func sorted(in []string) []string {
	out := append([]string(nil), in...)
	sort.Strings(out)
	return out
}
