// SPDX-License-Identifier: Apache-2.0

// Package admin lets the operator administer a running server from the same machine, through a
// socket in the data folder that only the folder's owner may open.
//
// The protocol is HTTP with JSON, so that curl --unix-socket will do:
//
//	GET    /accounts?domain=D&after=NAME   a page of accounts; an empty one is the end
//	POST   /accounts {"jid":…,"password":…}
//	PUT    /accounts/JID {"password":…}
//	DELETE /accounts/JID
//	POST   /accounts/import[?dry=1]        a line of JSON (Entry) for each account to be made; the
//	                                       answer has one (Outcome) for each as soon as it is kept
//	GET    /things?domain=D&owner=JID&group=G&free=1&state=S&after=ROW
//	                                       a page of things (ThingPage)
//	GET    /things/JID                     one of them
//	PUT    /things/JID/owner {"owner":…}   makes it somebody's, which is nobody's, without a claim
//	DELETE /things/JID/owner               makes it nobody's
//	PUT    /things/JID/groups {"groups":…} in which it is
//	GET    /tokens?after=ID                a page of tokens by which things register
//	POST   /tokens {"uses":…,…}            makes one (Token), and tells it this once
//	DELETE /tokens/ID                      revokes it
//	GET    /domains                        those that the server serves, the default one first
//	GET    /rooms?service=S&after=NAME&find=TEXT&ownerless=1   a page of rooms
//	GET    /rooms/JID                      all of one
//	DELETE /rooms/JID?reason=TEXT&alternate=JID
//	GET    /rooms/JID/affiliations
//	PUT    /rooms/JID/affiliations {"jid":…,"affiliation":…,"reason":…}
//	GET    /nodes?at=JID&after=NAME&find=TEXT&ownerless=1      a page of nodes
//	GET    /node?at=JID&node=NAME          all of one but its items
//	DELETE /node?at=JID&node=NAME&moved=URI
//	GET    /node/items?at=JID&node=NAME&before=ID&limit=N      the newest first
//	DELETE /node/items?at=JID&node=NAME
//	GET    /node/affiliations?at=JID&node=NAME
//	PUT    /node/affiliations?at=JID&node=NAME {"jid":…,"affiliation":…}
//	GET    /trace?jid=JID&passed=1         what happens to the stanzas of an account, a line of
//	                                       JSON each (TraceLine), until the caller hangs up
//
// An error is {"error":TEXT}. Where there can be no such socket (Windows, a data folder whose name
// is too long for one) it is a port of 127.0.0.1, which the file admin.json in the data folder
// names, together with the token that each request has to bear.
//
// How to read this package: admin.go is what is answered, tokens.go tokens; rooms.go, nodes.go and things.go for the modules that
// have such, import.go many accounts in one request, trace.go what is answered without end, door.go the way in, on both sides.
package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/stonechat-im/stonechat/internal/trace"
	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// Account is one account as the protocol tells it.
type Account struct {
	JID      string    `json:"jid"`
	Password string    `json:"password,omitempty"` // in requests only
	Created  time.Time `json:"created,omitzero"`
	Disabled bool      `json:"disabled,omitempty"`
}

// Failure is what the protocol says went wrong.
type Failure struct {
	Error string `json:"error"`
}

// maxBody is more than any request is long, in bytes, but for an import, whose lines are bounded.
const maxBody = 64 << 10

// Things registers accounts as things, and changes whose they are. Module registry does.
type Things interface {
	// Adopt registers a thing in one commit with ops, which come first and may make its account. It fails with
	// store.ErrExists where somebody owns it.
	Adopt(ctx context.Context, x store.Thing, ops ...store.Op) (*store.Pending, error)
	// Release makes a thing nobody's, Group puts it into groups. They fail with store.ErrNotFound.
	Release(ctx context.Context, name store.ThingName) error
	Group(ctx context.Context, name store.ThingName, groups []string) error
}

// Service answers the operator.
type Service struct {
	server *server.Server
	store  store.Store
	things Things // nil: there are none
	http   http.Server
	door   *door
	ended  chan struct{}

	checking chan struct{} // holds one for each password that is being compared

	closing chan struct{} // closed when answers without end must end
	hangUp  func()        // closes it
}

// Listen begins to answer at the socket of a data folder. A socket that a killed server has left
// is replaced: the caller holds the folder's lock. Of the modules it administers those that are Rooms, Nodes and Things.
func Listen(s *server.Server, st store.Store, data string, modules ...server.Module) (*Service, error) {
	d, err := openDoor(data)
	if err != nil {
		return nil, fmt.Errorf("admin: %w", err)
	}
	a := &Service{server: s, store: st, door: d, ended: make(chan struct{}), closing: make(chan struct{}),
		checking: make(chan struct{}, runtime.GOMAXPROCS(0))}
	a.hangUp = sync.OnceFunc(func() { close(a.closing) })
	a.http.Handler = d.guard(a.routes(modules))
	a.http.ReadTimeout = 10 * time.Second
	go func() {
		defer close(a.ended)
		_ = a.http.Serve(d.listener) // until Close
	}()
	return a, nil
}

// Close answers no more, and waits for the requests under way until ctx ends.
func (a *Service) Close(ctx context.Context) error {
	a.hangUp()
	err := a.http.Shutdown(ctx)
	<-a.ended
	return errors.Join(err, a.door.remove())
}

func (a *Service) routes(modules []server.Module) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /accounts", a.list)
	mux.HandleFunc("POST /accounts", a.add)
	mux.HandleFunc("PUT /accounts/{jid}", a.password)
	mux.HandleFunc("DELETE /accounts/{jid}", a.remove)
	mux.HandleFunc("GET /domains", a.domains)
	mux.HandleFunc("GET /things", a.listThings)
	mux.HandleFunc("GET /things/{jid}", a.thing)
	mux.HandleFunc("PUT /things/{jid}/owner", a.own)
	mux.HandleFunc("DELETE /things/{jid}/owner", a.disown)
	mux.HandleFunc("PUT /things/{jid}/groups", a.group)
	mux.HandleFunc("GET /tokens", a.listTokens)
	mux.HandleFunc("POST /tokens", a.addToken)
	mux.HandleFunc("DELETE /tokens/{id}", a.revokeToken)
	mux.HandleFunc("GET /trace", a.trace)
	for _, m := range modules {
		if rooms, ok := m.(Rooms); ok {
			a.roomRoutes(mux, rooms)
		}
		if nodes, ok := m.(Nodes); ok {
			a.nodeRoutes(mux, nodes)
		}
		if things, ok := m.(Things); ok {
			a.things = things
		}
	}
	all := http.NewServeMux()
	all.HandleFunc("POST /accounts/import", a.bring)
	all.Handle("/", http.MaxBytesHandler(mux, maxBody))
	return all
}

func (a *Service) domains(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusOK, a.server.Domains())
}

func (a *Service) list(w http.ResponseWriter, r *http.Request) {
	domain := r.URL.Query().Get("domain")
	if domain == "" {
		domain = a.server.Domains()[0]
	}
	as, err := a.store.Accounts(r.Context(), domain, r.URL.Query().Get("after"), 0)
	if err != nil {
		fail(w, jid.JID{}, err)
		return
	}
	page := make([]Account, len(as))
	for i, acc := range as {
		page[i] = Account{JID: acc.JID.String(), Created: acc.Created, Disabled: acc.Disabled}
	}
	answer(w, http.StatusOK, page)
}

func (a *Service) add(w http.ResponseWriter, r *http.Request) {
	var in Account
	if !read(w, r, &in) {
		return
	}
	account, err := a.account(in.JID)
	if err == nil {
		err = a.server.CreateAccount(r.Context(), account, in.Password)
	}
	if err != nil {
		fail(w, account, err)
		return
	}
	answer(w, http.StatusCreated, Account{JID: account.String()})
}

func (a *Service) password(w http.ResponseWriter, r *http.Request) {
	var in Account
	if !read(w, r, &in) {
		return
	}
	account, err := a.account(r.PathValue("jid"))
	if err == nil {
		err = a.server.SetPassword(r.Context(), account, in.Password)
	}
	if err != nil {
		fail(w, account, err)
		return
	}
	answer(w, http.StatusOK, Account{JID: account.String()})
}

func (a *Service) remove(w http.ResponseWriter, r *http.Request) {
	account, err := a.account(r.PathValue("jid"))
	if err == nil {
		err = a.server.DeleteAccount(r.Context(), account, nil)
	}
	if err != nil {
		fail(w, account, err)
		return
	}
	answer(w, http.StatusOK, Account{JID: account.String()})
}

var errAccount = errors.New("an account is name@domain, with a domain that this server serves")

func (a *Service) account(s string) (jid.JID, error) {
	j, err := jid.Parse(s)
	if err != nil {
		return jid.JID{}, fmt.Errorf("%w: %w", errAccount, err)
	}
	if j.IsDomain() || j.IsFull() {
		return jid.JID{}, errAccount
	}
	if !a.server.Serves(j.Domain()) {
		return jid.JID{}, fmt.Errorf("%w: not %s, but %s", errAccount, j.Domain(), strings.Join(a.server.Domains(), ", "))
	}
	return j, nil
}

// strict reads JSON that has no keys which into has not.
func strict(b []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	return d.Decode(into)
}

func read(w http.ResponseWriter, r *http.Request, into any) bool {
	b, err := io.ReadAll(r.Body)
	if err == nil {
		err = strict(b, into)
	}
	if err != nil {
		answer(w, http.StatusBadRequest, Failure{"the request is not the JSON it should be: " + err.Error()})
		return false
	}
	return true
}

// fail tells the operator what went wrong with an account; here nothing is hidden.
func fail(w http.ResponseWriter, account jid.JID, err error) {
	code, text := http.StatusInternalServerError, err.Error()
	switch {
	case errors.Is(err, store.ErrExists):
		code, text = http.StatusConflict, account.String()+" exists already"
	case errors.Is(err, store.ErrNotFound):
		code, text = http.StatusNotFound, "there is no account "+account.String()
	case errors.As(err, new(ownedError)):
		code = http.StatusConflict
	case errors.Is(err, trace.ErrTracers):
		code = http.StatusServiceUnavailable
	case errors.Is(err, errAccount), errors.Is(err, server.ErrPassword):
		code = http.StatusBadRequest
	}
	answer(w, code, Failure{text})
}

var errPlace = errors.New("there is no such service or account here")

// bareAddress is name@domain.
func bareAddress(s string) (jid.JID, error) {
	j, err := jid.Parse(s)
	if err != nil || j.IsDomain() || j.IsFull() {
		return jid.JID{}, fmt.Errorf("%w: %q is not name@domain", errPlace, s)
	}
	return j, nil
}

// answerOr answers with v, or with what went wrong.
func answerOr(w http.ResponseWriter, v any, err error) {
	if err != nil {
		refuse(w, err)
		return
	}
	answer(w, http.StatusOK, v)
}

// refuse tells the operator what went wrong with a room or node; here nothing is hidden.
func refuse(w http.ResponseWriter, err error) {
	code, text := http.StatusInternalServerError, err.Error()
	var e *stanza.Error
	switch {
	case errors.As(err, &e):
		code = http.StatusConflict
		if e.Condition == stanza.ItemNotFound || e.Condition == stanza.Gone {
			code = http.StatusNotFound
		}
		text = e.Text
		if text == "" {
			text = string(e.Condition)
		}
	case errors.Is(err, store.ErrNotFound):
		code = http.StatusNotFound
	case errors.Is(err, errPlace):
		code = http.StatusBadRequest
	}
	answer(w, code, Failure{text})
}

func answer(w http.ResponseWriter, code int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(v) // the operator has gone: nobody is left to tell
}
