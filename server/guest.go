// SPDX-License-Identifier: Apache-2.0

package server

import (
	"context"
	"errors"

	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// A guest is somebody who logged in without an account (XEP-0175). It has a User for as long as its
// one session lives, under a name that nobody else has; nothing of it is ever stored. Its session
// cannot be resumed, for whoever would come back could not prove to be the same. What is not
// delivered when it ends is refused. What a guest may do is decided by module anonymous.

// BindGuest is Bind for a guest, whose name the caller has made up at random.
func (s *Server) BindGuest(ctx context.Context, t *Turn, st Stream, wanted jid.JID, lang string) (*Session, error) {
	u := s.users.acquire(wanted.Bare())
	if !u.lodge() {
		s.users.release(u)
		return nil, stanza.Conflict.Err("the name is taken")
	}
	return s.bind(ctx, t, st, u, wanted, lang)
}

// lodge makes a guest of a User that nobody has any business with.
func (u *User) lodge() bool {
	u.ready.Lock()
	defer u.ready.Unlock()
	if u.known || u.refs.Load() > 1 {
		return false
	}
	u.guest.Store(true)
	u.exists.Store(true)
	u.known, u.counted = true, true
	return true
}

// Guest reports whether this is no account, but somebody who logged in without one.
func (u *User) Guest() bool { return u.guest.Load() }

// leave is the end of a guest, with its session: the name is nobody's from now on. Whoever still
// deals with it finds nobody there.
func (u *User) leave() {
	u.deleted.Store(true)
	u.server.users.drop(u)
}

// errGuest is why a message to a guest cannot be kept.
var errGuest = errors.New("server: a guest has no spool")
