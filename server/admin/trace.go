// SPDX-License-Identifier: Apache-2.0

package admin

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/stonechat-im/stonechat/internal/trace"
)

// TraceLine is one line of a trace: an event, or how many were lost before the next one, because
// the caller did not read in time.
type TraceLine struct {
	*trace.Event
	Lost int64 `json:"lost,omitempty"`
}

// trace answers with what happens to an account's stanzas until the caller hangs up.
func (a *Service) trace(w http.ResponseWriter, r *http.Request) {
	account, err := a.account(r.URL.Query().Get("jid"))
	if err != nil {
		fail(w, account, err)
		return
	}
	t, err := a.server.Tracers().Begin(account, r.URL.Query().Get("passed") != "")
	if err != nil {
		fail(w, account, err)
		return
	}
	defer a.server.Tracers().End(t)
	out := http.NewResponseController(w)
	// The time to send a request in would end the answer, too.
	if err := out.SetReadDeadline(time.Time{}); err != nil {
		fail(w, account, err)
		return
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	w.WriteHeader(http.StatusOK)
	lines := json.NewEncoder(w)
	for out.Flush() == nil {
		select {
		case <-r.Context().Done():
			return
		case <-a.closing:
			return
		case e := <-t.Events():
			if n := t.Lost(); n > 0 {
				_ = lines.Encode(TraceLine{Lost: n}) // Flush tells
			}
			_ = lines.Encode(TraceLine{Event: &e})
		}
	}
}
