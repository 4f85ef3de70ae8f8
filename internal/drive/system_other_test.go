// SPDX-License-Identifier: Apache-2.0

//go:build !unix

package drive_test

import (
	"testing"
	"time"
)

func cpuTime(testing.TB) time.Duration { return 0 }

func openFiles() int { return 1 << 20 }
