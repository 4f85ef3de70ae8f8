// SPDX-License-Identifier: Apache-2.0

package thing

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
)

// Main is the main function of a program that is a thing and nothing else. It runs the thing until
// the program is interrupted or terminated, and then returns; if the thing cannot run, the program
// ends with status 1. Account, password, address, authorities, owner and state are those of the
// [Environment]; the rest of config is the caller's. Connections made and lost, and commands, are
// told on standard error unless config.Client.Log is given.
func Main(config Config) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if config.Client.Log == nil {
		config.Client.Log = slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	e, err := Environment()
	if err == nil {
		c := &config.Client
		c.Account, c.Password = e.Client.Account, e.Client.Password
		c.Address, c.DirectTLS, c.RootCAs = e.Client.Address, e.Client.DirectTLS, e.Client.RootCAs
		config.Owner, config.State = e.Owner, e.State
		err = Run(ctx, config)
	}
	if err != nil {
		config.Client.Log.Error("the thing cannot go on", "err", err)
		os.Exit(1)
	}
}
