// SPDX-License-Identifier: Apache-2.0

package senml

import (
	"fmt"
	"math/big"
)

// Unit is an entry of the registries of units, which records need not keep to.
type Unit struct {
	Symbol string // as records have it
	Name   string // for people
	// Primary is the unit that a secondary one is a multiple of; the unit itself if it is primary.
	Primary string
	// Discouraged says that things should not tell it, though many do: another unit says the same.
	Discouraged bool

	num, den, offset int64 // n units are n*num/den + offset of the primary one
}

// LookupUnit finds a unit of the registries: those of RFC 8428 §12.1 and of RFC 8798, which has
// secondary ones too.
func LookupUnit(symbol string) (Unit, bool) {
	u, ok := units[symbol]
	if !ok {
		return Unit{}, false
	}
	u.Symbol = symbol
	if u.Primary == "" {
		u.Primary, u.num, u.den = symbol, 1, 1
	}
	return u, true
}

// IsSecondary reports whether the unit is a multiple of another.
func (u Unit) IsSecondary() bool { return u.Primary != u.Symbol }

// Convert says in one unit what was measured in another of the same primary one: exactly if decimals
// can, as the next double if not. A unit that is in no registry is that unit alone.
func Convert(n Number, from, to string) (Number, error) {
	if from == to || n.IsZero() {
		return n, nil
	}
	a, known := LookupUnit(from)
	b, knownToo := LookupUnit(to)
	if !known || !knownToo || a.Primary != b.Primary {
		return Number{}, fmt.Errorf("senml: %q cannot be said in %q", from, to)
	}
	r := n.rat()
	r.Mul(r, big.NewRat(a.num, a.den))
	r.Add(r, big.NewRat(a.offset-b.offset, 1))
	r.Mul(r, big.NewRat(b.den, b.num))
	return fromRat(r)
}

// units is by symbol; those with a Primary are secondary.
var units = map[string]Unit{
	"m":        {Name: "metre"},
	"kg":       {Name: "kilogram"},
	"g":        {Name: "gram", Discouraged: true},
	"s":        {Name: "second"},
	"A":        {Name: "ampere"},
	"K":        {Name: "kelvin"},
	"cd":       {Name: "candela"},
	"mol":      {Name: "mole"},
	"Hz":       {Name: "hertz"},
	"rad":      {Name: "radian"},
	"sr":       {Name: "steradian"},
	"N":        {Name: "newton"},
	"Pa":       {Name: "pascal"},
	"J":        {Name: "joule"},
	"W":        {Name: "watt"},
	"C":        {Name: "coulomb"},
	"V":        {Name: "volt"},
	"F":        {Name: "farad"},
	"Ohm":      {Name: "ohm"},
	"S":        {Name: "siemens"},
	"Wb":       {Name: "weber"},
	"T":        {Name: "tesla"},
	"H":        {Name: "henry"},
	"Cel":      {Name: "degree Celsius"},
	"lm":       {Name: "lumen"},
	"lx":       {Name: "lux"},
	"Bq":       {Name: "becquerel"},
	"Gy":       {Name: "gray"},
	"Sv":       {Name: "sievert"},
	"kat":      {Name: "katal"},
	"m2":       {Name: "square metre"},
	"m3":       {Name: "cubic metre"},
	"l":        {Name: "litre", Discouraged: true},
	"m/s":      {Name: "metre per second"},
	"m/s2":     {Name: "metre per square second"},
	"m3/s":     {Name: "cubic metre per second"},
	"l/s":      {Name: "litre per second", Discouraged: true},
	"W/m2":     {Name: "watt per square metre"},
	"cd/m2":    {Name: "candela per square metre"},
	"bit":      {Name: "bit"},
	"bit/s":    {Name: "bit per second"},
	"lat":      {Name: "degree of latitude"},
	"lon":      {Name: "degree of longitude"},
	"pH":       {Name: "acidity"},
	"dB":       {Name: "decibel"},
	"dBW":      {Name: "decibel above 1 W"},
	"Bspl":     {Name: "bel of sound pressure", Discouraged: true},
	"count":    {Name: "count"},
	"/":        {Name: "ratio"},
	"%":        {Name: "ratio, despite its sign", Discouraged: true},
	"%RH":      {Name: "per cent of relative humidity"},
	"%EL":      {Name: "per cent of energy left"},
	"EL":       {Name: "seconds of energy left"},
	"1/s":      {Name: "events per second"},
	"1/min":    {Name: "events per minute", Discouraged: true},
	"beat/min": {Name: "heart beats per minute", Discouraged: true},
	"beats":    {Name: "heart beats", Discouraged: true},
	"S/m":      {Name: "siemens per metre"},
	"B":        {Name: "byte"},
	"VA":       {Name: "volt-ampere"},
	"VAs":      {Name: "volt-ampere second"},
	"var":      {Name: "volt-ampere reactive"},
	"vars":     {Name: "volt-ampere reactive second"},
	"J/m":      {Name: "joule per metre"},
	"kg/m3":    {Name: "kilogram per cubic metre"},
	"deg":      {Name: "degree of angle", Discouraged: true},

	"ms":     {Name: "millisecond", Primary: "s", num: 1, den: 1000},
	"min":    {Name: "minute", Primary: "s", num: 60, den: 1},
	"h":      {Name: "hour", Primary: "s", num: 3600, den: 1},
	"MHz":    {Name: "megahertz", Primary: "Hz", num: 1000000, den: 1},
	"kW":     {Name: "kilowatt", Primary: "W", num: 1000, den: 1},
	"kVA":    {Name: "kilovolt-ampere", Primary: "VA", num: 1000, den: 1},
	"kvar":   {Name: "kilovar", Primary: "var", num: 1000, den: 1},
	"Ah":     {Name: "ampere-hour", Primary: "C", num: 3600, den: 1},
	"Wh":     {Name: "watt-hour", Primary: "J", num: 3600, den: 1},
	"kWh":    {Name: "kilowatt-hour", Primary: "J", num: 3600000, den: 1},
	"varh":   {Name: "var-hour", Primary: "vars", num: 3600, den: 1},
	"kvarh":  {Name: "kilovar-hour", Primary: "vars", num: 3600000, den: 1},
	"kVAh":   {Name: "kilovolt-ampere-hour", Primary: "VAs", num: 3600000, den: 1},
	"Wh/km":  {Name: "watt-hour per kilometre", Primary: "J/m", num: 18, den: 5},
	"KiB":    {Name: "kibibyte", Primary: "B", num: 1024, den: 1},
	"GB":     {Name: "gigabyte", Primary: "B", num: 1000000000, den: 1},
	"Mbit/s": {Name: "megabit per second", Primary: "bit/s", num: 1000000, den: 1},
	"B/s":    {Name: "byte per second", Primary: "bit/s", num: 8, den: 1},
	"MB/s":   {Name: "megabyte per second", Primary: "bit/s", num: 8000000, den: 1},
	"mV":     {Name: "millivolt", Primary: "V", num: 1, den: 1000},
	"mA":     {Name: "milliampere", Primary: "A", num: 1, den: 1000},
	"dBm":    {Name: "decibel above 1 mW", Primary: "dBW", num: 1, den: 1, offset: -30},
	"ug/m3":  {Name: "microgram per cubic metre", Primary: "kg/m3", num: 1, den: 1000000000},
	"mm/h":   {Name: "millimetre per hour", Primary: "m/s", num: 1, den: 3600000},
	"m/h":    {Name: "metre per hour", Primary: "m/s", num: 1, den: 3600},
	"ppm":    {Name: "part per million", Primary: "/", num: 1, den: 1000000},
	"/100":   {Name: "per cent", Primary: "/", num: 1, den: 100},
	"/1000":  {Name: "per mille", Primary: "/", num: 1, den: 1000},
	"hPa":    {Name: "hectopascal", Primary: "Pa", num: 100, den: 1},
	"mm":     {Name: "millimetre", Primary: "m", num: 1, den: 1000},
	"cm":     {Name: "centimetre", Primary: "m", num: 1, den: 100},
	"km":     {Name: "kilometre", Primary: "m", num: 1000, den: 1},
	"km/h":   {Name: "kilometre per hour", Primary: "m/s", num: 5, den: 18},
}
