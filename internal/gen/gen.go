// SPDX-License-Identifier: Apache-2.0

// Package gen holds what the generators in its folders share: how they write
// their file, for authors of generators and for the test that runs them.
package gen

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// ErrStale says that a file is not what its generator writes.
var ErrStale = errors.New("gen: the file is stale; run make generate")

// Write puts data into the file. With check it writes nothing and returns
// ErrStale when the file holds anything else.
func Write(name string, data []byte, check bool) error {
	have, err := os.ReadFile(name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("gen: %w", err)
	}
	switch {
	case err == nil && bytes.Equal(have, data):
		return nil
	case check:
		return fmt.Errorf("%s: %w", name, ErrStale)
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return fmt.Errorf("gen: %w", err)
	}
	if err := os.WriteFile(name, data, 0o644); err != nil {
		return fmt.Errorf("gen: %w", err)
	}
	return nil
}
