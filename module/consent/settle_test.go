// SPDX-License-Identifier: Apache-2.0

package consent

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stonechat-im/stonechat/store"
)

// TestSettle: what becomes of the rules that there are when another is made.
func TestSettle(t *testing.T) {
	for _, test := range []struct {
		rules, made string // as parseRule reads them
		want        string // what rules there are then
		shadow      int64
	}{
		{"", "+read all", "+read", 0},
		{"+read all t", "+read all h", "+read t,h", 0},
		{"+read all t", "+read all", "+read", 0},
		{"+read all", "-read all", "-read", 0},
		{"-read all", "+read all", "+read", 0},
		{"-read all t", "+read all", "+read -read t", 0},
		{"-read all t,h", "+read all t", "+read t -read h", 0},
		{"-read all", "+read all t", "+read t -read", 1},
		{"-read domain x", "+read all", "+read -read", 0},
		// To use it is to read and to control it.
		{"-read all", "+use all", "+use", 0},
		{"-control all t", "+use all", "+use -control t", 0},
		{"-control all t,h", "+use all t", "+use t -control h", 0},
		{"-control all", "+use all t", "+use t -control", 1},
		{"+read all;+control all", "-use all", "-use", 0},
		{"+read all", "+use all", "+read +use", 0},
		{"+use all", "-read all", "+use -read", 0},
		{"-use all", "+read all", "+read -use", 1},
		{"-use all t", "+read all t,h", "+read t,h -use t", 1},
		{"-use all t", "+read all h", "+read h -use t", 0},
		{"-use all", "+friend all", "+friend -use", 0},
	} {
		t.Run(test.rules+" "+test.made, func(t *testing.T) {
			var rules []store.Rule
			for text := range strings.SplitSeq(test.rules, ";") {
				if text != "" {
					r := parseRule(t, text)
					r.Number = int64(len(rules) + 1)
					rules = append(rules, r)
				}
			}
			made := parseRule(t, test.made)
			ops, shadow := settle(&made, rules, 0)
			var got []string
			for _, r := range after(rules, ops) {
				sign := "-"
				if r.Allow {
					sign = "+"
				}
				got = append(got, strings.TrimSpace(fmt.Sprintf("%s%s %s", sign, r.Right, strings.Join(r.Names, ","))))
			}
			slices.Sort(got)
			if joined := strings.Join(got, " "); joined != test.want || shadow != test.shadow {
				t.Errorf("%q, shadow %d, want %q, %d", joined, shadow, test.want, test.shadow)
			}
		})
	}
}
