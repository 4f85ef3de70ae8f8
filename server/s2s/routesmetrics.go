// SPDX-License-Identifier: Apache-2.0

package s2s

import (
	"github.com/stonechat-im/stonechat/internal/metrics"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// routesMetrics are what leaves, and what does not.
type routesMetrics struct {
	sent                                 [stanza.IQ + 1]metrics.Counter // by kind
	resent, unconfirmed, fences, stalled metrics.Counter
	doubted                              metrics.Counter
	spooled, spoolFailures, full         metrics.Counter
	dropped                              metrics.Counter
	bounced                              metrics.CounterVec // by condition
}

func (m *routesMetrics) register(r *metrics.Registry, rs *routes) {
	sent := r.CounterVec("stonechat_federation_sent_total", "Stanzas sent to other servers.", "kind")
	for k := stanza.Message; k <= stanza.IQ; k++ {
		m.sent[k] = sent.WithLabelValues(k.String())
	}
	m.resent = r.Counter("stonechat_federation_resent_total", "Stanzas sent again to another server because a connection broke before they were confirmed.")
	m.unconfirmed = r.Counter("stonechat_federation_unconfirmed_total", "Stanzas that nobody keeps, sent to servers without stream management behind the last sign of life of a connection that broke: they may be lost.")
	m.fences = r.Counter("stonechat_federation_fences_total", "Pings to servers without stream management, whose answers confirm what was sent before.")
	m.stalled = r.Counter("stonechat_federation_stalled_total", "Connections to other servers dropped because these did not read (limits.federation_queue_bytes; limits.unread_bytes where nothing but answers is sent), or did not confirm anything (federation.confirm_within).")
	m.doubted = r.Counter("stonechat_federation_doubted_total", "Connections to other servers that were asked whether they still work, because the server had proved its name on another.")
	m.spooled = r.Counter("stonechat_federation_spooled_total", "Stanzas for other servers that were committed to the disk.")
	m.spoolFailures = r.Counter("stonechat_federation_spool_failures_total", "Commits of stanzas for other servers that failed.")
	m.full = r.Counter("stonechat_federation_full_total", "Stanzas refused because too much waits for other servers (limits.federation_routes, limits.federation_queue_bytes, limits.federation_spool_stanzas).")
	m.dropped = r.Counter("stonechat_federation_dropped_total", "Presence, answers and the like that were dropped because the other server could not be reached.")
	m.bounced = r.CounterVec("stonechat_federation_bounced_total", "Stanzas that came back to their senders because the other server could not be reached.", "condition")
	r.GaugeFunc("stonechat_federation_queue_bytes", "What waits in memory for other servers, or is not confirmed by them.", func() float64 { return float64(rs.bytes.Load()) })
	for name, of := range map[string]struct {
		help   string
		counts func(*route) bool
	}{
		"open":       {"that have a connection", func(r *route) bool { return r.out != nil }},
		"connecting": {"being connected", func(r *route) bool { return r.out == nil && r.dial != notDialing }},
		"waiting":    {"that wait to be tried again", func(r *route) bool { return r.out == nil && r.dial == notDialing && !r.empty() }},
	} {
		r.GaugeFunc("stonechat_federation_routes_"+name, "Ways to other servers "+of.help+".", func() float64 {
			n := 0
			rs.each(func(r *route) {
				r.mu.Lock()
				if of.counts(r) {
					n++
				}
				r.mu.Unlock()
			})
			return float64(n)
		})
	}
}
