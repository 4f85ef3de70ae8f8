// SPDX-License-Identifier: Apache-2.0

// Package s2s talks to the servers of other domains.
//
// How to read this package: a route is the way from one domain of ours to one of others, with what
// waits for it (routes.go, route.go, entry.go); an out is the sending half of one connection, with what
// the peer has not confirmed (out.go, window.go, fence.go); spool.go is what of that is on the disk,
// sweep.go what happens by the clock.
package s2s
