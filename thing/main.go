// SPDX-License-Identifier: Apache-2.0

package thing

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/stonechat-im/stonechat/internal/qr"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/registry"
)

// Main is the main function of a program that is a thing and nothing else. It runs the thing until
// the program is interrupted or terminated, and then returns; if the thing cannot run, the program
// ends with status 1. Account, password, address, authorities, owner and state are those of the
// [Environment]; the rest of config is the caller's. Connections made and lost, and commands, are
// told on standard error unless config.Client.Log is given,
// and so is, as a code to be scanned, how a thing without an owner is claimed.
func Main(config Config) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if config.Client.Log == nil {
		config.Client.Log = slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	if config.Claim == nil {
		config.Claim = func(c Claim) { _, _ = fmt.Fprint(os.Stderr, c.Text(isTerminal(os.Stderr))) }
	}
	e, err := Environment()
	if err == nil {
		c := &config.Client
		c.Account, c.Password = e.Client.Account, e.Client.Password
		c.Address, c.DirectTLS, c.RootCAs = e.Client.Address, e.Client.DirectTLS, e.Client.RootCAs
		config.State, config.Token = e.State, e.Token
		if config.Owner.IsZero() {
			config.Owner = e.Owner
		}
		err = Run(ctx, config)
	}
	if err != nil {
		config.Client.Log.Error("the thing cannot go on", "err", err)
		os.Exit(1)
	}
}

// Text is what people are shown: a code to be scanned, if coloured for a terminal, and what to do with it.
func (c Claim) Text(coloured bool) string {
	var b strings.Builder
	look := qr.DarkTerminal
	if coloured {
		look = qr.Colours
	}
	if code, err := qr.Encode(c.Chat); err == nil {
		for _, line := range code.Lines(look) {
			b.WriteString(line + "\n")
		}
	}
	b.WriteString("This thing has no owner. To own it, scan the code with a messenger and send what\nis in place there")
	if u, err := registry.ParseURI(c.Code); err == nil && u.Registry.IsDomain() {
		at := u.Registry
		u.Registry = jid.JID{} // whoever is told it knows where he is
		fmt.Fprintf(&b, ", or write to registry@%s:\nclaim %s\nOr open, or give to a program for things,", at.Domain(), u)
	} else {
		b.WriteString(", or open, or give to a program for things,")
	}
	b.WriteString(" one of\n" + c.Chat + "\n" + c.Code + "\n")
	return b.String()
}

func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
