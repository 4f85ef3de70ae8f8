// SPDX-License-Identifier: Apache-2.0

//go:build invariants

package main

import (
	"os"
	"time"
)

// beforeCommit plays a slow disk in test builds: STONECHAT_TEST_COMMIT is how long each commit takes, 200ms say.
func beforeCommit() func() {
	d, err := time.ParseDuration(os.Getenv("STONECHAT_TEST_COMMIT"))
	if err != nil {
		return nil
	}
	return func() { time.Sleep(d) }
}

// beforeRead plays a disk that stalls: while there is a file of the name that STONECHAT_TEST_STALL gives, nothing is read.
func beforeRead() func() {
	name := os.Getenv("STONECHAT_TEST_STALL")
	if name == "" {
		return nil
	}
	return func() {
		for _, err := os.Stat(name); err == nil; _, err = os.Stat(name) {
			time.Sleep(10 * time.Millisecond)
		}
	}
}
