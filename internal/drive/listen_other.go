// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package drive

import "time"

func setOptions(uintptr, time.Duration) error { return nil }
