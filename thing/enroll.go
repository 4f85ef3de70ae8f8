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
	"github.com/stonechat-im/stonechat/xmpp/sasl"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/stream"
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
		final := errors.Is(err, client.ErrNoRegistration)
		if errors.As(err, &refused) && refused.Type != stanza.Wait || final {
			// It may have been made before, and that not heard: by the last use of the token, it may be.
			final, err = t.hasAccount(ctx, err)
		}
		switch {
		case err == nil && t.config.State == "":
			return nil
		case err == nil:
			return replaceLasting(done, []byte(t.account().String()))
		case final:
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

// hasAccount finds out whether the account is the thing's, though it was refused to make it: whether it can log in. If it is not, that is
// final, and the error is why it was refused; else nobody knows yet.
func (t *Thing) hasAccount(ctx context.Context, refused error) (final bool, err error) {
	c, err := client.Dial(ctx, t.config.Client)
	if err == nil {
		_ = c.Close() // nothing was sent
		return true, nil
	}
	if login := (*stream.SASLError)(nil); errors.As(err, &login) && login.Condition == sasl.NotAuthorized {
		return true, refused
	}
	return false, errors.Join(refused, err)
}
