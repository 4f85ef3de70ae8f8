// SPDX-License-Identifier: Apache-2.0

//go:build !invariants

package main

// beforeCommit and beforeRead are for test builds.
func beforeCommit() func() { return nil }

func beforeRead() func() { return nil }
