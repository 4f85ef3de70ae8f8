// SPDX-License-Identifier: Apache-2.0

//go:build !unix

package thing_test

import "os"

// forExamples: the examples end by a signal, which only Unix can send.
func forExamples() (stop func(int)) { return os.Exit }
