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
// after one full record, 600 bytes after any. crypto/tls has no way to let go of them
// (go.dev/issue/43563), so this file lends them memory, and takes it away. If a new version of Go
// changes the fields nothing is done, and TestSlim says so.

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

// insides are t's buffers, nil where they are not known.
func insides(t *tls.Conn) (rawInput, hand *bytes.Buffer, input *bytes.Reader) {
	f := tlsBuffers
	if !f.known {
		return nil, nil, nil
	}
	base := unsafe.Pointer(t)
	return (*bytes.Buffer)(unsafe.Add(base, f.rawInput)), (*bytes.Buffer)(unsafe.Add(base, f.hand)), (*bytes.Reader)(unsafe.Add(base, f.input))
}

// lend has t read data where it lies, or behind what it has read already, and reports whether it does. data, up to its
// capacity, is t's until slim. Only the goroutine that reads t may call this.
func lend(t *tls.Conn, data []byte) bool {
	raw, _, _ := insides(t)
	switch {
	case raw == nil:
		return false
	case raw.Len() > 0:
		raw.Write(data)
	default:
		*raw = *bytes.NewBuffer(data)
	}
	return true
}

// slim leaves t no more memory than what it has not taken yet, and none that was lent. Only the goroutine that reads t may
// call it.
func slim(t *tls.Conn) {
	raw, hand, input := insides(t)
	if raw == nil {
		return
	}
	if hand.Len() == 0 {
		*hand = bytes.Buffer{}
	}
	left := make([]byte, input.Len()) // it lies in raw's memory
	_, _ = input.Read(left)
	input.Reset(left)
	*raw = *bytes.NewBuffer(bytes.Clone(raw.Bytes()))
}
