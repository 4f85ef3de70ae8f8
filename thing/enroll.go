// SPDX-License-Identifier: Apache-2.0

package thing

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/stonechat-im/stonechat/client"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// ownPassword is the password of a thing that came without one: it makes it at its first start, and keeps it.
func ownPassword(c *Config) error {
	if c.Token == "" || c.Client.Password != "" || c.Client.Certificate != nil {
		return nil
	}
	if c.State == "" {
		return errors.New("thing: a thing that makes its password needs a State to keep it in")
	}
	name := filepath.Join(c.State, "password")
	data, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		data = []byte(rand.Text())
		err = errors.Join(os.MkdirAll(c.State, 0o700), replaceLasting(name, data))
	}
	if err != nil {
		return fmt.Errorf("thing: its password: %w", err)
	}
	c.Client.Password = strings.TrimSpace(string(data))
	return nil
}

// enroll makes the account by the token, unless that is done.
func (t *Thing) enroll(ctx context.Context) error {
	if t.config.Token == "" {
		return nil
	}
	done := filepath.Join(t.config.State, "enrolled")
	if t.config.State != "" {
		if data, err := os.ReadFile(done); err == nil && string(data) == t.account().String() {
			return nil
		}
	}
	for wait := 5 * time.Second; ; wait = min(2*wait, 10*time.Minute) {
		err := client.Register(ctx, t.config.Client, t.config.Token)
		var refused *stanza.Error
		switch {
		case errors.As(err, &refused) && refused.Condition == stanza.Conflict, err == nil: // it was made before, and that not heard
			if t.config.State == "" {
				return nil
			}
			return replaceLasting(done, []byte(t.account().String()))
		case errors.As(err, &refused) && refused.Type != stanza.Wait, errors.Is(err, client.ErrNoRegistration):
			return fmt.Errorf("thing: its account is not made: %w", err)
		}
		t.log.Error("its account is not made yet", "err", err, "retry", wait)
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
