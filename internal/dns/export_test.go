// SPDX-License-Identifier: Apache-2.0

package dns

import "time"

// SetSystem makes servers those of the system, which are at port 53 otherwise.
func (r *Resolver) SetSystem(servers ...string) {
	s := &r.system
	s.mu.Lock()
	defer s.mu.Unlock()
	s.look()
	s.looked = time.Now().Add(time.Hour)
	s.list = servers
}

// Servers is parseServers for tests.
func Servers(data []byte) []string { return parseServers(data) }
