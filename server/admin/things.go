// SPDX-License-Identifier: Apache-2.0

package admin

// How to read this file: what the protocol tells of a thing; what an import makes of an account (given, adopt); the
// requests, of which named finds the thing in the path.

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
)

// Thing is one thing as the protocol tells it.
type Thing struct {
	JID        string            `json:"jid"`
	Node       string            `json:"node,omitempty"` // of a thing behind the account
	Label      string            `json:"label,omitempty"`
	Owner      string            `json:"owner,omitempty"` // "": nobody's
	Registered time.Time         `json:"registered,omitzero"`
	Claimed    time.Time         `json:"claimed,omitzero"`
	Public     bool              `json:"public,omitempty"`
	Groups     []string          `json:"groups,omitempty"`
	Tags       map[string]string `json:"tags,omitempty"`
	Row        int64             `json:"row"` // by which lists go on
	Seen       *Seen             `json:"seen,omitempty"`
}

// ThingPage is a page of things.
type ThingPage struct {
	Things []Thing `json:"things"`         // those of the page that are in the state that was asked for
	Next   int64   `json:"next,omitempty"` // the row behind which it goes on; 0: there is no more
}

// Seen is what state the account is in: online, sleeping, offline, unsteady.
type Seen struct {
	State  store.SeenState `json:"state"`
	Since  time.Time       `json:"since"`
	Until  time.Time       `json:"until,omitzero"` // it sleeps
	Last   time.Time       `json:"last"`           // it was there
	Reason string          `json:"reason,omitempty"`
	Status string          `json:"status,omitempty"`
}

// never is the state, in requests, of a thing that was never there.
const never store.SeenState = "never"

// seen adds what state a thing is in.
func (a *Service) seen(ctx context.Context, t *Thing, account jid.JID) error {
	s, err := a.store.Seen(ctx, account)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	t.Seen = &Seen{s.State, s.Since, s.Until, s.Last, s.Reason, s.Status}
	return err
}

// ownedError is that a thing is somebody's, and not whose it is to be.
type ownedError string

func (e ownedError) Error() string { return string(e) }

// errThings is that this server has no things.
var errThings = errors.New("this server knows of no things: module registry is off")

// given is the thing that an entry is to become.
func (a *Service) given(account jid.JID, g *Given) (x *store.Thing, err error) {
	if a.things == nil {
		return nil, errThings
	}
	x = &store.Thing{ThingName: store.ThingName{JID: account}}
	if g.Owner != "" {
		if x.Owner, err = jid.Parse(g.Owner); err != nil || x.Owner.IsDomain() || x.Owner.IsFull() {
			return nil, fmt.Errorf("owner: %q is not name@domain", g.Owner)
		}
	}
	if x.Groups, err = groupsOf(g.Groups); err != nil {
		return nil, err
	}
	x.Tags, err = tagsOf(g.Tags)
	return x, err
}

// adopt makes an account that is there the thing x. Nothing is changed where it is whose it is to be.
func (a *Service) adopt(ctx context.Context, x *store.Thing) error {
	was, err := a.store.Thing(ctx, x.ThingName)
	switch {
	case errors.Is(err, store.ErrNotFound):
	case err != nil:
		return err
	case was.Owner == x.Owner && !x.Owner.IsZero():
		return nil
	case !was.Owner.IsZero():
		return ownedError("it is " + was.Owner.String() + "'s: \"thing disown\" makes it nobody's")
	default:
		x.Key, x.Label, x.Public = was.Key, was.Label, was.Public
		x.Groups = slices.Compact(slices.Sorted(slices.Values(append(x.Groups, was.Groups...))))
		for _, t := range was.Tags {
			if !slices.ContainsFunc(x.Tags, func(o store.ThingTag) bool { return o.Name == t.Name }) {
				x.Tags = append(x.Tags, t)
			}
		}
	}
	p, err := a.things.Adopt(ctx, *x)
	if err == nil {
		err = p.Wait(ctx)
	}
	if errors.Is(err, store.ErrExists) {
		return ownedError("it was claimed just now")
	}
	return err
}

func thingOf(x *store.Thing) Thing {
	t := Thing{
		JID: x.JID.String(), Node: x.ID, Label: x.Label, Registered: x.Registered, Claimed: x.Claimed,
		Public: x.Public && !x.Removed, Groups: x.Groups, Tags: told(x.Tags), Row: x.Row,
	}
	if !x.Owner.IsZero() {
		t.Owner = x.Owner.String()
	}
	return t
}

func (a *Service) listThings(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	f := store.ThingFilter{Domain: q.Get("domain"), Group: q.Get("group"), Free: q.Get("free") != ""}
	var err error
	if after := q.Get("after"); after != "" {
		f.After, err = strconv.ParseInt(after, 10, 64)
	}
	if owner := q.Get("owner"); owner != "" && err == nil {
		f.Owner, err = jid.Parse(owner)
	}
	if err != nil {
		answer(w, http.StatusBadRequest, Failure{err.Error()})
		return
	}
	list, err := a.store.ListThings(r.Context(), f)
	if err != nil {
		fail(w, jid.JID{}, err)
		return
	}
	state := store.SeenState(q.Get("state"))
	page := ThingPage{Things: []Thing{}}
	for i := range list {
		t := thingOf(&list[i])
		if err := a.seen(r.Context(), &t, list[i].JID); err != nil {
			fail(w, list[i].JID, err)
			return
		}
		page.Next = t.Row
		if state == "" || t.Seen != nil && t.Seen.State == state || t.Seen == nil && state == never {
			page.Things = append(page.Things, t)
		}
	}
	answer(w, http.StatusOK, page)
}

// named is the thing of a request's path.
func (a *Service) named(w http.ResponseWriter, r *http.Request) (name store.ThingName, ok bool) {
	account, err := a.account(r.PathValue("jid"))
	if err != nil {
		fail(w, account, err)
		return name, false
	}
	return store.ThingName{JID: account, ThingNode: store.ThingNode{ID: r.URL.Query().Get("node")}}, true
}

// unknown tells of a thing that is not there.
func unknown(w http.ResponseWriter, name store.ThingName, err error) {
	if errors.Is(err, store.ErrNotFound) {
		answer(w, http.StatusNotFound, Failure{"there is no thing " + name.JID.String() + ", or it is nobody's"})
		return
	}
	fail(w, name.JID, err)
}

func (a *Service) thing(w http.ResponseWriter, r *http.Request) {
	name, ok := a.named(w, r)
	if !ok {
		return
	}
	x, err := a.store.Thing(r.Context(), name)
	if err != nil {
		unknown(w, name, err)
		return
	}
	t := thingOf(&x)
	if err := a.seen(r.Context(), &t, x.JID); err != nil {
		unknown(w, name, err)
		return
	}
	answer(w, http.StatusOK, t)
}

// own makes a thing that is nobody's somebody's. One that is somebody else's stays so.
func (a *Service) own(w http.ResponseWriter, r *http.Request) {
	name, ok := a.named(w, r)
	var in Given
	if !ok || !read(w, r, &in) {
		return
	}
	x, err := a.given(name.JID, &Given{Owner: in.Owner})
	if err == nil && x.Owner.IsZero() {
		err = errors.New("whose is it to be?")
	}
	if err != nil {
		answer(w, http.StatusBadRequest, Failure{err.Error()})
		return
	}
	if _, err := a.store.Thing(r.Context(), name); err != nil {
		unknown(w, name, err)
		return
	}
	x.ThingName = name
	if err := a.adopt(r.Context(), x); err != nil {
		fail(w, x.Owner, err) // not found is the owner's account, then
		return
	}
	a.thing(w, r)
}

func (a *Service) disown(w http.ResponseWriter, r *http.Request) {
	name, ok := a.named(w, r)
	if !ok {
		return
	}
	err := errThings
	if a.things != nil {
		err = a.things.Release(r.Context(), name)
	}
	if err != nil {
		unknown(w, name, err)
		return
	}
	answer(w, http.StatusOK, Thing{JID: name.JID.String()})
}

func (a *Service) group(w http.ResponseWriter, r *http.Request) {
	name, ok := a.named(w, r)
	var in Given
	if !ok || !read(w, r, &in) {
		return
	}
	groups, err := groupsOf(in.Groups)
	if err != nil {
		answer(w, http.StatusBadRequest, Failure{err.Error()})
		return
	}
	if err = errThings; a.things != nil {
		err = a.things.Group(r.Context(), name, groups)
	}
	if err != nil {
		unknown(w, name, err)
		return
	}
	a.thing(w, r)
}
