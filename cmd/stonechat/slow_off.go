// SPDX-License-Identifier: Apache-2.0

//go:build !invariants

package main

// beforeCommit is for test builds.
func beforeCommit() func() { return nil }
