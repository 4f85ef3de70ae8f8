// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/stonechat-im/stonechat/internal/trace"
	"github.com/stonechat-im/stonechat/server/admin"
)

// Trace tells live what the server does with the stanzas of one account.
type Trace struct {
	operator
	JID    string `arg:"" help:"The account, name@domain."`
	Passed bool   `help:"Tell also of hooks that let a stanza go on."`
	JSON   bool   `name:"json" help:"A line of JSON for each event."`
}

// Help says what a person asks next.
func (Trace) Help() string {
	return `Each stanza from or to the account has a number, which stands before all that
happens to it and because of it:

  received   from a session, or made by the server
  refused    by a hook of a module, with the error's condition
  handled    a hook took charge of it, after what it did itself
  asked      the module that answers the request
  queued     for a session; acked by its client, or left for its socket
  spooling   on its way to the disk; then spooled, or failed
  drained    from the disk, for a session that has come
  expired    on the disk, and dropped: it has waited too long (limits.spool_age)
  returned   to its sender, with an error

What people say is never shown, only the names of the elements. Ctrl-C ends it.`
}

// maxTraceLine bounds one event, in bytes.
const maxTraceLine = 1 << 20

// Run implements the command.
func (c Trace) Run() error {
	ctx, cancel := interrupted()
	defer cancel()
	data, err := c.folder()
	if err != nil {
		return err
	}
	q := url.Values{"jid": {c.JID}}
	if c.Passed {
		q.Set("passed", "1")
	}
	answer, err := c.request(ctx, data, http.MethodGet, "/trace?"+q.Encode(), nil)
	if err != nil {
		return err
	}
	defer answer.Close() //nolint:errcheck // only read
	fmt.Fprintln(os.Stderr, "watching", c.JID)
	return c.print(ctx, answer, os.Stdout)
}

// print tells what comes until it ends.
func (c Trace) print(ctx context.Context, from io.Reader, to io.Writer) error {
	lines := bufio.NewScanner(from)
	lines.Buffer(nil, maxTraceLine)
	for lines.Scan() {
		text := lines.Text()
		if !c.JSON {
			var line admin.TraceLine
			if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
				return err
			}
			text = traceText(line)
		}
		if _, err := fmt.Fprintln(to, text); err != nil {
			return err
		}
	}
	if ctx.Err() != nil {
		return nil // as was wanted
	}
	return errors.Join(errors.New("the server has ended"), lines.Err())
}

// traceText is one line for people.
func traceText(line admin.TraceLine) string {
	if line.Event == nil {
		return fmt.Sprintf("… %d events were lost: more happened than could be told", line.Lost)
	}
	e := line.Event
	b := strings.Builder{}
	fmt.Fprintf(&b, "%s #%d %-8s", e.Time.Local().Format("15:04:05.000"), e.Way, e.Event)
	word := func(before, s string) {
		if s != "" {
			b.WriteString(" " + before + s)
		}
	}
	if e.Event == trace.Received || e.Event == trace.Drained {
		word("", e.Kind)
		word("", e.Type)
		word("id=", e.ID)
		word("from ", e.From)
		word("to ", e.To)
		word("", strings.Join(e.Children, " "))
	}
	word("by ", e.Module)
	word("in ", e.Phase)
	word("for ", e.Session)
	word("(", e.Detail)
	if e.Detail != "" {
		b.WriteString(")")
	}
	return b.String()
}
