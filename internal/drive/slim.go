// SPDX-License-Identifier: Apache-2.0

package drive

import (
	"bytes"
	"crypto/tls"
	"reflect"
	"unsafe"
)

// A tls.Conn keeps three buffers for as long as it lives, though they are empty while it is idle:
// the last record as it came (rawInput), what is left of it (input), and handshake messages
// (hand). They are as large as the largest that ever came: 4 kB after a common handshake, 17 kB
// after one full record. crypto/tls has no way to let go of them (go.dev/issue/43563), so this
// file takes them away. If a new version of Go changes the fields nothing is taken, and
// TestSlim says so.

// slimAbove is the size of a record above which its buffer is not kept for the next one: large
// records are rare, small ones come one after the other.
const slimAbove = 4 << 10

// tlsFields are the offsets of the buffers in a tls.Conn.
type tlsFields struct {
	rawInput, hand, input uintptr
	known                 bool
}

var tlsBuffers = findTLSFields()

func findTLSFields() (f tlsFields) {
	f.known = true
	find := func(name string, want reflect.Type) uintptr {
		field, ok := reflect.TypeFor[tls.Conn]().FieldByName(name)
		if !ok || field.Type != want {
			f.known = false
		}
		return field.Offset
	}
	f.rawInput = find("rawInput", reflect.TypeFor[bytes.Buffer]())
	f.hand = find("hand", reflect.TypeFor[bytes.Buffer]())
	f.input = find("input", reflect.TypeFor[bytes.Reader]())
	return f
}

// slim takes buffers of more than above bytes from t if they are empty. Only the goroutine that
// reads t may call it.
func slim(t *tls.Conn, above int) {
	f := tlsBuffers
	if !f.known {
		return
	}
	base := unsafe.Pointer(t)
	if hand := (*bytes.Buffer)(unsafe.Add(base, f.hand)); hand.Len() == 0 && hand.Cap() > 0 {
		*hand = bytes.Buffer{}
	}
	raw := (*bytes.Buffer)(unsafe.Add(base, f.rawInput))
	input := (*bytes.Reader)(unsafe.Add(base, f.input)) // in raw's memory
	if raw.Len() == 0 && raw.Cap() > above && input.Len() == 0 {
		*raw, *input = bytes.Buffer{}, bytes.Reader{}
	}
}
