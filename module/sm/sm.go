// SPDX-License-Identifier: Apache-2.0

// Package sm lets clients acknowledge stanzas and resume a session whose connection broke. The
// counting is the server's (server.Session); this module has the elements and the names under
// which sessions are resumed.
//
// XEP-0198 (complete, 1.6.3)
package sm

import (
	"crypto/rand"
	"encoding/base64"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stonechat-im/stonechat/config"
	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/xmpp/sm"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/stream"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// Config is the key modules.sm.
type Config struct {
	// SpoolAfter is how long a client may take to acknowledge a message before the server
	// commits it to disk, so that its sender's acknowledgement need not wait longer.
	SpoolAfter config.Duration `yaml:"spool_after" default:"100ms" live:"yes"`
	// Resume is how long a session waits for its client after a connection broke.
	Resume config.Duration `yaml:"resume" default:"10m" live:"yes"`
}

// Module is stream management.
type Module struct {
	config atomic.Pointer[Config]
	name   server.SessionSlot[string]

	mu       sync.Mutex
	sessions map[string]*server.Session // by the id they are resumed with
}

// New makes the module.
func New(c Config) *Module {
	m := &Module{sessions: make(map[string]*server.Session)}
	m.config.Store(&c)
	return m
}

// Name implements server.Module.
func (*Module) Name() string { return "sm" }

// Reload implements server.Reloader.
func (m *Module) Reload(next server.Module) { m.config.Store(next.(*Module).config.Load()) }

// Init implements server.Module.
func (m *Module) Init(h *server.Host) error {
	m.name = server.NewSessionSlot[string](h)
	h.Features = m.features
	h.Ended = m.ended
	for local, do := range map[string]server.ElementHandler{
		"enable": m.enable, "resume": m.resume, "r": m.request, "a": m.ack,
	} {
		h.Element(xmlstream.Name{Space: sm.NS, Local: local}, do)
	}
	return nil
}

func (*Module) features(dst []byte, st server.Stream) []byte {
	if st.State() != stream.Authenticated {
		return dst
	}
	return (&sm.Feature{}).AppendXML(dst)
}

// enable answers <enable/> (XEP-0198 §3).
func (m *Module) enable(t *server.Turn, st server.Stream, se *server.Session, e *xmlstream.Element) error {
	var ask sm.Enable
	if err := ask.DecodeXML(xmlstream.NewReader(e.Raw, stanza.NSClient)); err != nil {
		return failed(st, stanza.BadRequest)
	}
	if se == nil || se.Managed() {
		// Before binding, or twice: XEP-0198 §3.
		return failed(st, stanza.UnexpectedRequest)
	}
	granted := sm.Enabled{}
	var wait time.Duration
	if longest := m.config.Load().Resume.D(); ask.Resume && longest > 0 {
		wait = longest
		if asked := time.Duration(ask.Max) * time.Second; ask.Max > 0 && asked < wait {
			wait = asked
		}
		granted = sm.Enabled{ID: newID(), Resume: true, Max: uint32(wait / time.Second)}
		m.name.Set(se, &granted.ID)
		m.mu.Lock()
		m.sessions[granted.ID] = se
		m.mu.Unlock()
	}
	// What the session is sent from now on is counted, so the answer goes first.
	st.Queue(granted.AppendXML(nil))
	se.Manage(wait)
	st.Flush()
	return nil
}

// resume answers <resume/> (XEP-0198 §5).
func (m *Module) resume(t *server.Turn, st server.Stream, se *server.Session, e *xmlstream.Element) error {
	var ask sm.Resume
	if err := ask.DecodeXML(xmlstream.NewReader(e.Raw, stanza.NSClient)); err != nil {
		return failed(st, stanza.BadRequest)
	}
	if se != nil || st.State() != stream.Authenticated {
		return failed(st, stanza.UnexpectedRequest)
	}
	m.mu.Lock()
	old := m.sessions[ask.PrevID]
	m.mu.Unlock()
	if old == nil || old.JID.Bare() != st.Account() {
		// Another account's session is as good as none: an id is no secret to guess at.
		return failed(st, stanza.ItemNotFound)
	}
	return old.Resume(t, st, ask.H, func(h uint32, ok bool) []byte {
		if !ok {
			return (&sm.Failed{Condition: stanza.ItemNotFound}).AppendXML(nil)
		}
		return (&sm.Resumed{PrevID: ask.PrevID, H: h}).AppendXML(nil)
	})
}

// request answers <r/>.
func (m *Module) request(t *server.Turn, st server.Stream, se *server.Session, _ *xmlstream.Element) error {
	if se == nil || !se.Managed() {
		return failed(st, stanza.UnexpectedRequest)
	}
	se.Requested(t)
	return nil
}

// ack takes <a/>.
func (m *Module) ack(t *server.Turn, st server.Stream, se *server.Session, e *xmlstream.Element) error {
	h, ok := sm.HOf(e)
	switch {
	case !ok:
		return &stream.Error{Condition: stream.BadFormat, Text: "an <a/> needs a number h"}
	case se == nil || !se.Managed():
		return failed(st, stanza.UnexpectedRequest)
	}
	return se.Acked(t, h)
}

func (m *Module) ended(_ *server.Turn, se *server.Session, _ server.Presence) {
	if id := m.name.Of(se); id != nil {
		m.mu.Lock()
		delete(m.sessions, *id)
		m.mu.Unlock()
	}
}

// failed refuses and lets the stream live.
func failed(st server.Stream, c stanza.Condition) error {
	st.Queue((&sm.Failed{Condition: c}).AppendXML(nil))
	st.Flush()
	return nil
}

// newID is unpredictable, although only the session's own account may resume it.
func newID() string {
	var b [15]byte
	_, _ = rand.Read(b[:]) // it never fails
	return base64.RawURLEncoding.EncodeToString(b[:])
}
