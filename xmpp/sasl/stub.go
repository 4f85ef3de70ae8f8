// SPDX-License-Identifier: Apache-2.0

// Package sasl stands in for branch sasl until it is merged here.
package sasl

// Key stands in.
type Key struct{}

// ChannelBinding stands in.
type ChannelBinding struct {
	Type string
	Data []byte
}

// ServerConfig stands in.
type ServerConfig struct{}

// ClientConfig stands in.
type ClientConfig struct{}
