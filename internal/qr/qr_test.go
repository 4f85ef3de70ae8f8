// SPDX-License-Identifier: Apache-2.0

package qr_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"io"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/makiuchi-d/gozxing"
	scanner "github.com/makiuchi-d/gozxing/qrcode"

	"github.com/stonechat-im/stonechat/internal/qr"
)

// texts are what codes have to say: each kind of letters, and claims of things as they are.
var texts = map[string]string{
	"digit":   "7",
	"numbers": "31415926535897932384626433832795",
	"capital": "HTTPS://EXAMPLE.COM/$%*+-. :",
	"claim":   "IoTDisco;SN:7731-0042;MAN:lamps.example;MODEL:Desk;#V:2.5;KEY:k3yofthelamp;R:things.example.com",
	"chat": "xmpp:things.example.com?message;body=claim%20IoTDisco%3BSN%3A7731-0042%3BMAN%3Alamps.example%3BMODEL%3ADesk" +
		"%3B%23V%3A2.5%3BKEY%3Ak3yofthelamp",
	"words":  "Grüße, 世界; \\ and \x01",
	"half":   strings.Repeat("a long tale ", 100),
	"utmost": strings.Repeat("x", qr.MaxText),
}

func encode(t *testing.T, text string) *qr.Code {
	t.Helper()
	c, err := qr.Encode(text)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// scan has somebody else read a picture.
func scan(t *testing.T, picture image.Image) string {
	t.Helper()
	bitmap, err := gozxing.NewBinaryBitmapFromImage(picture)
	if err != nil {
		t.Fatal(err)
	}
	read, err := scanner.NewQRCodeReader().Decode(bitmap, map[gozxing.DecodeHintType]any{
		gozxing.DecodeHintType_TRY_HARDER: true, gozxing.DecodeHintType_CHARACTER_SET: "UTF-8"})
	if err != nil {
		t.Fatalf("not read: %v", err)
	}
	return read.GetText()
}

func TestImage(t *testing.T) {
	for name, text := range texts {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			if err := png.Encode(&b, encode(t, text).Image(4)); err != nil {
				t.Fatal(err)
			}
			picture, err := png.Decode(&b)
			if err != nil {
				t.Fatal(err)
			}
			if got := scan(t, picture); got != text {
				t.Errorf("read as %q", got)
			}
		})
	}
	c := encode(t, "7")
	for pixels, side := range map[int]int{-1: 29, 0: 29, 1: 29, 10: 290, 1 << 30: 29 * 64} {
		if got := c.Image(pixels).Bounds().Dx(); got != side {
			t.Errorf("%d pixels a module: %d a side", pixels, got)
		}
	}
}

// A terminal is a picture, too: its letters are half blocks on a ground, which goes on around them.
func TestLines(t *testing.T) {
	for look, ink := range map[qr.Look]color.Color{qr.DarkTerminal: color.White, qr.LightTerminal: color.Black, qr.Colours: color.Black} {
		for name, text := range texts {
			if name == "utmost" {
				continue // no terminal is so large
			}
			t.Run(strconv.Itoa(int(look))+name, func(t *testing.T) {
				lines := encode(t, text).Lines(look)
				if got := scan(t, photograph(t, lines, ink, look == qr.Colours)); got != text {
					t.Errorf("read as %q from\n%s", got, strings.Join(lines, "\n"))
				}
			})
		}
	}
}

func paint(picture *image.RGBA, where image.Rectangle, shade color.Color) {
	draw.Draw(picture, where, image.NewUniform(shade), image.Point{}, draw.Src)
}

// photograph sees lines of a terminal whose ground is the opposite of its ink.
func photograph(t *testing.T, lines []string, ink color.Color, colours bool) image.Image {
	t.Helper()
	const pixels, margin = 3, 8
	ground := color.Color(color.White)
	if ink == color.White {
		ground = color.Black
	}
	width := 0
	for i, line := range lines {
		if colours {
			var begins, ends bool
			line, begins = strings.CutPrefix(line, "\x1b[30;107m")
			line, ends = strings.CutSuffix(line, "\x1b[0m")
			if !begins || !ends {
				t.Fatalf("line %d has no colours", i)
			}
			lines[i] = line
		}
		if n := utf8.RuneCountInString(line); i > 0 && n != width {
			t.Fatalf("line %d has %d columns, others %d", i, n, width)
		} else {
			width = n
		}
	}
	picture := image.NewRGBA(image.Rect(0, 0, width*pixels+2*margin, 2*len(lines)*pixels+2*margin))
	paint(picture, picture.Bounds(), ground)
	for row, line := range lines {
		for column, letter := range []rune(line) {
			halves := map[rune][2]bool{' ': {}, '█': {true, true}, '▀': {true, false}, '▄': {false, true}}
			set, ok := halves[letter]
			if !ok {
				t.Fatalf("a letter %q", letter)
			}
			for part, inked := range set {
				if inked {
					x, y := margin+column*pixels, margin+(2*row+part)*pixels
					paint(picture, image.Rect(x, y, x+pixels, y+pixels), ink)
				}
			}
		}
	}
	return picture
}

// A page that draws the paths of the SVG shows the code.
func TestSVG(t *testing.T) {
	runs := regexp.MustCompile(`^M(\d+) (\d+)h(\d+)v(\d+)H(\d+)z`)
	for name, text := range texts {
		t.Run(name, func(t *testing.T) {
			c := encode(t, text)
			const pixels = 3
			picture := image.NewRGBA(image.Rect(0, 0, (c.Size()+8)*pixels, (c.Size()+8)*pixels))
			for i, path := range paths(t, c.SVG()) {
				for path != "" {
					m := runs.FindStringSubmatch(path)
					if m == nil || m[1] != m[5] {
						t.Fatalf("a path goes on with %.40q", path)
					}
					path = path[len(m[0]):]
					var n [4]int
					for j := range n {
						n[j], _ = strconv.Atoi(m[j+1])
					}
					shade := color.White // the first path is the ground
					if i > 0 {
						shade = color.Black
					}
					x, y := n[0]*pixels, n[1]*pixels
					paint(picture, image.Rect(x, y, x+n[2]*pixels, y+n[3]*pixels), shade)
				}
			}
			if got := scan(t, picture); got != text {
				t.Errorf("read as %q", got)
			}
		})
	}
}

// paths returns what the paths of a drawing say, as an XML reader sees them.
func paths(t *testing.T, svg string) (list []string) {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(svg))
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return list
		}
		if err != nil {
			t.Fatal(err)
		}
		start, ok := token.(xml.StartElement)
		if !ok || start.Name.Local != "path" {
			continue
		}
		for _, a := range start.Attr {
			if a.Name.Local == "d" {
				list = append(list, a.Value)
			}
		}
	}
}

func TestRefused(t *testing.T) {
	if _, err := qr.Encode(""); err == nil {
		t.Error("nothing was said")
	}
	if _, err := qr.Encode(strings.Repeat("x", qr.MaxText+1)); !errors.Is(err, qr.ErrTooLong) {
		t.Errorf("too much was said: %v", err)
	}
}

// What the size has room for goes into the correction of errors: a spot does no harm.
func TestSpot(t *testing.T) {
	text := texts["claim"]
	c := encode(t, text)
	picture := c.Image(4).(*image.Paletted)
	middle := picture.Bounds().Dx() / 2
	for i := range 12 * 12 {
		picture.SetColorIndex(middle+i%12, middle+i/12, 1)
	}
	if got := scan(t, picture); got != text {
		t.Errorf("read as %q", got)
	}
	if c.Dark(-1, 0) || c.Dark(0, c.Size()) || !c.Dark(0, 0) {
		t.Error("the corner is not where it is")
	}
}
