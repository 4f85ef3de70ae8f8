// SPDX-License-Identifier: Apache-2.0

package xmlstream

import (
	"strings"
	"testing"
)

// A scanner that an element has made large does not go back to the others.
func TestLargeScannersAreDropped(t *testing.T) {
	for _, row := range []struct {
		name, in string
		small    bool
	}{
		{"message", "<message><body>hi</body></message>", true},
		{"10 KB in pieces", "<a>" + strings.Repeat("x", 10_000) + "</a>", true},
		{"100 KB in pieces", "<a>" + strings.Repeat("x", 100_000) + "</a>", false},
		{"many children", "<a>" + strings.Repeat("<b/>", 10_000) + "</a>", false},
		{"many levels", strings.Repeat("<a>", 1000) + strings.Repeat("</a>", 1000), false},
		{"many references", "<a b='" + strings.Repeat("&lt;", 40_000) + "'/>", false},
	} {
		p := NewParser(Frame, "jabber:client", Limits{ElementBytes: 1 << 20, Depth: 2000, Attributes: 10, Children: 1 << 20})
		p.mode = Stream // without a header
		p.phase = inStream
		p.Feed([]byte(row.in[:len(row.in)-1]))
		if event, err := p.Next(); event != EventNone || err != nil {
			t.Fatal(row.name, event, err)
		}
		p.Feed([]byte(">"))
		if event, err := p.Next(); event != EventElement || err != nil {
			t.Fatal(row.name, event, err)
		}
		if s := p.scan; s.isSmall() != row.small {
			t.Errorf("%s: small is %v", row.name, s.isSmall())
		}
	}
}
