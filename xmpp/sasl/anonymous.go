// SPDX-License-Identifier: Apache-2.0

package sasl

import (
	"fmt"
	"io"
	"unicode/utf8"
)

// Anonymous is the name of the mechanism for those who have no account. RFC 4505.
const Anonymous = "ANONYMOUS"

// maxTrace is the length of the trace information, in characters. RFC 4505 §3.
const maxTrace = 255

// stepAnonymous takes the client's only message, which may say who it is, for the logs of an
// operator. Nobody can believe it, and it is a stranger's text: it is dropped. The client gets
// a name that nobody has, a random UUID. XEP-0175 §3.
func (s *Server) stepAnonymous(trace []byte) Outcome {
	if !utf8.Valid(trace) || utf8.RuneCount(trace) > maxTrace {
		return s.fail(MalformedRequest, "the trace information is too long or not UTF-8")
	}
	var b [16]byte
	if _, err := io.ReadFull(s.c.Rand, b[:]); err != nil {
		return s.fail(TemporaryAuthFailure, "")
	}
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80 // version 4: RFC 9562 §5.4
	s.first.name = fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
	s.state = atKeys
	return Outcome{Kind: Stranger, Username: s.first.name}
}
