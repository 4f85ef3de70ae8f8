// SPDX-License-Identifier: Apache-2.0

// Package muc has the rooms: places at HOST.DOMAIN where many talk, each with its own rules about who
// may enter, speak and see whom.
//
// XEP-0045 (complete, 1.35.5), XEP-0317 (complete, 0.3.1), XEP-0410 (complete, 1.1.0), XEP-0421 (complete, 1.0.1),
// XEP-0425 (complete, 0.3.0), XEP-0486 (complete, 0.1.0)
//
// How to read this package: muc.go has the configuration and the way of a stanza to its room; table.go
// which rooms are in memory, and how one is loaded, made and let go; room.go a room, who is in it and how
// they are told; then a file for each use case: join.go, leave.go, message.go, invite.go, voice.go,
// admin.go, affiliation.go, owner.go, options.go, register.go, hats.go, archive.go, disco.go, relay.go, vcard.go; operator.go is
// what the operator does.
//
// Locks: room.change is held, on workers only, while what lasts is changed and committed; room.mu, which may be
// taken under it, while anything of the room is looked at. Nothing is routed and nothing waits under
// room.mu: what is to be sent is added to an outbox, which runs when the lock is let go (room.unlock).
package muc

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stonechat-im/stonechat/config"
	"github.com/stonechat-im/stonechat/internal/metrics"
	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/server/adhoc"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/muc"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// Config is the key modules.muc.
type Config struct {
	// The rooms of example.org are at this name below it: conference.example.org.
	Host string `yaml:"host" default:"conference"`
	// Who may make rooms: those with an account here, anyone, or nobody.
	Create string `yaml:"create" default:"local" oneof:"local anyone nobody" live:"yes"`
	// Rooms of one domain.
	MaxRooms int `yaml:"max_rooms" default:"20000" live:"yes"`
	// Rooms that one account may have made.
	MaxRoomsPerCreator int `yaml:"max_rooms_per_creator" default:"200" live:"yes"`
	// Sessions in one room; owners and admins may enter beyond it, up to a tenth more.
	MaxOccupants int `yaml:"max_occupants" default:"5000" live:"yes"`
	// Owners, admins, members, outcasts and reserved nicks of one room. People register themselves up to nine tenths of it: the rest
	// is for those whom admins choose or ban.
	MaxAffiliations int `yaml:"max_affiliations" default:"10000" live:"yes"`
	// Messages that somebody who enters is sent, whatever the room and the client say.
	MaxHistory int `yaml:"max_history" default:"50" live:"yes"`
	// Of a message to a room.
	MessageBytes config.Bytes `yaml:"message_bytes" default:"65536" live:"yes"`
	// Of a presence sent to a room, and of all hats of a room: everybody in it gets it.
	PresenceBytes config.Bytes `yaml:"presence_bytes" default:"8192" live:"yes"`
	// Of a nick.
	NickBytes int `yaml:"nick_bytes" default:"200" live:"yes"`
	// Of the name, description or password of a room, and of the reason of a change.
	TextBytes int `yaml:"text_bytes" default:"2048" live:"yes"`
	// Of a room's vCard, which has its picture.
	VCardBytes config.Bytes `yaml:"vcard_bytes" default:"131072" live:"yes"`
	// Hats of one room (XEP-0317).
	MaxHats int `yaml:"max_hats" default:"100" live:"yes"`
	// Requests to become a member of one room that nobody has decided on.
	MaxRequests int `yaml:"max_requests" default:"100" live:"yes"`
	// RequestAgain is how long somebody who has asked for membership or voice in a room waits before he asks there again: each time all
	// admins, or moderators, are written to. Who asks before is refused with resource-constraint.
	RequestAgain time.Duration `yaml:"request_again" default:"10m" live:"yes"`
	// Requests of one address to others in rooms that are not answered yet.
	MaxQuestions int `yaml:"max_questions" default:"250" live:"yes"`
	// People may ask to be registered with a room, and have a nick reserved.
	Registration bool `yaml:"registration" default:"true" live:"yes"`
	// What a room is unless its owner says otherwise.
	Default Default `yaml:"default"`
}

// Default is the key modules.muc.default.
type Default struct {
	// It stays when everybody has left.
	Persistent bool `yaml:"persistent" default:"false" live:"yes"`
	// Everybody can find it.
	Public bool `yaml:"public" default:"true" live:"yes"`
	// Only its members may enter.
	MembersOnly bool `yaml:"members_only" default:"false" live:"yes"`
	// Only those with voice may speak.
	Moderated bool `yaml:"moderated" default:"false" live:"yes"`
	// Everybody in it sees everybody's address.
	NonAnonymous bool `yaml:"non_anonymous" default:"false" live:"yes"`
	// Messages that somebody who enters is sent.
	History int `yaml:"history" default:"20" live:"yes"`
}

// Module is the rooms of all domains.
type Module struct {
	config   atomic.Pointer[Config]
	server   *server.Server
	store    store.Store
	log      interface{ Error(string, ...any) }
	desk     *server.Desk
	archive  Archive       // nil: there is none
	leader   *adhoc.Leader // nil: there are no commands
	hosts    []string      // the places' domains
	commands []adhoc.Command

	secret    atomic.Pointer[[]byte] // of occupant ids
	making    sync.Mutex             // held while secret is read or made
	deletions atomic.Int64           // of accounts
	table     table
	questions questions
	asked     asked
	metrics   moduleMetrics
}

type moduleMetrics struct {
	refused metrics.CounterVec // by key
}

// New makes the module. What is said is kept by archive, and people are led through commands by leader; both may be nil.
func New(c Config, archive Archive, leader *adhoc.Leader) *Module {
	m := &Module{archive: archive, leader: leader}
	if leader != nil {
		m.commands = m.hatCommands()
	}
	m.config.Store(&c)
	return m
}

// Name implements server.Module.
func (*Module) Name() string { return "muc" }

// Reload implements server.Reloader.
func (m *Module) Reload(next server.Module) { m.config.Store(next.(*Module).config.Load()) }

// Init implements server.Module.
func (m *Module) Init(h *server.Host) error {
	m.server, m.store, m.log = h.Server, h.Store, h.Log
	m.metrics.refused = h.Metrics.CounterVec("stonechat_rooms_limited_total",
		"What a bound of the rooms has refused (modules.muc.max_rooms, modules.muc.max_rooms_per_creator, modules.muc.max_occupants, "+
			"modules.muc.max_affiliations, modules.muc.message_bytes, modules.muc.presence_bytes, modules.muc.nick_bytes, "+
			"modules.muc.text_bytes, modules.muc.vcard_bytes, modules.muc.max_hats, modules.muc.max_requests, modules.muc.request_again, modules.muc.max_questions).", "key")
	h.Metrics.GaugeFunc("stonechat_rooms_loaded", "Rooms in memory.", func() float64 { return float64(m.table.count()) })
	m.table.rooms = make(map[jid.JID]*room)
	m.desk = h.NewDesk()
	m.answers(h)
	h.Deleted, h.Stopping = m.deleted, m.stopping
	for _, domain := range h.Server.Domains() {
		host := m.config.Load().Host + "." + domain
		if j, err := jid.New("", host, ""); err != nil || j.Domain() != host {
			return fmt.Errorf("modules.muc.host: %q is no domain", host)
		}
		if _, err := h.Server.Attach(host, m); err != nil {
			return fmt.Errorf("modules.muc.host: %w", err)
		}
		m.hosts = append(m.hosts, host)
	}
	return nil
}

// limited counts what a bound has refused, and says so to the peer.
func (m *Module) limited(key string, e *stanza.Error) error {
	m.metrics.refused.WithLabelValues(key).Inc()
	return e
}

// Present implements server.Place.
func (*Module) Present() bool { return true }

// Take implements server.Place. What it is about is told by where it is sent to: the service, a room, or
// somebody in it.
func (m *Module) Take(t *server.Turn, s *stanza.Stanza) error {
	switch {
	case s.Kind == stanza.IQ && (s.To.IsBare() || !s.Type.IsRequest()):
		m.desk.Answer(t, s)
		return nil
	case s.To.IsDomain() && s.Kind == stanza.Message && s.Type != stanza.TypeError:
		return stanza.ServiceUnavailable.Err("nobody reads messages to the service itself")
	case s.To.IsDomain() && s.Kind == stanza.IQ:
		return stanza.ServiceUnavailable.Err("")
	case s.To.IsDomain():
		return nil
	case s.Type == stanza.TypeError:
		m.bounced(t, s)
		return nil
	}
	switch s.Kind {
	case stanza.IQ:
		return m.with(t, s, m.relay)
	case stanza.Presence:
		m.refuse(t, s, m.takePresence(t, s))
		return nil
	}
	return m.takeMessage(t, s)
}

// takePresence is all that people do by presence: they come, go, change what they are called and say how
// they are (XEP-0045 §7.2, §7.6, §7.7, §7.14).
func (m *Module) takePresence(t *server.Turn, s *stanza.Stanza) error {
	switch s.Type {
	case stanza.Available:
	case stanza.Unavailable:
		if r := m.table.acquire(s.To.Bare()); r != nil { // else nobody is in it
			defer m.release(t, r)
			r.left(t, s)
		}
		return nil
	default:
		return nil // §17.3: neither enters nor leaves
	}
	if s.To.IsBare() {
		return stanza.JIDMalformed.Err("a nick is missing: send presence to " + s.To.String() + "/NICK")
	}
	if r := m.table.acquire(s.To.Bare()); r != nil {
		defer m.release(t, r)
		if r.crowded() {
			return r.offLoop(t, s, r.present)
		}
		return r.present(t, s)
	}
	if !s.Has(muc.NS, "x") {
		t.Route(notHere(s))
		return nil
	}
	t.OffLoop(nil, s, func(t *server.Turn, s *stanza.Stanza) {
		r, err := m.openOrCreate(s)
		if err == nil {
			err = r.present(t, s)
			m.release(t, r)
		}
		m.refuse(t, s, err)
	})
	return nil
}

// takeMessage is what is said in rooms, to them, and in private.
func (m *Module) takeMessage(t *server.Turn, s *stanza.Stanza) error {
	if s.Size() > int(m.config.Load().MessageBytes) {
		return m.limited("message_bytes", stanza.PolicyViolation.Err("the message is too long"))
	}
	switch {
	case s.To.IsFull() && s.Type == stanza.Groupchat:
		return stanza.BadRequest.Err("messages to the room are sent to its own address") // §7.5
	case s.To.IsFull():
		return m.with(t, s, (*room).whisper)
	case s.Type == stanza.Groupchat:
		return m.with(t, s, (*room).say)
	case s.Type == stanza.Headline || s.Type == stanza.Chat:
		return stanza.BadRequest.Err("messages to a room are of type groupchat")
	}
	return m.with(t, s, (*room).request)
}

// with runs f with the room that s is for: at once where it is in memory, else when it is. What f returns
// refuses s, and so does that there is no such room.
func (m *Module) with(t *server.Turn, s *stanza.Stanza, f func(r *room, t *server.Turn, s *stanza.Stanza) error) error {
	if r := m.table.acquire(s.To.Bare()); r != nil {
		defer m.release(t, r)
		return f(r, t, s)
	}
	t.OffLoop(nil, s, func(t *server.Turn, s *stanza.Stanza) {
		r, err := m.open(s.To.Bare())
		if err == nil {
			err = f(r, t, s)
			m.release(t, r)
		}
		m.refuse(t, s, err)
	})
	return nil
}

// offLoop goes on with f where it may wait for the store, with r held.
func (r *room) offLoop(t *server.Turn, s *stanza.Stanza, f func(t *server.Turn, s *stanza.Stanza) error) error {
	m := r.module
	m.table.hold(r)
	t.OffLoop(nil, s, func(t *server.Turn, s *stanza.Stanza) {
		m.refuse(t, s, f(t, s))
		m.release(t, r)
	})
	return nil
}

// refuse is what the server does with an error of Take, for what was sent off the loop, and for presence: whoever is not let into
// a room is told so wherever he is, where presence to accounts is not answered.
func (m *Module) refuse(t *server.Turn, s *stanza.Stanza, err error) {
	if err == nil {
		return
	}
	e, told := stanza.AsError(err)
	if !told {
		m.log.Error("stanza to a room failed", "jid", s.To.String(), "stanza", s.Kind.String(), "err", err)
	}
	if s.Kind == stanza.Presence && (t.Origin == nil || t.Origin.JID != s.From) {
		t.Route(s.Refuse(e))
		return
	}
	t.Refuse(s, e)
}

// notHere is what tells a client that sends presence to a room, and does not know that it is not in it, by the
// words of a kick (§7.2.17).
func notHere(s *stanza.Stanza) *stanza.Stanza {
	k := stanza.New(stanza.Presence, stanza.Unavailable, s.From, &muc.User{
		Items:    []muc.Item{{Affiliation: muc.Unaffiliated, Role: muc.NoRole}},
		Statuses: []int{muc.StatusSelf, muc.StatusKicked, muc.StatusTechnical},
	})
	k.From, k.ID = s.To.Clone(), slices.Clone(s.ID)
	k.To = s.From.Clone()
	return k
}

// local reports whether somebody has an account here.
func (m *Module) local(user jid.JID) bool { return m.server.Serves(user.Domain()) }

// fold is a nick as nicks are compared: who differs by case or spaces only is the same to people (§13.6).
func fold(nick string) string { return strings.Join(strings.Fields(strings.ToLower(nick)), " ") }

// brief refuses texts that are kept with a room, or shown to all in it, and are too long.
func (m *Module) brief(texts ...string) error {
	for _, s := range texts {
		if len(s) > m.config.Load().TextBytes {
			return m.limited("text_bytes", stanza.PolicyViolation.Err("a text is too long"))
		}
	}
	return nil
}

// deleted forgets what an account was in rooms: another account of its name is nobody there.
func (m *Module) deleted(t *server.Turn, u *server.User) {
	m.deletions.Add(1) // who reads a room now reads it again
	m.asked.forget(u.JID)
	for _, r := range m.table.all() {
		r.mu.Lock()
		r.forget(t, u.JID)
		r.unlock(t)
		m.release(t, r)
	}
}
