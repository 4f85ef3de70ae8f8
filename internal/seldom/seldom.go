// SPDX-License-Identifier: Apache-2.0

// Package seldom keeps a failing disk or a hostile peer from filling the log.
package seldom

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// Log writes each message at most once a second. The zero value is ready.
type Log struct {
	mu   sync.Mutex
	last map[string]time.Time
	held map[string]int
}

// Error logs msg as an error to log, at most once a second for each msg, with the number left out since.
func (c *Log) Error(log *slog.Logger, msg string, args ...any) {
	c.write(log, slog.LevelError, msg, args)
}

// Warn is Error for a warning.
func (c *Log) Warn(log *slog.Logger, msg string, args ...any) {
	c.write(log, slog.LevelWarn, msg, args)
}

func (c *Log) write(log *slog.Logger, level slog.Level, msg string, args []any) {
	c.mu.Lock()
	if c.last == nil {
		c.last, c.held = make(map[string]time.Time), make(map[string]int)
	}
	now := time.Now()
	if now.Sub(c.last[msg]) < time.Second {
		c.held[msg]++
		c.mu.Unlock()
		return
	}
	n := c.held[msg]
	c.last[msg], c.held[msg] = now, 0
	c.mu.Unlock()
	if n > 0 {
		args = append(args, "more", n)
	}
	log.Log(context.Background(), level, msg, args...)
}
