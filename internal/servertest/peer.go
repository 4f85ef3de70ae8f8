// SPDX-License-Identifier: Apache-2.0

package servertest

// How to read this file: a Peer is what a client does, said in elements and looked at as strings; a Memory is the stream below
// its session.

import (
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing/synctest"

	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/stream"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// Peer is a client.
type Peer struct {
	Server  *Server
	Stream  *Memory
	Session *server.Session
	in      *xmlstream.Parser
}

// Client makes a session of a full address.
func (s *Server) Client(address string) *Peer {
	s.T.Helper()
	full := jid.MustParse(address)
	return s.client(full, func(t *server.Turn, st server.Stream) (*server.Session, error) {
		return s.Bind(s.T.Context(), t, st, full, "")
	})
}

// Guest is Client of somebody without an account.
func (s *Server) Guest(address string) *Peer {
	s.T.Helper()
	full := jid.MustParse(address)
	return s.client(full, func(t *server.Turn, st server.Stream) (*server.Session, error) {
		return s.BindGuest(s.T.Context(), t, st, full, "")
	})
}

func (s *Server) client(full jid.JID, bind func(*server.Turn, server.Stream) (*server.Session, error)) *Peer {
	s.T.Helper()
	p := &Peer{Server: s, Stream: &Memory{account: full.Bare()}, in: s.elements(nil)}
	p.Stream.resumed.L = &p.Stream.mu
	t := s.NewTurn()
	defer t.End()
	var err error
	if p.Session, err = bind(t, p.Stream); err != nil {
		s.T.Fatal(err)
	}
	return p
}

// elements is a parser within a stream of those bytes.
func (s *Server) elements(b []byte) *xmlstream.Parser {
	s.T.Helper()
	p := xmlstream.NewParser(xmlstream.Stream, stanza.NSClient, xmlstream.Limits{ElementBytes: 1 << 20, Depth: 100, Attributes: 100, Children: 1 << 18})
	p.Feed(slices.Concat([]byte("<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='d' version='1.0'>"), b))
	if ev, err := p.Next(); ev != xmlstream.EventOpen || err != nil {
		s.T.Fatal(ev, err)
	}
	return p
}

// Feed gives the session what its client sends, and waits where the stream pauses only.
func (p *Peer) Feed(elements ...string) {
	p.Server.T.Helper()
	for again := p.Try(elements...); again; again = p.Try() {
		p.Stream.AwaitResume()
	}
}

// Send is Feed, and returns when all is done that comes of it.
func (p *Peer) Send(elements ...string) {
	p.Server.T.Helper()
	p.Feed(elements...)
	synctest.Wait()
}

// Try gives the session what one read brought, and reports whether its stream is paused then, with more to be read.
func (p *Peer) Try(elements ...string) (paused bool) {
	p.Server.T.Helper()
	p.in.Feed([]byte(strings.Join(elements, "")))
	t := p.Server.NewTurn()
	defer t.End()
	for {
		ev, err := p.in.Next()
		if err != nil {
			p.Server.T.Error(err) // it may run on a goroutine of the test's
			return false
		}
		if ev != xmlstream.EventElement {
			return false
		}
		more, err := p.Session.Receive(t, p.Stream, p.in.Element())
		if err != nil {
			p.Server.T.Error(err)
			return false
		}
		if !more {
			p.in.Keep()
			return true
		}
	}
}

// Got takes what the client was sent, one string an element.
func (p *Peer) Got() (all []string) {
	p.Server.T.Helper()
	synctest.Wait()
	p.Stream.mu.Lock()
	out := p.Stream.out
	p.Stream.out = nil
	p.Stream.mu.Unlock()
	for x := p.Server.elements(out); ; {
		switch ev, err := x.Next(); {
		case err != nil:
			p.Server.T.Fatalf("%v in %s", err, out)
		case ev == xmlstream.EventNone:
			return all
		case ev == xmlstream.EventElement:
			all = append(all, string(x.Element().Raw))
		}
	}
}

// Gets compares what the client was sent, in order, each by regular expressions joined with " & ", all of which must match.
func (p *Peer) Gets(patterns ...string) []string {
	p.Server.T.Helper()
	got := p.Got()
	ok := len(got) == len(patterns)
	for i := 0; ok && i < len(patterns); i++ {
		for pattern := range strings.SplitSeq(patterns[i], " & ") {
			ok = ok && regexp.MustCompile(pattern).MatchString(got[i])
		}
	}
	if !ok {
		p.Server.T.Fatalf("%s got\n\t%s\nwant\n\t%s", p.Session.JID, strings.Join(got, "\n\t"), strings.Join(patterns, "\n\t"))
	}
	return got
}

// End closes the stream.
func (p *Peer) End() {
	t := p.Server.NewTurn()
	p.Session.End(t, nil)
	t.End()
}

// Memory is a stream without a socket.
type Memory struct {
	server.Stream // of which nothing else is used
	// OnQueue, where it is set, is told of what is queued; its receiver's account is locked.
	OnQueue func(xml string)

	account jid.JID
	mu      sync.Mutex
	out     []byte
	paused  int
	resumed sync.Cond
	over    bool
	why     *stream.Error
	slow    bool
	unread  int // of a slow client
	aborted bool
}

// Queue implements server.Stream.
func (m *Memory) Queue(b []byte) {
	m.mu.Lock()
	m.out = append(m.out, b...)
	if m.slow {
		m.unread += len(b)
	}
	m.mu.Unlock()
	if m.OnQueue != nil {
		m.OnQueue(string(b))
	}
}

// PutBack makes elements come before what the client has not taken yet.
func (m *Memory) PutBack(elements ...string) {
	m.mu.Lock()
	m.out = append([]byte(strings.Join(elements, "")), m.out...)
	m.mu.Unlock()
}

// Pause implements server.Stream.
func (m *Memory) Pause() {
	m.mu.Lock()
	m.paused++
	m.mu.Unlock()
}

// Resume implements server.Stream.
func (m *Memory) Resume() {
	m.mu.Lock()
	m.paused--
	m.resumed.Broadcast()
	m.mu.Unlock()
}

// AwaitResume returns when the stream is not paused.
func (m *Memory) AwaitResume() {
	m.mu.Lock()
	for m.paused > 0 {
		m.resumed.Wait()
	}
	m.mu.Unlock()
}

// Flush, and what follows, implements server.Stream.
func (*Memory) Flush() {}

// Slow makes a client read from now on no more than Read says; Got has what it was sent all the same.
func (m *Memory) Slow() {
	m.mu.Lock()
	m.slow = true
	m.mu.Unlock()
}

// Read has a slow client read up to n bytes.
func (m *Memory) Read(n int) {
	m.mu.Lock()
	m.unread = max(m.unread-n, 0)
	m.mu.Unlock()
}

// Queued is what a slow client has not read; all others read at once.
func (m *Memory) Queued() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.unread
}

// End implements server.Stream: nothing but Ended tells of it.
func (m *Memory) End(e *stream.Error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.over {
		m.over, m.why = true, e
	}
}

// Ended is whether the server has ended the stream, and by what error, nil for none.
func (m *Memory) Ended() (why *stream.Error, over bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.why, m.over
}

// Abort does nothing but that Aborted tells of it.
func (m *Memory) Abort() {
	m.mu.Lock()
	m.aborted = true
	m.mu.Unlock()
}

// Aborted is whether the server has given the connection up.
func (m *Memory) Aborted() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.aborted
}

// State is that of a session.
func (*Memory) State() stream.State { return stream.Bound }

// Account is the session's.
func (m *Memory) Account() jid.JID { return m.account }

// Secure says that there is TLS.
func (*Memory) Secure() bool { return true }

// Address is none in particular.
func (*Memory) Address() string { return "127.0.0.1:1" }

// Notes are none: the stream is logged in.
func (*Memory) Notes() *sync.Map { return nil }

// Adopt takes the session.
func (*Memory) Adopt(*server.Session) bool { return true }
