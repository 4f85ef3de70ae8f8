// SPDX-License-Identifier: Apache-2.0

// Package qr draws QR codes where people see them: in a terminal, on a page, in a picture. It is for things
// that show what their owner claims them by.
package qr

// How to read this file: Encode makes a Code; Lines, SVG and Image draw it.

import (
	"errors"
	"fmt"
	"image"
	"image/color"
	"strconv"
	"strings"

	"github.com/boombuler/barcode/qr"
)

// MaxText is how many bytes a code can say.
const MaxText = 2953

const (
	quiet         = 4 // light modules that a picture has around it
	quietTerminal = 2 // a terminal has no room for more, and scanners do with these
)

// ErrTooLong says that a text does not fit into a code.
var ErrTooLong = fmt.Errorf("qr: a text of more than %d bytes", MaxText)

// Code is a square of dark and light modules. It is not changed, and safe for concurrent use.
type Code struct {
	size int
	dark []bool // by lines
}

// Encode makes the smallest code that says a text, with as much correction of errors as that size has room for.
// A text that is not ASCII is UTF-8, which most scanners see by themselves and some do not: a link says all in ASCII.
func Encode(text string) (*Code, error) {
	if text == "" {
		return nil, errors.New("qr: no text")
	}
	if len(text) > MaxText {
		return nil, ErrTooLong
	}
	var best *Code
	for _, level := range []qr.ErrorCorrectionLevel{qr.L, qr.M, qr.Q, qr.H} {
		drawn, err := qr.Encode(text, level, qr.Auto)
		if err != nil || best != nil && drawn.Bounds().Dx() > best.size {
			break
		}
		best = &Code{size: drawn.Bounds().Dx()}
		for y := range best.size {
			for x := range best.size {
				shade := color.Gray16Model.Convert(drawn.At(x, y)).(color.Gray16)
				best.dark = append(best.dark, shade.Y < 1<<15)
			}
		}
	}
	if best == nil {
		return nil, ErrTooLong
	}
	return best, nil
}

// Size is how many modules a side has, without what is light around it.
func (c *Code) Size() int { return c.size }

// Dark reports whether a module is; x goes to the right and y down, and all around is light.
func (c *Code) Dark(x, y int) bool {
	return x >= 0 && y >= 0 && x < c.size && y < c.size && c.dark[y*c.size+x]
}

// Look is what a terminal looks like.
type Look uint8

// The looks.
const (
	DarkTerminal  Look = iota // light letters on a dark ground: light modules are drawn
	LightTerminal             // dark letters on a light ground: dark modules are drawn
	Colours                   // one that knows the colours of ECMA-48: black on white, whatever its own are
)

// Lines draws the code for a terminal, two lines of modules in each.
func (c *Code) Lines(look Look) []string {
	begin, end := "", ""
	if look == Colours {
		begin, end = "\x1b[30;107m", "\x1b[0m"
	}
	drawn := func(x, y int) bool { return c.Dark(x, y) == (look != DarkTerminal) }
	var lines []string
	for y := -quietTerminal; y < c.size+quietTerminal; y += 2 {
		line := []byte(begin)
		for x := -quietTerminal; x < c.size+quietTerminal; x++ {
			below := y+1 < c.size+quietTerminal && drawn(x, y+1) // the last line may be half of one
			line = append(line, half(drawn(x, y), below)...)
		}
		lines = append(lines, string(append(line, end...)))
	}
	return lines
}

func half(above, below bool) string {
	switch {
	case above && below:
		return "█"
	case above:
		return "▀"
	case below:
		return "▄"
	}
	return " "
}

// SVG draws the code for a page, as large as the page lets it be.
func (c *Code) SVG() string {
	var b strings.Builder
	side := strconv.Itoa(c.size + 2*quiet)
	b.WriteString(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ` + side + " " + side +
		`" shape-rendering="crispEdges"><path fill="#fff" d="M0 0h` + side + `v` + side + `H0z"/><path d="`)
	for y := range c.size {
		for x := 0; x < c.size; x++ {
			from := x
			for c.Dark(x, y) {
				x++
			}
			if x > from {
				fmt.Fprintf(&b, "M%d %dh%dv1H%dz", from+quiet, y+quiet, x-from, from+quiet)
			}
		}
	}
	b.WriteString(`"/></svg>`)
	return b.String()
}

// Image draws the code with modules of so many pixels a side, at least one and at most 64, for image/png to encode.
func (c *Code) Image(pixels int) image.Image {
	pixels = min(max(pixels, 1), 64)
	side := (c.size + 2*quiet) * pixels
	picture := image.NewPaletted(image.Rect(0, 0, side, side), color.Palette{color.White, color.Black})
	for y := range side {
		for x := range side {
			if c.Dark(x/pixels-quiet, y/pixels-quiet) {
				picture.SetColorIndex(x, y, 1)
			}
		}
	}
	return picture
}
