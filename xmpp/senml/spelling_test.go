// SPDX-License-Identifier: Apache-2.0

package senml_test

import (
	"testing"

	"github.com/stonechat-im/stonechat/xmpp/senml"
)

func TestSpelling(t *testing.T) {
	for symbol, want := range map[string]string{"Cel": "°C", "/100": "%", "m3": "m³", "W": "W", "": "", "furlong": "furlong"} {
		if got := senml.Spelling(symbol); got != want || senml.SymbolOf(got) != symbol {
			t.Errorf("%q: %q and back %q", symbol, got, senml.SymbolOf(got))
		}
	}
	for spelling, want := range map[string]string{"℃": "Cel", "degC": "Cel", "\u2126": "Ohm", "m^2": "m2", "μg/m³": "ug/m3", "% RH": "%RH", "Cel": "Cel", "C": "C"} {
		if got := senml.SymbolOf(spelling); got != want {
			t.Errorf("%q: %q, want %q", spelling, got, want)
		}
	}
	// Two units are spelled alike only where they are the same.
	if s := senml.Spelling("%"); senml.SymbolOf(s) != "/" {
		t.Errorf("SenML's %% is spelled %q", s)
	}
}
