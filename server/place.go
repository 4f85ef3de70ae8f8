// SPDX-License-Identifier: Apache-2.0

package server

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/stonechat-im/stonechat/internal/trace"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// Place takes what is addressed to a domain, or to anybody at it, that has no accounts of ours: an
// external component, rooms, a gateway in this process; attached for every other domain, the way
// to other servers. It gets stanzas by Turn.Route, from sessions, from the server itself and from
// other places, and answers by Turn.Route, or as a peer with a stream by its Inlet.
type Place interface {
	// Take takes charge of s, which is stamped and borrowed. An error refuses s as a hook's does
	// (SentHook). It may be called from any goroutine and must not wait.
	//
	// s counts as kept when Take returns. A place that can lose it afterwards holds Turn.Receipt
	// until it cannot.
	Take(t *Turn, s *stanza.Stanza) error
	// Present reports whether there is somebody to talk to: only then is the place listed by
	// service discovery.
	Present() bool
}

// Elsewhere is the name under which a place is attached for all domains that nobody has.
const Elsewhere = ""

// places is the table of places. It is copied to be changed, so that it is read without a lock.
type places map[string]Place

// Attach gives what is for domain, prepared, to p until detach is called. It may be called at any
// time. A domain is served by one: the error says that it is taken.
func (s *Server) Attach(domain string, p Place) (detach func(), err error) {
	s.placing.Lock()
	defer s.placing.Unlock()
	now := *s.places.Load()
	if now[domain] != nil || s.Serves(domain) {
		return nil, fmt.Errorf("server: the domain %q is served already", domain)
	}
	next := maps.Clone(now)
	next[domain] = p
	s.places.Store(&next)
	return func() { s.detach(domain, p) }, nil
}

func (s *Server) detach(domain string, p Place) {
	s.placing.Lock()
	defer s.placing.Unlock()
	if now := *s.places.Load(); now[domain] == p {
		next := maps.Clone(now)
		delete(next, domain)
		s.places.Store(&next)
	}
}

// place is who takes stanzas for domain, or nil.
func (s *Server) place(domain string) Place {
	all := *s.places.Load()
	if p := all[domain]; p != nil {
		return p
	}
	return all[Elsewhere]
}

// Places are the addresses of the places that are present and belong to one of our domains, sorted:
// those below it; the default domain has those that are below none as well.
func (s *Server) Places(domain string) []jid.JID {
	var list []jid.JID
	for name, p := range *s.places.Load() {
		if name == Elsewhere || s.above(name) != domain || !p.Present() {
			continue
		}
		if j, err := jid.New("", name, ""); err == nil {
			list = append(list, j)
		}
	}
	slices.SortFunc(list, func(a, b jid.JID) int { return strings.Compare(a.String(), b.String()) })
	return list
}

// above is the domain of ours that lists the place of that name.
func (s *Server) above(name string) string {
	best := ""
	for _, d := range s.domains {
		if strings.HasSuffix(name, "."+d) && len(d) > len(best) {
			best = d
		}
	}
	if best == "" {
		return s.domains[0]
	}
	return best
}

// toPlace handles what is for a domain without accounts of ours.
func (s *Server) toPlace(t *Turn, st *stanza.Stanza) {
	p := s.place(st.To.Domain())
	if p == nil {
		t.refuse(st, stanza.RemoteServerNotFound.Err(""))
		return
	}
	if err := p.Take(t, st); err != nil {
		t.refuse(st, err)
		return
	}
	if t.way != nil {
		t.note(trace.Queued, "for "+st.To.Domain(), st)
	}
}

// Receipt is that of the stanza being handled: whoever can still lose the stanza when its handling
// is over holds it, and lets go when the stanza is kept or refused.
func (t *Turn) Receipt() Receipt { return t.receipt }

// Flusher is somebody to whom a turn has queued something.
type Flusher interface{ Flush(t *Turn) }

// Later has f flushed when the turn ends, with all that the turn has queued for it. It is for
// each who becomes dirty to call once.
func (t *Turn) Later(f Flusher) { t.later = append(t.later, f) }
