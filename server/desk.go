// SPDX-License-Identifier: Apache-2.0

package server

import "github.com/stonechat-im/stonechat/xmpp/stanza"

// Desk answers the requests to a place (Place) as the server answers those to its own domains: each
// exactly once, whatever becomes of the handler (Q1). A module that attaches a place makes one.
type Desk struct {
	server *Server
	module string
	iqs    iqs
}

// NewDesk makes one, for Init.
func (h *Host) NewDesk() *Desk {
	d := &Desk{server: h.Server, module: h.name, iqs: iqs{handlers: make(map[iqKey]*IQHandler)}}
	h.Server.desks = append(h.Server.desks, d)
	return d
}

// IQ registers who answers one request, for Init. IQHandler.At means nothing here, and Query.User is
// nil; whom the request is for (the domain, a room, somebody in it) is Query.To.
func (d *Desk) IQ(h IQHandler) {
	h.module, h.At = d.module, AtHost
	d.iqs.add(h)
}

// Answer answers s, a request, or refuses it with service-unavailable where no handler takes it. Results
// and errors are dropped. It must not be called under a lock that a handler, or Place.Take, wants.
func (d *Desk) Answer(t *Turn, s *stanza.Stanza) {
	if !s.Type.IsRequest() {
		return
	}
	h := d.iqs.find(AtHost, s)
	switch {
	case h == nil:
		t.Refuse(s, stanza.ServiceUnavailable.Err(""))
	case !h.Blocking:
		d.server.answer(t, h, &Query{Stanza: s})
	case h.Quick != nil && d.server.answerNow(t, h, &Query{Stanza: s}):
	default:
		t.offLoop(s, func(t *Turn, s *stanza.Stanza) { d.server.answer(t, h, &Query{Stanza: s}) })
	}
}
