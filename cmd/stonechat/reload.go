// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"maps"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/stonechat-im/stonechat/config"
	"github.com/stonechat-im/stonechat/server"
)

// How to read this file: reload makes everything of the new configuration before it lets go of
// the old one, so that an error anywhere leaves all as it was; apply cannot fail.

// reloadOnHangup reads configuration and certificates again at SIGHUP.
func (in *instance) reloadOnHangup(ctx context.Context, file string) {
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	go func() {
		defer signal.Stop(hup)
		for {
			select {
			case <-ctx.Done():
				return
			case <-hup:
				in.reload(file)
			}
		}
	}()
}

// reload does what a SIGHUP asks for, and says in the log what came of it.
func (in *instance) reload(file string) {
	next, mods, err := in.prepare(file)
	if err != nil {
		var all config.Errors
		if !errors.As(err, &all) {
			in.log.Error("not reloaded, everything stays as it was", "err", err)
		}
		for _, e := range all {
			in.log.Error("not reloaded, everything stays as it was", "err", e)
		}
		return
	}
	now := in.apply(next, mods)
	in.log.Info("configuration and certificates reloaded", "changed", strings.Join(now, " "))
	if later := in.waiting(next); len(later) > 0 {
		in.log.Warn("some keys have changed that take effect with the next start", "keys", strings.Join(later, " "))
	}
}

// prepare makes what the new configuration asks for, certificates last: those are in use when it
// returns without error.
func (in *instance) prepare(file string) (*config.Config, []server.Module, error) {
	next := in.config
	if file != "" {
		var err error
		if next, err = config.Load(file); err != nil {
			return nil, nil, err
		}
	}
	mods, err := modules(next)
	if err != nil {
		return nil, nil, err
	}
	return next, mods, in.certs.Change(certificateOptions(next))
}

// apply makes the live keys of next those of the server, and names those that have changed.
func (in *instance) apply(next *config.Config, mods []server.Module) (now []string) {
	for _, c := range config.Changed(in.live, next) {
		if in.follows(c, in.live, next) {
			now = append(now, c.Key)
		}
	}
	in.live = next
	in.logging.set(next.Log)
	in.server.SetLimits(serverLimits(next))
	in.clients.SetLimits(clientLimits(next))
	in.parts.SetLimits(componentLimits(next))
	if in.servers != nil {
		in.servers.Set(policy(next), federationLimits(next))
	}
	for _, m := range mods {
		if r := in.reloader("modules." + m.Name()); r != nil {
			r.Reload(m)
		}
	}
	return now
}

// waiting names the keys in which next differs from the configuration that the server was started
// with, and which it cannot follow.
func (in *instance) waiting(next *config.Config) (later []string) {
	for _, c := range config.Changed(in.config, next) {
		if !in.follows(c, in.config, next) {
			later = append(later, c.Key)
		}
	}
	return later
}

// follows reports whether the running server can go from one configuration to the other in that
// key. Modules cannot be turned on or off.
func (in *instance) follows(c config.Change, from, to *config.Config) bool {
	if c.Key == "components" {
		return maps.Equal(secretsOf(from.Components), secretsOf(to.Components))
	}
	name, _ := strings.CutPrefix(c.Key, "modules.")
	return c.Live || in.reloader(c.Key) != nil && from.Modules.Off(name) == to.Modules.Off(name)
}

// reloader is the running module of a key, if it can take another configuration.
func (in *instance) reloader(key string) server.Reloader {
	i := slices.IndexFunc(in.modules, func(m server.Module) bool { return "modules."+m.Name() == key })
	if i < 0 {
		return nil
	}
	r, _ := in.modules[i].(server.Reloader)
	return r
}
