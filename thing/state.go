// SPDX-License-Identifier: Apache-2.0

package thing

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// restore takes up what the folder of Config.State has.
func (t *Thing) restore(c *Config) error {
	if err := os.MkdirAll(c.State, 0o700); err != nil {
		return fmt.Errorf("thing: its state: %w", err)
	}
	if err := t.restoreMechanism(c); err != nil {
		return err
	}
	if err := t.restoreLife(c); err != nil {
		return err
	}
	if t.owner.IsZero() {
		return nil // nothing is kept for nobody
	}
	file, list, lost, err := openJournal(journalFile(c.State), t.owner)
	if t.settled && errors.Is(err, errNotHisFile) {
		t.log.Warn("readings of a former owner are deleted: it became another's when it was stopped", "err", err)
		return t.ring.reopen(c.State, t.owner)
	}
	if err != nil {
		return err
	}
	if lost > 0 {
		t.log.Warn("readings are lost: the file had torn lines", "lines", lost)
	}
	return t.ring.keep(file, list)
}

func journalFile(state string) string { return filepath.Join(state, "readings") }

// restoreMechanism has the next login be no weaker than the last of this account, and notes what it
// uses.
func (t *Thing) restoreMechanism(c *Config) error {
	name, account := filepath.Join(c.State, "mechanism"), c.Client.Account.Bare().String()
	data, err := os.ReadFile(name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("thing: reading how its logins were: %w", err)
	}
	if words := strings.Fields(string(data)); len(words) == 2 && words[0] == account && c.Client.Mechanism == "" {
		c.Client.Mechanism = words[1]
	}
	tell := c.Client.Pinned
	c.Client.Pinned = func(mechanism string) {
		if err := replaceLasting(name, []byte(account+" "+mechanism+"\n")); err != nil {
			t.log.Error("the mechanism of the login is not kept", "err", err)
		}
		if tell != nil {
			tell(mechanism)
		}
	}
	return nil
}
