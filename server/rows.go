// SPDX-License-Identifier: Apache-2.0

package server

import (
	"errors"
	"time"

	"github.com/stonechat-im/stonechat/store"
)

// retryDelete is how long the deletion of rows waits where the disk refused it.
const retryDelete = time.Second

// forget deletes a row that was delivered. A disk that refuses is asked again; as long as the
// account is in use nobody takes the row meanwhile.
func (u *User) forget(row int64) {
	u.rows.Count(-1)
	u.deleteRows([]int64{row})
}

func (u *User) deleteRows(ids []int64) {
	u.Commit(store.DeleteSpool{User: u.JID, IDs: ids}).OnDone(func(err error) {
		if err == nil || errors.Is(err, store.ErrClosed) {
			u.rows.Gone(ids)
			return
		}
		u.server.complain("spooled message not deleted yet", "jid", u.JID.String(), "err", err)
		u.rows.Refused(ids)
		u.server.users.acquire(u.JID)
		time.AfterFunc(retryDelete, func() {
			// Whichever comes first deletes what all were to delete.
			for again := u.rows.Again(); len(again) > 0; {
				n := min(len(again), store.MaxPage)
				u.deleteRows(again[:n])
				again = again[n:]
			}
			u.server.users.release(u)
		})
	})
}
