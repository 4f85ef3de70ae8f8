// SPDX-License-Identifier: Apache-2.0

package server

import (
	"crypto/rand"
	"encoding/base32"

	"github.com/stonechat-im/stonechat/internal/metrics"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// serverMetrics are what the core counts.
type serverMetrics struct {
	received      [stanza.IQ + 1]metrics.Counter // by kind
	refused       metrics.CounterVec             // by condition
	detached      metrics.Counter
	stalled       metrics.Counter
	overflow      metrics.Counter
	throttled     metrics.Counter
	backPressure  metrics.Counter
	spoolFailures metrics.Counter
	spoolFull     metrics.Counter
	expired       metrics.Counter
	notKept       metrics.Counter
	answersWait   metrics.Counter
	fanoutWaits   metrics.Counter
	questionsFull metrics.Counter
}

func (m *serverMetrics) register(r *metrics.Registry, s *Server) {
	received := r.CounterVec("stonechat_stanzas_received_total", "Stanzas that sessions and components sent.", "kind")
	for k := stanza.Message; k <= stanza.IQ; k++ {
		m.received[k] = received.WithLabelValues(k.String())
	}
	m.refused = r.CounterVec("stonechat_stanzas_refused_total", "Stanzas answered with an error.", "condition")
	m.detached = r.Counter("stonechat_sessions_detached_total", "Streams lost whose session may be resumed.")
	m.stalled = r.Counter("stonechat_readers_stalled_total", "Connections dropped because the client did not read (limits.queue_bytes).")
	m.overflow = r.Counter("stonechat_windows_overflowed_total", "Sessions ended because the client did not ack (limits.window_bytes, limits.window_stanzas).")
	m.throttled = r.Counter("stonechat_sessions_throttled_total", "Pauses of sessions that sent more than limits.stanzas_per_second.")
	m.backPressure = r.Counter("stonechat_sessions_waiting_for_disk_total", "Pauses of sessions with too many stanzas that are not safe (limits.unacked_stanzas).")
	m.spoolFailures = r.Counter("stonechat_spool_failures_total", "Messages that could not be committed to the spool.")
	m.spoolFull = r.Counter("stonechat_spool_full_total", "Messages refused because too many wait for their account (limits.spool_messages).")
	m.expired = r.Counter("stonechat_spool_expired_total", "Messages dropped, when their account would have got them, because they had waited too long (limits.spool_age).")
	m.answersWait = r.Counter("stonechat_sessions_waiting_to_read_total", "Pauses of sessions that ask for more while much waits that they have not read (a quarter of limits.queue_bytes) or acked (half of limits.window_bytes or limits.window_stanzas).")
	m.notKept = r.Counter("stonechat_archive_failures_total", "Stanzas that were delivered and could not be kept as well.")
	m.fanoutWaits = r.Counter("stonechat_senders_waiting_for_fanout_total", "Pauses of those who send to a room or node with too many copies waiting (limits.fanout_copies).")
	m.questionsFull = r.Counter("stonechat_questions_refused_total", "Requests of the server's own that were not made because too many were open (limits.questions).")
	r.GaugeFunc("stonechat_questions", "Requests of the server's own that wait for an answer.", func() float64 { return float64(s.questions.open.Load()) })
	r.GaugeFunc("stonechat_sessions", "Bound sessions, detached ones included.", func() float64 { return float64(s.sessions.Load()) })
	r.GaugeFunc("stonechat_store_backlog_bytes", "What waits to be committed.", func() float64 { return float64(s.store.Backlog().Bytes) })
}

// newID is a random name of 80 bits, for resources.
func newID() string {
	var b [10]byte
	_, _ = rand.Read(b[:]) // it never fails: crypto/rand ends the program instead
	return base32.HexEncoding.EncodeToString(b[:])
}
