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
	"github.com/stonechat-im/stonechat/internal/metrics"
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
	most   atomic.Int64 // bytes that may wait for a client that goes on to do what is refused; 0: any number
	unread metrics.Counter
	name   server.SessionSlot[name]

	mu       sync.Mutex
	sessions map[name]*server.Session
}

// New makes the module. most is limits.unread_bytes.
func New(c Config, most config.Bytes) *Module {
	m := &Module{sessions: make(map[name]*server.Session)}
	m.config.Store(&c)
	m.most.Store(int64(most))
	return m
}

// Name implements server.Module.
func (*Module) Name() string { return "sm" }

// Reload implements server.Reloader.
func (m *Module) Reload(next server.Module) {
	n := next.(*Module)
	m.config.Store(n.config.Load())
	m.most.Store(n.most.Load())
}

// Init implements server.Module.
func (m *Module) Init(h *server.Host) error {
	m.name = server.NewSessionSlot[name](h)
	m.unread = h.Metrics.Counter("stonechat_sm_unread_total", "Streams ended because the client went on to do what stream management refuses, and did not read the refusals (limits.unread_bytes).")
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
		return m.failed(st, stanza.BadRequest)
	}
	if se == nil || se.Managed() {
		// Before binding, or twice: XEP-0198 §3.
		return m.failed(st, stanza.UnexpectedRequest)
	}
	granted := sm.Enabled{}
	var wait time.Duration
	if longest := m.config.Load().Resume.D(); ask.Resume && longest > 0 && !se.User.Guest() { // a guest cannot prove to be who comes back
		wait = longest
		if asked := time.Duration(ask.Max) * time.Second; ask.Max > 0 && asked < wait {
			wait = asked
		}
		id := newName()
		granted = sm.Enabled{ID: id.String(), Resume: true, Max: uint32(wait / time.Second)}
		m.name.Set(se, &id)
		m.mu.Lock()
		m.sessions[id] = se
		m.mu.Unlock()
		if !se.Attached() {
			m.ended(t, se, server.Presence{}) // it has ended meanwhile, perhaps before it had the name
		}
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
		return m.failed(st, stanza.BadRequest)
	}
	if se != nil || st.State() != stream.Authenticated {
		return m.failed(st, stanza.UnexpectedRequest)
	}
	var old *server.Session
	if id, ok := parseName(ask.PrevID); ok {
		m.mu.Lock()
		old = m.sessions[id]
		m.mu.Unlock()
	}
	if old == nil || old.JID.Bare() != st.Account() {
		// Another account's session is as good as none: an id is no secret to guess at.
		return m.failed(st, stanza.ItemNotFound)
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
		return m.failed(st, stanza.UnexpectedRequest)
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
		return m.failed(st, stanza.UnexpectedRequest)
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

// failed refuses and lets the stream live, unless the client does not read.
func (m *Module) failed(st server.Stream, c stanza.Condition) error {
	if most := m.most.Load(); most > 0 && int64(st.Queued()) > most {
		m.unread.Inc()
		return &stream.Error{Condition: stream.PolicyViolation, Text: "what was answered is not read"}
	}
	st.Queue((&sm.Failed{Condition: c}).AppendXML(nil))
	st.Flush()
	return nil
}

// name is the id by which a session is resumed.
type name [15]byte

// newName is unpredictable, although only the session's own account may resume it.
func newName() (n name) {
	_, _ = rand.Read(n[:]) // it never fails
	return n
}

func (n name) String() string { return base64.RawURLEncoding.EncodeToString(n[:]) }

// parseName is String's inverse.
func parseName(s string) (n name, ok bool) {
	b, err := base64.RawURLEncoding.DecodeString(s)
	ok = err == nil && len(b) == len(n)
	copy(n[:], b)
	return n, ok
}
