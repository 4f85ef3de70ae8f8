// SPDX-License-Identifier: Apache-2.0

package s2s

import (
	"time"

	"github.com/stonechat-im/stonechat/internal/metrics"
)

// serviceMetrics count what connections do. No label names a domain: there are too many.
type serviceMetrics struct {
	accepted, refused, evicted, blocked   metrics.Counter
	pairsFull, questionsFull, unsolicited metrics.Counter
	verified                              metrics.CounterVec // by direction and how
	errors, incidents                     metrics.CounterVec
	dialbackFailed, dialFailed            metrics.CounterVec
}

func (m *serviceMetrics) register(r *metrics.Registry, s *Service) {
	m.accepted = r.Counter("stonechat_s2s_connections_total", "Connections accepted from other servers.")
	m.refused = r.Counter("stonechat_s2s_refused_total", "Connections of other servers refused because there were too many that are known already (limits.federation_connections, limits.federation_connections_per_address).")
	m.evicted = r.Counter("stonechat_s2s_evicted_total", "Connections of other servers dropped before they were known because there were too many (limits.federation_connections, limits.federation_connections_per_address).")
	m.blocked = r.Counter("stonechat_s2s_blocked_total", "Stanzas for domains with which the policy lets nobody talk (federation.allow, federation.block).")
	m.pairsFull = r.Counter("stonechat_s2s_pairs_full_total", "Domains refused on a connection that has too many (limits.federation_pairs).")
	m.questionsFull = r.Counter("stonechat_s2s_questions_full_total", "Keys of dialback refused because too many are being judged (limits.federation_dials).")
	m.unsolicited = r.Counter("stonechat_s2s_unsolicited_total", "Answers of dialback that answer no question of ours on their stream; they are dropped.")
	m.verified = r.CounterVec("stonechat_s2s_verified_total", "Pairs of domains verified, by direction and by what: EXTERNAL, certificate (dialback without dialing back), dialback.", "direction", "by")
	m.errors = r.CounterVec("stonechat_s2s_stream_errors_total", "Streams of other servers ended with an error of ours; limits.login_timeout ends them with connection-timeout.", "condition")
	m.incidents = r.CounterVec("stonechat_s2s_incidents_total", "What other servers did that they may not; the log has more.", "kind")
	m.dialbackFailed = r.CounterVec("stonechat_s2s_dialback_failed_total", "Keys of other servers that were refused, by reason.", "reason")
	m.dialFailed = r.CounterVec("stonechat_s2s_dial_failed_total", "Connections to other servers that could not be made, by reason: policy, dns, connect, certificate, login, other.", "reason")
	r.GaugeFunc("stonechat_s2s_connections", "Connections with other servers.", func() float64 { n, _ := s.door.counts(); return float64(n) })
	r.GaugeFunc("stonechat_s2s_unknown", "Connections of other servers that have not proved who they are.", func() float64 { _, n := s.door.counts(); return float64(n) })
	r.GaugeFunc("stonechat_s2s_domains", "Domains of others that send to us.", func() float64 { return float64(s.peers.count()) })
}

// incident logs and counts what the peer did. kind is one of few. The caller holds in.
func (c *conn) incident(kind, peer string, args ...any) {
	s := c.service
	s.metrics.incidents.WithLabelValues(kind).Inc()
	s.incidents.report(time.Now(), kind, peer, append(args, "at", c.Remote().String(), "fingerprint", c.fingerprint())...)
}
