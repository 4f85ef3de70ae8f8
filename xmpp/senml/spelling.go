// SPDX-License-Identifier: Apache-2.0

package senml

// Spelling is a unit as people write it, and other vocabularies do: °C for Cel. A unit that is in no registry, and most that are,
// are spelled as they are.
func Spelling(symbol string) string {
	for _, s := range spellings {
		if s.symbol == symbol && !s.read {
			return s.people
		}
	}
	return symbol
}

// SymbolOf is the unit that somebody has spelled: what Spelling writes, and what else is usual. What nobody knows is a unit of
// its own.
func SymbolOf(spelling string) string {
	for _, s := range spellings {
		if s.people == spelling {
			return s.symbol
		}
	}
	return spelling
}

// spellings are units whose symbols people do not use. SenML's % is a ratio and spelled like one; theirs is a hundredth.
var spellings = [...]struct {
	symbol, people string
	read           bool // and not written
}{
	{"Cel", "°C", false},
	{"Cel", "℃", true},
	{"Cel", "degC", true},
	{"K", "K", false},
	{"Ohm", "Ω", false},
	{"Ohm", "\u2126", true},
	{"m2", "m²", false},
	{"m3", "m³", false},
	{"m/s2", "m/s²", false},
	{"m3/s", "m³/s", false},
	{"W/m2", "W/m²", false},
	{"cd/m2", "cd/m²", false},
	{"kg/m3", "kg/m³", false},
	{"ug/m3", "µg/m³", false},
	{"ug/m3", "μg/m³", true}, // the Greek letter
	{"m2", "m^2", true},
	{"m3", "m^3", true},
	{"m/s2", "m/s^2", true},
	{"/100", "%", false},
	{"/", "/", false},
	{"%", "/", false},
	{"/1000", "‰", false},
	{"%RH", "%RH", false},
	{"%RH", "% RH", true},
	{"%RH", "%rH", true},
	{"deg", "°", false},
}
