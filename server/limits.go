// SPDX-License-Identifier: Apache-2.0

package server

import (
	"fmt"
	"time"

	"github.com/stonechat-im/stonechat/xmpp/sm"
	"github.com/stonechat-im/stonechat/xmpp/stream"
)

// Limits are the bounds of what the core holds and does for others. The configuration has a key
// for each; 0 or less is "none", for test beds.
type Limits struct {
	// SessionsPerAccount and Sessions: one more is refused with resource-constraint.
	SessionsPerAccount, Sessions int
	// StanzasPerSecond of one session, averaged over ten seconds: then reading slows.
	StanzasPerSecond int
	// QueueBytes that a client has not read: then its connection is dropped. One answer to its own
	// request, a long roster say, may wait besides; so it may in WindowBytes.
	QueueBytes int
	// WindowBytes and WindowStanzas that a session has sent and its client has not acked: then
	// the session ends, and its messages wait in the spool.
	WindowBytes, WindowStanzas int
	// UnackedStanzas that a session sent and that are not safe yet: then reading pauses.
	UnackedStanzas int
	// SpoolMessages that wait for one account: one more is refused with service-unavailable.
	SpoolMessages int
	// SpoolAge after which a waiting message is not delivered any more, but dropped when it would be.
	SpoolAge time.Duration
	// FanoutCopies of stanzas that wait to be sent for one room or node: then who sends more is
	// slowed.
	FanoutCopies int
	// Questions of the server's own that wait for their answers: one more counts as not answered.
	Questions int
	// SpoolAfter is how long a client may take to ack a message that its sender waits for
	// before the message is committed to the spool.
	SpoolAfter time.Duration
}

// DefaultLimits are those of a server without configuration.
func DefaultLimits() Limits {
	return Limits{
		SessionsPerAccount: 20,
		Sessions:           1_000_000,
		StanzasPerSecond:   1000,
		QueueBytes:         1 << 20,
		WindowBytes:        4 << 20,
		WindowStanzas:      10_000,
		UnackedStanzas:     1000,
		SpoolMessages:      10_000,
		SpoolAge:           0,
		FanoutCopies:       100_000,
		Questions:          10_000,
		SpoolAfter:         100 * time.Millisecond,
	}
}

// SetLimits makes l the limits from now on. What is over a bound already is not undone: a lower
// number of sessions, say, ends none.
func (s *Server) SetLimits(l Limits) {
	l = l.filled()
	s.limits.Store(&l)
}

// handledTooHigh is the stream error for an h that acks what was never sent (XEP-0198 §4).
func handledTooHigh(h, sent uint32) error {
	return &stream.Error{
		Condition: stream.UndefinedCondition,
		Text:      fmt.Sprintf("%d stanzas acknowledged, %d sent", h, sent),
		App:       (&sm.TooHigh{H: h, SendCount: sent}).AppendXML(nil),
	}
}

// none stands for "no limit".
const none = 1 << 30

// filled puts none where a limit is off.
func (l Limits) filled() Limits {
	for _, p := range []*int{
		&l.SessionsPerAccount, &l.Sessions, &l.QueueBytes, &l.WindowBytes, &l.WindowStanzas,
		&l.UnackedStanzas, &l.SpoolMessages, &l.FanoutCopies, &l.Questions,
	} {
		if *p <= 0 {
			*p = none
		}
	}
	return l
}
