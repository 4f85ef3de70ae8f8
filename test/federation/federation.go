// SPDX-License-Identifier: Apache-2.0

// Package federation judges how servers talk to each other.
package federation
