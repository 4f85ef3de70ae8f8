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
