// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"bytes"

	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// COMPAT(prosody, 2022): a stream of both directions (XEP-0288) is good for what waits there as soon as <success/> is sent:
// such stanzas come before the header of the new stream, and belong to none. They are read when the new one has begun, by
// the same rules as if they came then; a connection that ended with them would lose them.

// turned reports whether it is known what comes next behind <success/>: a stanza, or, as it should be, the new stream.
func (s *InitiatingServer) turned() bool {
	if s.parser.Started() {
		return true
	}
	early, known := beginsStanza(bytes.TrimLeft(s.parser.Rest(), " \t\r\n"))
	if known && !early {
		s.parser.Reset()
		s.turning = false
	}
	return known
}

// beginsStanza reports whether b begins with a stanza's start tag; known is false where more of it is needed.
func beginsStanza(b []byte) (yes, known bool) {
	for _, tag := range []string{"<message", "<presence", "<iq"} {
		switch {
		case len(b) <= len(tag):
			if string(b) == tag[:len(b)] {
				return false, false
			}
		case string(b[:len(tag)]) == tag && bytes.IndexByte([]byte(" \t\r\n/>"), b[len(tag)]) >= 0:
			return true, true
		}
	}
	return false, true
}

// maxEarly is how many bytes of stanzas may come early.
const maxEarly = 65_536

// hold keeps a stanza until the new stream has begun.
func (s *InitiatingServer) hold(e *xmlstream.Element) {
	if s.early = append(s.early, e.Raw...); len(s.early) > maxEarly {
		s.fail(&Error{Condition: PolicyViolation, Text: "too much data before a stream"})
	}
}

// release has what was held read next.
func (s *InitiatingServer) release() {
	if len(s.early) > 0 {
		s.parser.Unread(s.early)
		s.early = nil
	}
}
