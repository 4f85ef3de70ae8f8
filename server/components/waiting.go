// SPDX-License-Identifier: Apache-2.0

package components

import (
	"container/list"
	"sync"
)

// waiting holds the connections that have not proved who they are. There is room for one more
// always: where there are too many, the oldest has to go.
type waiting struct {
	mu    sync.Mutex
	most  int       // 0 or less: no limit
	conns list.List // of *conn, oldest first
}

// limit sets how many there may be. Where there are more they go one by one, as others come.
func (w *waiting) limit(most int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.most = most
}

// enter gives c a place, and returns the connection that has to go for it, or nil.
func (w *waiting) enter(c *conn) (evicted *conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	c.place = w.conns.PushBack(c)
	if w.most > 0 && w.conns.Len() > w.most {
		evicted = w.conns.Front().Value.(*conn)
		w.remove(evicted)
	}
	return evicted
}

// leave gives up c's place; giving it up twice does nothing.
func (w *waiting) leave(c *conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.remove(c)
}

func (w *waiting) remove(c *conn) {
	if c.place != nil {
		w.conns.Remove(c.place)
		c.place = nil
	}
}

func (w *waiting) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.conns.Len()
}
