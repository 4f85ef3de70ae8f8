// SPDX-License-Identifier: Apache-2.0

package s2s

import (
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// route is the way from a domain of ours, or of a place of ours, to another's.
type route struct {
	key store.Route
}

// outage is why there is no connection.
type outage struct {
	Err       *stanza.Error // for those whose stanzas cannot be sent
	Permanent bool          // all that waits is answered with Err now, and what comes in the next half minute
	Cause     error         // for the log
}

// open says that r's pair is verified on o's connection, which may carry the route from now on. Where the
// route has a way out that works, nothing happens. o.begin was called before. The caller holds no lock that
// a Turn could want.
func (r *route) open(o *out) {}

// failed says that a dial is over without a connection. The caller holds no lock that a Turn could want.
func (r *route) failed(why outage) {}
