// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"fmt"
	"os"
	"testing"
)

// TestMain lets the test binary be its own children, as the program is.
func TestMain(m *testing.M) {
	var err error
	switch {
	case len(os.Args) == 2 && os.Args[1] == "raw-relay":
		err = RawRelay(os.Stdin, os.Stdout)
	case len(os.Args) == 2 && os.Args[1] == "worker":
		err = Worker(os.Stdin, os.Stdout)
	default:
		os.Exit(m.Run())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
