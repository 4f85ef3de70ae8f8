// SPDX-License-Identifier: Apache-2.0

package client

import (
	"fmt"

	"github.com/stonechat-im/stonechat/xmpp/stream"
)

// blame looks for the stanza because of which the server has ended the stream, if that is why:
// one that is in front each time is given up, so that the others get through.
func (o *outbox) blame(err error) {
	e, ok := err.(*stream.Error) //nolint:errorlint // the machine's own
	if !ok || !e.Received || !isFault(e.Condition) {
		return
	}
	o.mu.Lock()
	if o.sent == 0 {
		o.mu.Unlock()
		return
	}
	if front := o.list[0].n; front != o.blamed || o.faults == 0 {
		o.blamed, o.faults = front, 0
	}
	var f func(error)
	if o.faults++; o.faults == maxFaults {
		o.faults = 0
		f = o.drop(0).acked
	}
	o.mu.Unlock()
	if f != nil {
		f(fmt.Errorf("%w: %w", ErrRejected, err))
	}
}

// isFault reports whether a stream error may be about one stanza. RFC 6120 §4.9.3
func isFault(c stream.Condition) bool {
	switch c {
	case stream.BadFormat, stream.BadNamespacePrefix, stream.ImproperAddressing, stream.InvalidFrom,
		stream.InvalidNamespace, stream.InvalidXML, stream.NotWellFormed, stream.PolicyViolation,
		stream.RestrictedXML, stream.UndefinedCondition, stream.UnsupportedStanzaType:
		return true
	}
	return false
}
