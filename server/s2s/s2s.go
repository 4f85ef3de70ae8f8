// SPDX-License-Identifier: Apache-2.0

// Package s2s talks to the servers of other domains, over TLS always.
//
// RFC 6120 §4–5, §8.1, §10.4, §13.7, RFC 6698, RFC 7590, RFC 7671, RFC 7673, RFC 7712,
// XEP-0178 (complete, 1.2), XEP-0185 (complete, 1.0), XEP-0220 (complete, 1.1.1), XEP-0288 (complete, 1.0.1),
// XEP-0368 (complete, 1.1.0)
//
// Stanzas are acked (XEP-0198); streams are not resumed, but what was not acked is sent again on the next one.
//
// How to read this package: it has two halves. Connections: a conn is one, in either direction (conn.go), with what is verified on
// it (pairs.go) by dialback (dialback.go) or otherwise; door.go bounds who comes in, call.go makes connections,
// policy.go says with whom; service.go ties all together. What leaves: a route is the way from one domain of ours to
// one of others, with what waits for it (routes.go, route.go, entry.go); an out is the sending half of one connection,
// with what the peer has not confirmed (out.go, window.go, fence.go); spool.go is what of that is on the disk, sweep.go
// what happens by the clock. A stanza out goes Service.Take, routes.take, out.send; one in goes conn.stanza, Inlet.Receive.
//
// Invariants: a stanza comes in only for a pair of domains that was verified on that very stream, and never goes on
// to a third server. An answer of dialback counts on the stream of its question alone. No lock of a conn is wanted by
// anybody who holds one of a route or an out.
package s2s
