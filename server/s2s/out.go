// SPDX-License-Identifier: Apache-2.0

package s2s

import (
	"time"

	"github.com/stonechat-im/stonechat/internal/drive"
	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/store"
)

// out is the sending half of one connection, for all routes that it carries. All methods may be called from any
// goroutine, with no lock held that a Turn could want. It implements server.Flusher.
type out struct{}

// begin makes c the connection. It is called once, before all others.
func (o *out) begin(rs *routes, c drive.Conn) {}

// control sends whole elements that are no stanzas (dialback, features, acks) at once, behind what is
// queued; also before any route is open.
func (o *out) control(b []byte) {}

// counting says that stream management is on for what we send: the stanzas from now on count. It is called when
// our <enabled/> leaves (we accepted the stream) or, where we have asked for it, when <enable/> leaves or the
// peer's <enabled/> has come: no route may be open between the two.
func (o *out) counting() {}

// acked takes the peer's <a h=…/>. The error is a stream error, where h acks what was never sent.
func (o *out) acked(t *server.Turn, h uint32) error { return nil }

// stop says that the connection is over, or may not be used any more: what was not confirmed goes back to
// its routes, ahead of what waits there, and they dial where anything waits. Stopping twice does nothing.
func (o *out) stop(err error) {}

// forget says that this pair may not use the connection any more; other routes go on.
func (o *out) forget(key store.Route) {}

// unused is since when the connection carried nothing out; ok is false while anything is not confirmed or waits.
func (o *out) unused() (since time.Time, ok bool) { return time.Time{}, true }

// Flush implements server.Flusher.
func (o *out) Flush(t *server.Turn) {}
