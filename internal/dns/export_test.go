// SPDX-License-Identifier: Apache-2.0

package dns

// Servers is parseServers for tests.
func Servers(data []byte) []string { return parseServers(data) }

// Believed is isLoopback for tests.
func Believed(server string) bool { return isLoopback(server) }
