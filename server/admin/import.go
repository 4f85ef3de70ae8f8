// SPDX-License-Identifier: Apache-2.0

package admin

// How to read this file: bring is the request; its lines are read by the handler, each is carried
// out by a goroutine of its own (carry, one), of which importing is how many there are, and the
// outcomes are written by one more (tell). Whoever does not read the outcomes is not read either.

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/sasl"
)

// Entry is one account to be made by an import, a line of JSON.
type Entry struct {
	Line     int    `json:"line"` // handed back in the Outcome
	JID      string `json:"jid"`
	Password string `json:"password,omitempty"` // may be missing in a dry run, where Random is set
	Random   bool   `json:"random,omitempty"`   // it was, or will be, made at random, of 128 bits or more
	Thing    *Given `json:"thing,omitempty"`    // it is a thing
}

// Given is what a thing is given.
type Given struct {
	Owner  string            `json:"owner,omitempty"` // whose it is from the start: it needs no claim
	Groups []string          `json:"groups,omitempty"`
	Tags   map[string]string `json:"tags,omitempty"`
}

// Outcome is what has become of an Entry, a line of JSON. They come in any order. Made says that
// the account is on stable storage.
type Outcome struct {
	Line   int    `json:"line"`
	JID    string `json:"jid,omitempty"`
	Result Result `json:"result"`
	Why    string `json:"why,omitempty"` // of Refused
}

// Result is one word for an Outcome.
type Result string

// The results.
const (
	Made    Result = "made"    // in a dry run: would be made
	There   Result = "there"   // the account was there already, with this password
	Another Result = "another" // it was there, with another password, and stays as it is
	Refused Result = "refused"
)

const (
	maxEntry  = 64 << 10 // of one line, in bytes
	importing = 256      // entries under way: enough that the disk never waits for a processor
)

// bring makes the accounts of a request, and tells of each as soon as it is made.
func (a *Service) bring(w http.ResponseWriter, r *http.Request) {
	out := http.NewResponseController(w)
	if err := errors.Join(out.EnableFullDuplex(), out.SetReadDeadline(time.Time{})); err != nil {
		fail(w, jid.JID{}, err)
		return
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	w.WriteHeader(http.StatusOK)
	_ = out.Flush() // the answer has begun: whoever has gone is not read any more
	ended := make(chan struct{})
	defer close(ended)
	go func() { // ends the reading when the server is to end
		select {
		case <-a.closing:
			_ = out.SetReadDeadline(time.Unix(1, 0))
		case <-ended:
		}
	}()
	outcomes, told := make(chan Outcome), make(chan struct{})
	go func() {
		defer close(told)
		tell(w, out, outcomes)
	}()
	carry := a.one
	if r.URL.Query().Get("dry") != "" {
		carry = a.would
	}
	var work sync.WaitGroup
	room := make(chan struct{}, importing)
	lines := bufio.NewScanner(r.Body)
	lines.Buffer(nil, maxEntry)
	for lines.Scan() {
		room <- struct{}{}
		var e Entry
		err := strict(lines.Bytes(), &e)
		work.Go(func() {
			defer func() { <-room }()
			if err != nil {
				outcomes <- Outcome{Line: e.Line, Result: Refused, Why: "the line is not the JSON it should be: " + err.Error()}
				return
			}
			outcomes <- carry(r.Context(), e)
		})
	}
	work.Wait()
	if errors.Is(lines.Err(), bufio.ErrTooLong) {
		outcomes <- Outcome{Result: Refused, Why: fmt.Sprintf("a line is longer than %d bytes; what follows it was not read", maxEntry)}
	}
	close(outcomes)
	<-told
}

// tell writes outcomes, flushing whenever there is no other at once.
func tell(w http.ResponseWriter, out *http.ResponseController, outcomes <-chan Outcome) {
	lines := json.NewEncoder(w)
	for o := range outcomes {
		_ = lines.Encode(o) // who has gone has ended the reading, too
		for more := true; more; {
			select {
			case o, more = <-outcomes:
				if more {
					_ = lines.Encode(o)
				}
			default:
				more = false
			}
		}
		_ = out.Flush()
	}
}

// one makes the account of an entry, or finds that it is there. A thing that is there becomes what the entry says, if nobody
// owns it: an import that has not come to its end is run again.
func (a *Service) one(ctx context.Context, e Entry) Outcome {
	account, o := a.look(ctx, e, false)
	if o.Result == Refused || o.Result == Another {
		return o
	}
	var x *store.Thing
	if e.Thing != nil {
		var err error
		if x, err = a.given(account, e.Thing); err != nil {
			return o.unless(err)
		}
	}
	if o.Result == There {
		if x == nil {
			return o
		}
		return o.unless(a.adopt(ctx, x))
	}
	n := server.NewAccount{JID: account, Password: e.Password, Random: e.Random}
	if x != nil {
		n.Commit = func(ctx context.Context, create store.Op) (*store.Pending, error) {
			return a.things.Adopt(ctx, *x, create)
		}
	}
	err := a.server.Create(ctx, n)
	if errors.Is(err, store.ErrExists) { // made meanwhile, by somebody else
		_, o = a.look(ctx, e, false)
		return o
	}
	return o.unless(err)
}

// would is one in a dry run.
func (a *Service) would(ctx context.Context, e Entry) Outcome {
	account, o := a.look(ctx, e, true)
	if o.Result != Refused && e.Thing != nil {
		_, err := a.given(account, e.Thing)
		return o.unless(err)
	}
	return o
}

// look tells what an entry comes to: Made where there is no such account yet.
func (a *Service) look(ctx context.Context, e Entry, dry bool) (jid.JID, Outcome) {
	o := Outcome{Line: e.Line, JID: e.JID, Result: Made}
	account, err := a.account(e.JID)
	if err != nil {
		return account, o.unless(err)
	}
	o.JID = account.String()
	made := dry && e.Random && e.Password == ""
	if err := sasl.CheckPassword(e.Password); err != nil && !made {
		return account, o.unless(server.ErrPassword)
	}
	was, err := a.store.Account(ctx, account)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return account, o
	case err != nil:
		return account, o.unless(err)
	}
	o.Result = There
	if made {
		return account, o
	}
	a.checking <- struct{}{}
	defer func() { <-a.checking }()
	if same, err := sasl.Matches(was.Keys, e.Password); err != nil || !same {
		o.Result = Another
	}
	return account, o
}

// unless is the outcome, or Refused where err is not nil.
func (o Outcome) unless(err error) Outcome {
	switch {
	case err == nil:
		return o
	case errors.Is(err, server.ErrPassword):
		o.Why = "the password is empty, or has something in it that no password may have"
	default:
		o.Why = err.Error()
	}
	o.Result = Refused
	return o
}
