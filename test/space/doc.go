// SPDX-License-Identifier: Apache-2.0

// Package space puts programs into network namespaces, each with one interface, between which packets are delayed and lost as
// `tc netem delay 100ms loss 5%` at each interface would, which not every kernel has.
//
//	Space ── TUN ──▶ lost? silent? ──▶ delay ──▶ TUN ── Space of the packet's destination
//
// A namespace has no name: it is a thread of this process and the programs that run there, and is gone with them, also when
// the process is killed. It needs Linux, root, /dev/net/tun, iproute2 and util-linux.
package space
