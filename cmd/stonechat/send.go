// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/stonechat-im/stonechat/client"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// Send sends messages, for scripts.
type Send struct {
	login
	To   string   `arg:"" help:"Whom to send to, name@domain."`
	Text []string `arg:"" optional:"" help:"The message; without one each line of standard input is a message."`
}

// Run implements the command. It succeeds when the server has acknowledged everything: then it
// will not lose it.
func (s Send) Run() error {
	to, err := jid.Parse(s.To)
	if err != nil {
		return fmt.Errorf("to whom: %w", err)
	}
	if len(s.Text) == 0 && s.PasswordFile == "-" {
		return errors.New("standard input is either the password or the messages: give --password-file a file")
	}
	config, err := s.config()
	if err != nil {
		return err
	}
	c, err := client.New(config)
	if err != nil {
		return err
	}
	refused := make(chan error, 1)
	c.HandleErrors(func(_ context.Context, m *stanza.Stanza) {
		select {
		case refused <- returned(m):
		default: // one is enough to fail
		}
	})
	ctx, cancel := interrupted()
	defer cancel()
	if err := s.connect(ctx, c); err != nil {
		return err
	}
	err = s.send(ctx, c, to)
	if err == nil {
		err = c.Sync(ctx)
	}
	err = errors.Join(err, c.Close())
	select {
	case why := <-refused:
		return errors.Join(why, err)
	default:
		return err
	}
}

// returned says of a message that has come back why it has.
func returned(m *stanza.Stanza) error {
	e := m.Refusal()
	if e.Condition == stanza.ServiceUnavailable && e.Text == "" {
		return fmt.Errorf("%s: %w\nNobody is there, or not for you: of a thing its owner has to allow it", m.From, e)
	}
	return fmt.Errorf("%s: %w", m.From, e)
}

func (s Send) send(ctx context.Context, c *client.Client, to jid.JID) error {
	if len(s.Text) > 0 {
		return c.Send(ctx, stanza.Text(stanza.Chat, to, strings.Join(s.Text, " ")))
	}
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		if err := c.Send(ctx, stanza.Text(stanza.Chat, to, lines.Text())); err != nil {
			return err
		}
	}
	return standardInput(lines.Err())
}

// maxLine is the longest line of standard input: a message that servers take.
const maxLine = 128 << 10

func standardInput(err error) error {
	if err != nil {
		return fmt.Errorf("standard input: %w", err)
	}
	return nil
}
