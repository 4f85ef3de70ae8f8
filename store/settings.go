// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"fmt"
)

// Settings reads the topic "settings": small values that the server keeps for itself, such as secrets it has made.
type Settings interface {
	// Setting returns the value of that name, or ErrNotFound.
	Setting(ctx context.Context, name string) ([]byte, error)
}

// SetSetting sets the value of a name; nil removes it, an empty value that is not nil is a value.
type SetSetting struct {
	Name  string
	Value []byte
}

const (
	maxSettingName  = 255
	maxSettingValue = 64 << 10
)

func (SetSetting) Topic() string { return "settings" }

func (op SetSetting) Size() int { return opBytes + len(op.Name) + len(op.Value) }

func (op SetSetting) Validate() error {
	if op.Name == "" || len(op.Name) > maxSettingName {
		return fmt.Errorf("name of a setting of %d bytes: %w", len(op.Name), ErrInvalid)
	}
	if len(op.Value) > maxSettingValue {
		return fmt.Errorf("setting %q of %d bytes: %w", op.Name, len(op.Value), ErrTooLarge)
	}
	return nil
}
