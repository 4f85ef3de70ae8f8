// SPDX-License-Identifier: Apache-2.0

package link

import (
	"errors"
	"fmt"

	"github.com/stonechat-im/stonechat/xmpp/stream"
)

// maxFaults is how often the server may end a stream with the same stanza in front.
const maxFaults = 3

// Broke lets go of the connection, which has ended with err, and looks for the stanza because of which the server has
// ended it, if that is why. What was on its way then leaves one by one, so that the others get through; the one that
// does not is given up.
func (o *Outbox) Broke(err error) {
	o.mu.Lock()
	o.kick = nil
	var bad, unsure []Item
	var e *stream.Error
	if errors.As(err, &e) && e.Received && IsFault(e.Condition) && o.sent > 0 {
		front := &o.list[0]
		front.faults++
		if front.all && o.presence != nil {
			o.presence.faults = front.faults
		}
		switch {
		case o.sent > 1:
			o.careful = o.sent
		case front.faults >= maxFaults:
			if front.all {
				o.presence = nil
			}
			bad = o.pop(1)
		}
	}
	if o.config.AtMostOnce {
		unsure = o.pop(o.sent)
	}
	o.mu.Unlock()
	tell(bad, fmt.Errorf("%w: %w", o.config.Rejected, err))
	tell(unsure, o.config.Unsure)
}

// IsFault reports whether a stream error may be about one stanza. RFC 6120 §4.9.3
func IsFault(c stream.Condition) bool {
	switch c {
	case stream.BadFormat, stream.BadNamespacePrefix, stream.ImproperAddressing, stream.InvalidFrom,
		stream.InvalidNamespace, stream.InvalidXML, stream.NotWellFormed, stream.PolicyViolation,
		stream.RestrictedXML, stream.UndefinedCondition, stream.UnsupportedStanzaType:
		return true
	}
	return false
}
