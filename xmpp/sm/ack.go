// SPDX-License-Identifier: Apache-2.0

package sm

import "github.com/stonechat-im/stonechat/xmpp/xmlstream"

// Request asks the peer for an Ack. It implements stanza.Payload. XEP-0198 §4
type Request struct{}

// RequestXML is a whole Request.
const RequestXML = "<r xmlns='" + NS + "'/>"

// Ack says how many stanzas were handled since stream management began, modulo
// 2^32. It implements stanza.Payload. XEP-0198 §4
type Ack struct{ H uint32 }

// XMLName implements stanza.Payload.
func (*Request) XMLName() xmlstream.Name { return name("r") }

// XMLName implements stanza.Payload.
func (*Ack) XMLName() xmlstream.Name { return name("a") }

// AppendXML implements stanza.Payload.
func (*Request) AppendXML(dst []byte) []byte { return append(dst, RequestXML...) }

// AppendXML implements stanza.Payload.
func (a *Ack) AppendXML(dst []byte) []byte {
	dst = append(dst, "<a xmlns='"+NS+"'"...)
	dst = appendCount(dst, "h", a.H)
	return append(dst, "/>"...)
}

// DecodeXML implements stanza.Payload. There is nothing to decode.
func (*Request) DecodeXML(r *xmlstream.Reader) error { return r.Err() }

// DecodeXML implements stanza.Payload. Without h it is bad-request.
func (a *Ack) DecodeXML(r *xmlstream.Reader) error {
	*a = Ack{H: count(r, "h")}
	return r.Err()
}

// IsRequest reports whether an element of a stream is a Request.
func IsRequest(e *xmlstream.Element) bool {
	return string(e.Local) == "r" && string(e.Space) == NS
}

// IsAck reports whether an element of a stream is an Ack.
func IsAck(e *xmlstream.Element) bool {
	return string(e.Local) == "a" && string(e.Space) == NS
}

// HOf returns the h of an Ack, a Resume or a Resumed as it came from a stream,
// without allocation. ok is false when there is none or it is no number.
func HOf(e *xmlstream.Element) (h uint32, ok bool) {
	for i := range e.Attrs {
		a := &e.Attrs[i]
		if len(a.Space) == 0 && string(a.Local) == "h" {
			return parseCount(a.Value)
		}
	}
	return 0, false
}

// parseCount reads an unsignedInt: digits alone, below 2^32.
func parseCount[T string | []byte](s T) (uint32, bool) {
	if len(s) == 0 || len(s) > 10 {
		return 0, false
	}
	n := uint64(0)
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c < '0' || c > '9' {
			return 0, false
		}
		n = 10*n + uint64(c-'0')
	}
	return uint32(n), n>>32 == 0
}
