// SPDX-License-Identifier: Apache-2.0

package admin

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
)

// Nodes is what the operator does about nodes of publish-subscribe, those of services and of accounts. Module pubsub is one. What it
// refuses is a stanza error, whose text the operator is told. All may wait.
type Nodes interface {
	// NodeServices are the addresses of services, that of the first domain first.
	NodeServices() []string
	// ListNodes is a page of the nodes of an address; an empty one is the end.
	ListNodes(ctx context.Context, q store.NodeQuery) ([]Node, error)
	// ShowNode tells all of a node but its items; NodeItems is a page of those that are older than the one of id before, or of
	// the newest, the newest first.
	ShowNode(ctx context.Context, name store.NodeName) (*NodeInfo, error)
	NodeItems(ctx context.Context, name store.NodeName, before string, limit int) ([]NodeItem, error)
	// DeleteNode ends a node; subscribers are told, and, where moved is not empty, the URI of where it is instead.
	// PurgeNode removes all its items.
	DeleteNode(ctx context.Context, name store.NodeName, moved string) error
	PurgeNode(ctx context.Context, name store.NodeName) error
	// NodeAffiliations lists who is something to a node; AffiliateNode changes it for one.
	NodeAffiliations(ctx context.Context, name store.NodeName) ([]Affiliation, error)
	AffiliateNode(ctx context.Context, name store.NodeName, a Affiliation) error
}

// Node is one of a list.
type Node struct {
	JID           string    `json:"jid"` // whose it is
	Node          string    `json:"node"`
	Title         string    `json:"title,omitempty"`
	Creator       string    `json:"creator"`
	Created       time.Time `json:"created"`
	Access        string    `json:"access_model"`
	Owners        int       `json:"owners"`
	Subscriptions int       `json:"subscriptions"`
	Items         int       `json:"items"`
}

// NodeInfo is all of a node but its items.
type NodeInfo struct {
	Node
	Pending int                 `json:"pending,omitempty"` // subscriptions that an owner has not approved
	Options map[string][]string `json:"options"`           // its configuration
}

// NodeItem is something published.
type NodeItem struct {
	ID        string    `json:"id"`
	Publisher string    `json:"publisher,omitempty"`
	At        time.Time `json:"at"`
	Payload   string    `json:"payload,omitempty"` // XML
}

func (a *Service) nodeRoutes(mux *http.ServeMux, nodes Nodes) {
	address := func(r *http.Request) (jid.JID, error) {
		at := r.URL.Query().Get("at")
		if at == "" {
			at = nodes.NodeServices()[0]
		}
		j, err := jid.Parse(at)
		if err != nil || j.IsFull() {
			return jid.JID{}, fmt.Errorf("%w: %q", errPlace, at)
		}
		return j, nil
	}
	mux.HandleFunc("GET /nodes", func(w http.ResponseWriter, r *http.Request) {
		v := r.URL.Query()
		at, err := address(r)
		if err != nil {
			refuse(w, err)
			return
		}
		page, err := nodes.ListNodes(r.Context(), store.NodeQuery{
			At: at, After: v.Get("after"), Find: v.Get("find"), Ownerless: v.Get("ownerless") != "",
		})
		answerOr(w, page, err)
	})
	at := func(pattern string, do func(r *http.Request, name store.NodeName) (any, error)) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			at, err := address(r)
			var v any
			if err == nil {
				v, err = do(r, store.NodeName{JID: at, Node: r.URL.Query().Get("node")})
			}
			answerOr(w, v, err)
		})
	}
	at("GET /node", func(r *http.Request, name store.NodeName) (any, error) { return nodes.ShowNode(r.Context(), name) })
	at("DELETE /node", func(r *http.Request, name store.NodeName) (any, error) {
		return struct{}{}, nodes.DeleteNode(r.Context(), name, r.URL.Query().Get("moved"))
	})
	at("GET /node/items", func(r *http.Request, name store.NodeName) (any, error) {
		limit, _ := strconv.Atoi(r.URL.Query().Get("limit")) // 0: a page
		return nodes.NodeItems(r.Context(), name, r.URL.Query().Get("before"), limit)
	})
	at("DELETE /node/items", func(r *http.Request, name store.NodeName) (any, error) {
		return struct{}{}, nodes.PurgeNode(r.Context(), name)
	})
	at("GET /node/affiliations", func(r *http.Request, name store.NodeName) (any, error) {
		return nodes.NodeAffiliations(r.Context(), name)
	})
	mux.HandleFunc("PUT /node/affiliations", func(w http.ResponseWriter, r *http.Request) {
		var in Affiliation
		if !read(w, r, &in) {
			return
		}
		at, err := address(r)
		if err == nil {
			err = nodes.AffiliateNode(r.Context(), store.NodeName{JID: at, Node: r.URL.Query().Get("node")}, in)
		}
		answerOr(w, in, err)
	})
}
