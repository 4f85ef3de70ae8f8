// SPDX-License-Identifier: Apache-2.0

package senml

// How to read this file: numbers are made (ParseNumber and normal), asked, and added by their digits;
// fractions serve where speed does not matter.

import (
	"errors"
	"math"
	"math/big"
	"strconv"
	"strings"
)

var errNumber = errors.New("senml: not a decimal number, or out of range")

const (
	// maxExponent bounds what arithmetic costs.
	maxExponent = 400
	// doubleDigits is how many digits the largest double has before the point.
	doubleDigits = 309
)

// Number is a decimal number with the digits that were written: 21.50 stays 21.50, and a counter of
// twenty digits loses none. The zero Number is none. Numbers can be compared, by digits; Compare
// compares what they are worth.
type Number struct {
	text string // a number of JSON, e in lower case, without what says nothing (+, leading zeros)
}

// Int makes a Number of an integer.
func Int(n int64) Number { return Number{strconv.FormatInt(n, 10)} }

// Float makes a Number with as few digits as tell f from its neighbours. There is none of NaN and the
// infinities.
func Float(f float64) (Number, error) {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return Number{}, errNumber
	}
	format := byte('f')
	if abs := math.Abs(f); abs != 0 && (abs < 1e-6 || abs >= 1e21) {
		format = 'e'
	}
	return ParseNumber(strconv.FormatFloat(f, format, -1, 64))
}

// ParseNumber reads a number as JSON and XML Schema write decimals and doubles, of at most MaxNumber
// bytes. What no double can be near to is refused.
func ParseNumber(s string) (Number, error) {
	if len(s) > MaxNumber {
		return Number{}, errNumber
	}
	rest, negative := strings.CutPrefix(s, "-")
	if !negative {
		rest, _ = strings.CutPrefix(s, "+")
	}
	whole, rest := cutDigits(rest)
	var fraction string
	if after, ok := strings.CutPrefix(rest, "."); ok {
		fraction, rest = cutDigits(after)
	}
	if whole == "" && fraction == "" {
		return Number{}, errNumber
	}
	exponent := 0
	if rest != "" {
		if rest[0] != 'e' && rest[0] != 'E' {
			return Number{}, errNumber
		}
		var err error
		if exponent, err = strconv.Atoi(rest[1:]); err != nil || exponent > maxExponent || exponent < -maxExponent {
			return Number{}, errNumber
		}
	}
	return normal(negative, whole, fraction, exponent)
}

func cutDigits(s string) (digits, rest string) {
	n := 0
	for n < len(s) && s[n] >= '0' && s[n] <= '9' {
		n++
	}
	return s[:n], s[n:]
}

// normal puts together the parts of a number.
func normal(negative bool, whole, fraction string, exponent int) (Number, error) {
	var b strings.Builder
	if negative {
		b.WriteByte('-')
	}
	if whole = strings.TrimLeft(whole, "0"); whole == "" {
		whole = "0"
	}
	b.WriteString(whole)
	if fraction != "" {
		b.WriteString("." + fraction)
	}
	if exponent != 0 {
		b.WriteString("e" + strconv.Itoa(exponent))
	}
	n := Number{b.String()}
	if len(n.text) > MaxNumber {
		return Number{}, errNumber
	}
	if n.wholeDigits() >= doubleDigits {
		if _, err := strconv.ParseFloat(n.text, 64); err != nil {
			return Number{}, errNumber
		}
	}
	return n, nil
}

// IsZero reports whether there is no number. The number 0 is one.
func (n Number) IsZero() bool { return n.text == "" }

// String is the number as JSON writes it, "" if there is none.
func (n Number) String() string { return n.text }

// Float64 is the double next to the number; 0 if there is none.
func (n Number) Float64() float64 {
	f, _ := strconv.ParseFloat(n.text, 64) // in range since it was made; "" is 0
	return f
}

// Int64 is the number if it is an integer that fits.
func (n Number) Int64() (int64, bool) {
	if r := n.rat(); !n.IsZero() && r.IsInt() && r.Num().IsInt64() {
		return r.Num().Int64(), true
	}
	return 0, false
}

// Compare is -1, 0 or 1 as n is worth less than m, as much, or more. None is worth 0.
func (n Number) Compare(m Number) int { return n.rat().Cmp(m.rat()) }

// Decimals is how many digits follow the point when the number is written without an exponent.
func (n Number) Decimals() int {
	_, _, exponent := n.parts()
	return max(0, -exponent)
}

// Add is the sum, exact and with as many decimals as the finer of both; where that would be longer
// than MaxNumber, as a double. None is 0; a sum beyond all doubles is an error.
func (n Number) Add(m Number) (Number, error) {
	switch {
	case n.IsZero():
		return m, nil
	case m.IsZero():
		return n, nil
	}
	decimals := max(n.Decimals(), m.Decimals())
	if max(n.wholeDigits(), m.wholeDigits())+decimals <= MaxNumber { // else it is not worth trying
		sum := n.scaled(decimals)
		if text := point(sum.Add(sum, m.scaled(decimals)), decimals); len(text) <= MaxNumber {
			return ParseNumber(text)
		}
	}
	return Float(n.Float64() + m.Float64())
}

// parts takes the number apart: it is worth digits times ten to the exponent. Zeros may lead digits.
func (n Number) parts() (negative bool, digits string, exponent int) {
	rest, negative := strings.CutPrefix(n.text, "-")
	mantissa, e, _ := strings.Cut(rest, "e")
	whole, fraction, _ := strings.Cut(mantissa, ".")
	exponent, _ = strconv.Atoi(e) // "" is 0
	return negative, whole + fraction, exponent - len(fraction)
}

// wholeDigits is how many digits stand before the point when the number is written without an exponent.
func (n Number) wholeDigits() int {
	_, digits, exponent := n.parts()
	if digits = strings.TrimLeft(digits, "0"); digits == "" {
		return 1
	}
	return max(1, len(digits)+exponent)
}

// scaled is the number times ten to the decimals, which are no fewer than its own.
func (n Number) scaled(decimals int) *big.Int {
	negative, digits, exponent := n.parts()
	if strings.Trim(digits, "0") == "" {
		return new(big.Int)
	}
	i, _ := new(big.Int).SetString(digits+strings.Repeat("0", decimals+exponent), 10) // digits they are
	if negative {
		i.Neg(i)
	}
	return i
}

// point writes an integer that was scaled.
func point(i *big.Int, decimals int) string {
	text, negative := strings.CutPrefix(i.String(), "-")
	if missing := decimals + 1 - len(text); missing > 0 {
		text = strings.Repeat("0", missing) + text
	}
	if decimals > 0 {
		text = text[:len(text)-decimals] + "." + text[len(text)-decimals:]
	}
	if negative {
		return "-" + text
	}
	return text
}

// rat is the number as a fraction; maxExponent bounds how large that is.
func (n Number) rat() *big.Rat {
	r := new(big.Rat)
	if !n.IsZero() {
		r.SetString(n.text) // it is a number since it was made
	}
	return r
}

// fromRat makes a number with as many decimals as it takes to be exact.
func fromRat(r *big.Rat) (Number, error) {
	if needed, exact := r.FloatPrec(); exact {
		if text := r.FloatString(needed); len(text) <= MaxNumber {
			return ParseNumber(text)
		}
	}
	f, _ := r.Float64()
	return Float(f)
}
