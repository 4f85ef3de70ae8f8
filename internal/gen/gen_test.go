// SPDX-License-Identifier: Apache-2.0

package gen_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/stonechat-im/stonechat/internal/gen"
)

func TestWrite(t *testing.T) {
	name := filepath.Join(t.TempDir(), "new", "file")
	if err := gen.Write(name, []byte("a"), true); !errors.Is(err, gen.ErrStale) {
		t.Errorf("a missing file: %v", err)
	}
	if err := gen.Write(name, []byte("a"), false); err != nil {
		t.Fatal(err)
	}
	if err := gen.Write(name, []byte("a"), true); err != nil {
		t.Errorf("a current file: %v", err)
	}
	if err := gen.Write(name, []byte("b"), true); !errors.Is(err, gen.ErrStale) {
		t.Errorf("a stale file: %v", err)
	}
	if data, err := os.ReadFile(name); err != nil || string(data) != "a" {
		t.Errorf("a check wrote %q, %v", data, err)
	}
}
