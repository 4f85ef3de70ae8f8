// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"io"
	"log/slog"
	"slices"
	"sync/atomic"

	"github.com/stonechat-im/stonechat/config"
)

// logging is where the server's log goes, and how; both can change while it runs.
type logging struct {
	w     io.Writer
	level slog.LevelVar
	to    atomic.Pointer[slog.Handler]
}

func newLogging(c config.Log, w io.Writer) *logging {
	l := &logging{w: w}
	l.set(c)
	return l
}

// set makes every logger write as c says from now on.
func (l *logging) set(c config.Log) {
	var level slog.Level
	_ = level.UnmarshalText([]byte(c.Level)) // config has checked it
	l.level.Set(level)
	var h slog.Handler
	opts := &slog.HandlerOptions{Level: &l.level}
	if c.Format == "json" {
		h = slog.NewJSONHandler(l.w, opts)
	} else {
		h = slog.NewTextHandler(l.w, opts)
	}
	l.to.Store(&h)
}

func (l *logging) logger() *slog.Logger { return slog.New(logHandler{logging: l}) }

// logHandler writes with the handler of the moment. What With has added is added to it for each
// line: lines are few.
type logHandler struct {
	logging *logging
	with    []func(slog.Handler) slog.Handler
}

// Enabled implements slog.Handler.
func (h logHandler) Enabled(_ context.Context, level slog.Level) bool {
	return level >= h.logging.level.Level()
}

// Handle implements slog.Handler.
func (h logHandler) Handle(ctx context.Context, r slog.Record) error {
	to := *h.logging.to.Load()
	for _, with := range h.with {
		to = with(to)
	}
	return to.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (h logHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return h.and(func(to slog.Handler) slog.Handler { return to.WithAttrs(attrs) })
}

// WithGroup implements slog.Handler.
func (h logHandler) WithGroup(name string) slog.Handler {
	return h.and(func(to slog.Handler) slog.Handler { return to.WithGroup(name) })
}

func (h logHandler) and(with func(slog.Handler) slog.Handler) slog.Handler {
	h.with = append(slices.Clip(h.with), with)
	return h
}
