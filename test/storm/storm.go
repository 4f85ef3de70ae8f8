// SPDX-License-Identifier: Apache-2.0

// Package storm tests what happens when a server comes back and all of its sessions with it: with
// the limits of a server without configuration, from one address, everybody is in again within a
// minute, and those who are in first feel little of it.
//
//	go test ./test/storm -v                         says how long it took
//	go test ./test/storm -v -storm.sessions 2000
package storm
