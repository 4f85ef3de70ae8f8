// SPDX-License-Identifier: Apache-2.0

package client

import (
	"context"
)

// Sleep lets go of the connection and keeps the session, for devices that save power: nothing is
// dialled until Wake, and what is sent waits in the queue. The server keeps what arrives, and shows
// the account as available, for as long as it lets sessions be resumed; after that Wake makes a new
// session. Where there is no stream management the session ends.
//
// It waits up to Config.CloseTime until the server has acknowledged what was sent before. In a
// handler it must not be called.
func (c *Client) Sleep() {
	if c.Online() {
		ctx, cancel := context.WithTimeout(c.link.Life(), c.config.CloseTime)
		defer cancel()
		_ = c.Sync(ctx) // what is not acknowledged goes when the client wakes
	}
	c.mu.Lock()
	if c.asleep == nil {
		c.asleep = make(chan struct{})
	}
	c.mu.Unlock()
	if l, ok := c.link.Way().(*session); ok {
		l.hush()
		<-l.Done()
	}
}

// Wake ends Sleep.
func (c *Client) Wake() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.asleep != nil {
		close(c.asleep)
		c.asleep = nil
	}
}

// awake waits while the client sleeps, and reports whether it is to connect then.
func (c *Client) awake(ctx context.Context) bool {
	c.mu.Lock()
	asleep := c.asleep
	c.mu.Unlock()
	if asleep == nil {
		return true
	}
	select {
	case <-asleep:
		return true
	case <-ctx.Done():
	case <-c.link.Life().Done():
	}
	return false
}
