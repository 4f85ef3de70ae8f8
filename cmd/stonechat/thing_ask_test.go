// SPDX-License-Identifier: Apache-2.0

package main

import (
	"testing"

	"github.com/stonechat-im/stonechat/xmpp/control"
)

// Of a parameter of which the thing does not say what it is, the value tells it.
func TestLooksLike(t *testing.T) {
	for value, want := range map[string]control.Type{
		"on": control.TypeBoolean, "off": control.TypeBoolean, "true": control.TypeBoolean, "1": control.TypeInt, "-7": control.TypeInt,
		"5000000000": control.TypeLong, "0.5": control.TypeDouble, "1e3": control.TypeDouble, "red": control.TypeString, "": control.TypeString,
		"2026-11-27": control.TypeString, "1 2": control.TypeString,
	} {
		if got := looksLike(value); got != want {
			t.Errorf("%q looks like a %s, want %s", value, got, want)
		}
	}
}
