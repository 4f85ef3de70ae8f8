// SPDX-License-Identifier: Apache-2.0

package admin

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
)

// Rooms is what the operator does about rooms. Module muc is one. What it refuses is a stanza error, whose text the operator is
// told. All may wait.
type Rooms interface {
	// RoomServices are the addresses of services, that of the first domain first.
	RoomServices() []string
	// ListRooms is a page of the rooms of a service, those that are only in memory among them; an empty one is the end.
	ListRooms(ctx context.Context, q store.RoomQuery) ([]Room, error)
	// ShowRoom tells all of one room.
	ShowRoom(ctx context.Context, room jid.JID) (*RoomInfo, error)
	// DestroyRoom ends one; those in it are told why, and where to go instead, where that is not zero.
	DestroyRoom(ctx context.Context, room jid.JID, reason string, alternate jid.JID) error
	// RoomAffiliations lists who is something to a room; AffiliateRoom changes it for one.
	RoomAffiliations(ctx context.Context, room jid.JID) ([]Affiliation, error)
	AffiliateRoom(ctx context.Context, room jid.JID, a Affiliation) error
}

// Room is one of a list.
type Room struct {
	JID          string    `json:"jid"`
	Name         string    `json:"name,omitempty"`
	Creator      string    `json:"creator"`
	Created      time.Time `json:"created"`
	Public       bool      `json:"public"`
	Temporary    bool      `json:"temporary,omitempty"` // it ends when the last has left
	Owners       int       `json:"owners"`
	Affiliations int       `json:"affiliations"`
	Occupants    int       `json:"occupants"` // sessions in it now
}

// RoomInfo is all of a room.
type RoomInfo struct {
	Room
	Subject string              `json:"subject,omitempty"`
	Nicks   []string            `json:"nicks,omitempty"` // who is in it
	Hats    int                 `json:"hats,omitempty"`
	Options map[string][]string `json:"options"` // its configuration, but for a password
}

// Affiliation is what somebody is to a room or node.
type Affiliation struct {
	JID         string `json:"jid"`
	Affiliation string `json:"affiliation"`
	Nick        string `json:"nick,omitempty"`   // reserved in a room
	Reason      string `json:"reason,omitempty"` // of a room
}

func (a *Service) roomRoutes(mux *http.ServeMux, rooms Rooms) {
	mux.HandleFunc("GET /rooms", func(w http.ResponseWriter, r *http.Request) {
		v := r.URL.Query()
		q := store.RoomQuery{Service: v.Get("service"), After: v.Get("after"), Find: v.Get("find"), Ownerless: v.Get("ownerless") != ""}
		services := rooms.RoomServices()
		if q.Service == "" {
			q.Service = services[0]
		}
		if !slices.Contains(services, q.Service) {
			refuse(w, fmt.Errorf("%w: %q; there are %q", errPlace, q.Service, services))
			return
		}
		page, err := rooms.ListRooms(r.Context(), q)
		answerOr(w, page, err)
	})
	at := func(pattern string, do func(r *http.Request, room jid.JID) (any, error)) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			room, err := bareAddress(r.PathValue("room"))
			if err != nil {
				refuse(w, err)
				return
			}
			v, err := do(r, room)
			answerOr(w, v, err)
		})
	}
	at("GET /rooms/{room}", func(r *http.Request, room jid.JID) (any, error) { return rooms.ShowRoom(r.Context(), room) })
	at("DELETE /rooms/{room}", func(r *http.Request, room jid.JID) (any, error) {
		var alternate jid.JID
		if s := r.URL.Query().Get("alternate"); s != "" {
			var err error
			if alternate, err = bareAddress(s); err != nil {
				return nil, err
			}
		}
		return struct{}{}, rooms.DestroyRoom(r.Context(), room, r.URL.Query().Get("reason"), alternate)
	})
	at("GET /rooms/{room}/affiliations", func(r *http.Request, room jid.JID) (any, error) {
		return rooms.RoomAffiliations(r.Context(), room)
	})
	mux.HandleFunc("PUT /rooms/{room}/affiliations", func(w http.ResponseWriter, r *http.Request) {
		var in Affiliation
		if !read(w, r, &in) {
			return
		}
		room, err := bareAddress(r.PathValue("room"))
		if err == nil {
			err = rooms.AffiliateRoom(r.Context(), room, in)
		}
		answerOr(w, in, err)
	})
}
