// SPDX-License-Identifier: Apache-2.0

// Package jid stands in for branch jid until it is merged here.
package jid

// JID is an address.
type JID struct {
	s             string
	local, domain uint16
}
