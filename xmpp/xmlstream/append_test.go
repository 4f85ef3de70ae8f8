// SPDX-License-Identifier: Apache-2.0

package xmlstream_test

import (
	"testing"

	. "github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

func TestAppend(t *testing.T) {
	const odd = "a&b<c>d\"e'f\ng\th\ri\x00j\uFFFEk\xFFl é🌹"
	for _, test := range []struct{ name, got, want string }{
		{"escaped", string(AppendEscaped([]byte("x"), odd)), "xa&amp;b&lt;c&gt;d&quot;e&apos;f\ng\th&#13;i\uFFFDj\uFFFDk\uFFFDl é🌹"},
		{"escaped bytes", string(AppendEscaped(nil, []byte(odd))), "a&amp;b&lt;c&gt;d&quot;e&apos;f\ng\th&#13;i\uFFFDj\uFFFDk\uFFFDl é🌹"},
		{"attribute", string(AppendAttr([]byte("x"), "n", odd)), "x n='a&amp;b&lt;c>d\"e&apos;f&#10;g&#9;h&#13;i\uFFFDj\uFFFDk\uFFFDl é🌹'"},
		{"empty attribute", string(AppendAttr([]byte("x"), "n", "")), "x"},
		{"text", string(AppendText([]byte("x"), "n", odd)), "x<n>a&amp;b&lt;c&gt;d\"e'f\ng\th&#13;i\uFFFDj\uFFFDk\uFFFDl é🌹</n>"},
		{"empty text", string(AppendText(nil, "n", "")), "<n></n>"},
		{"cut character", string(AppendEscaped(nil, "\xE2\x82")), "\uFFFD\uFFFD"},
	} {
		if test.got != test.want {
			t.Errorf("%s: got %q, want %q", test.name, test.got, test.want)
		}
	}
}

func TestAppendAllocations(t *testing.T) {
	dst := make([]byte, 0, 1000)
	n := testing.AllocsPerRun(100, func() {
		dst = AppendEscaped(dst[:0], "Tom & Jerry's «é»")
		dst = AppendAttr(dst, "to", "romeo@example.net/«é»")
		dst = AppendText(dst, "body", "Art thou not Romeo, & a Montague?")
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}
