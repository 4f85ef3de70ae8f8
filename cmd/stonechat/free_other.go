// SPDX-License-Identifier: Apache-2.0

//go:build !linux && !darwin && !freebsd

package main

import "errors"

// freeBytes cannot tell here.
func freeBytes(string) (uint64, error) { return 0, errors.ErrUnsupported }
