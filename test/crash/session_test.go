// SPDX-License-Identifier: Apache-2.0

//go:build linux

package crash

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"
)

// habits are how a client behaves.
type habits struct {
	secure   bool
	managed  bool // stream management
	silent   bool // never acks
	ackEvery int  // acks by itself after so many stanzas; it always answers <r/>
}

// session is one resource of an account as its client has it, over several connections where it is resumed. All
// methods may be called from any goroutine.
type session struct {
	habits
	user, resource string
	// begun is told that a session was bound, taken of each message that the client has taken, refused of each that
	// came back, in order and with the session's mutex held.
	begun   func()
	taken   func(m message, delayed bool)
	refused func(m message, e *element)
	// other, where it is set, is asked first what to make of a message or presence, with the mutex held.
	other func(e *element) bool

	mu      sync.Mutex
	changed sync.Cond
	link    *link // nil: there is none
	address string
	closing bool   // our end of the stream is closed
	ended   string // the stream error that the server sent last
	fences  int    // headlines to ourselves that have come back
	answers map[string]*element
	lastID  int

	id    string // under which the session is resumed
	in    uint32 // stanzas taken
	told  uint32 // of which the server was told
	out   []sent // not acked
	acked uint32
}

// sent is a stanza in the client's own queue.
type sent struct {
	xml string
	ok  func() // called when it is acked; may be nil
}

var (
	errGone      = errors.New("the connection is gone")
	errImpatient = errors.New("no answer")
)

func newSession(user, resource string, h habits) *session {
	s := &session{habits: h, user: user, resource: resource, answers: map[string]*element{}}
	s.changed.L = &s.mu
	return s
}

// connect logs in and binds, or resumes if there is something to resume; a refused resumption goes on to binding in the
// same stream. It reports whether the session was resumed; if not, it is a new one.
func (s *session) connect(srv *server) (resumed bool, err error) {
	l, _, err := dial(srv.address(s.secure), srv.domain(), s.secure)
	if err != nil {
		return false, err
	}
	defer func() {
		if err != nil {
			l.reset()
		}
	}()
	if err := l.logIn(s.user); err != nil {
		return false, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.id != "" {
		e, err := l.ask("<resume xmlns='" + nsSM + "' previd='" + s.id + "' h='" + fmt.Sprint(s.in) + "'/>")
		if err != nil {
			return false, err
		}
		if e.is(nsSM, "resumed") {
			return true, s.goOn(l, e)
		}
		if !e.is(nsSM, "failed") {
			return false, fmt.Errorf("resume: %s", e)
		}
	}
	s.id, s.in, s.told, s.out, s.acked = "", 0, 0, nil, 0
	clear(s.answers)
	if s.address, err = l.bind(s.resource); err != nil {
		return false, err
	}
	if s.begun != nil {
		s.begun()
	}
	if s.managed {
		if err := s.enable(l); err != nil {
			return false, err
		}
	}
	s.run(l)
	return false, nil
}

// enable turns stream management on. Stanzas that come before the answer are not counted.
func (s *session) enable(l *link) error {
	e, err := l.ask("<enable xmlns='" + nsSM + "' resume='true'/>")
	for ; err == nil && e.Name.Space == nsClient; e, err = readElement(l.in) {
		s.take(e)
	}
	if err != nil {
		return err
	}
	if !e.is(nsSM, "enabled") || e.attr("id") == "" {
		return fmt.Errorf("enable: %s", e)
	}
	s.id = e.attr("id")
	return nil
}

// goOn is after a resumption: what the server has not had is sent again.
func (s *session) goOn(l *link, e *element) error {
	s.told = s.in
	if err := s.ackedTo(e.attr("h")); err != nil {
		return err
	}
	s.run(l)
	for _, x := range s.out {
		if err := l.write(x.xml); err != nil {
			return err
		}
	}
	return nil
}

// run reads l from now on. The caller holds mu.
func (s *session) run(l *link) {
	_ = l.tcp.SetDeadline(time.Time{})
	s.link, s.closing, s.ended = l, false, ""
	go func() {
		for {
			e, err := readElement(l.in)
			s.mu.Lock()
			if s.link != l {
				s.mu.Unlock()
				return // dropped: what it still brings has not come
			}
			if err != nil {
				s.link = nil
				s.changed.Broadcast()
				s.mu.Unlock()
				_ = l.tcp.Close()
				return
			}
			s.handle(e)
			s.changed.Broadcast()
			s.mu.Unlock()
		}
	}()
}

// handle takes one element. The caller holds mu.
func (s *session) handle(e *element) {
	switch {
	case e.is(nsSM, "r"):
		if !s.silent && !s.closing {
			s.tell()
		}
	case e.is(nsSM, "a"):
		if err := s.ackedTo(e.attr("h")); err != nil {
			s.ended = err.Error()
		}
	case e.is(nsStream, "error"):
		s.ended = e.String()
	case e.Name.Space == nsClient:
		if s.managed && s.closing {
			return // it cannot be acked any more: to the client it has not come
		}
		s.in++
		s.take(e)
		if s.managed && !s.silent && s.ackEvery > 0 && s.in-s.told >= uint32(s.ackEvery) {
			s.tell()
		}
	}
}

// tell acks. The caller holds mu.
func (s *session) tell() {
	s.told = s.in
	_ = s.link.write("<a xmlns='" + nsSM + "' h='" + strconv.FormatUint(uint64(s.in), 10) + "'/>")
}

// take takes one stanza. The caller holds mu.
func (s *session) take(e *element) {
	switch {
	case e.is(nsClient, "iq"):
		s.answers[e.attr("id")] = e
	case s.other != nil && s.other(e):
	case e.is(nsClient, "message") && e.attr("type") == "headline":
		s.fences++
	case e.is(nsClient, "message"):
		m, err := parseMessage(e)
		switch {
		case err != nil:
			s.ended = err.Error()
		case e.attr("type") == "error" && s.refused != nil:
			s.refused(m, e)
		case e.attr("type") == "error":
			s.ended = fmt.Sprintf("%v was refused: %s", m, e)
		case s.taken != nil:
			s.taken(m, e.child(nsDelay, "delay") != nil)
		}
	}
}

// ackedTo takes the server's h. The caller holds mu.
func (s *session) ackedTo(h string) error {
	n, err := strconv.ParseUint(h, 10, 32)
	if err != nil {
		return fmt.Errorf("h='%s': %w", h, err)
	}
	if d := uint32(n) - s.acked; d > uint32(len(s.out)) {
		return fmt.Errorf("h='%s' after %d, but only %d were sent since", h, s.acked, len(s.out))
	}
	for s.acked != uint32(n) {
		if s.out[0].ok != nil {
			s.out[0].ok()
		}
		s.out = s.out[1:]
		s.acked++
	}
	return nil
}

// send sends one stanza; ok is called when the server has acked it.
func (s *session) send(xml string, ok func()) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.put(xml, ok)
}

func (s *session) put(xml string, ok func()) error {
	if s.link == nil || s.closing {
		return errGone
	}
	if s.managed {
		s.out = append(s.out, sent{xml, ok})
	}
	return s.link.write(xml)
}

// nonza sends what is not counted.
func (s *session) nonza(xml string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.link == nil || s.closing {
		return errGone
	}
	return s.link.write(xml)
}

// demand asks for an ack.
func (s *session) demand() error { return s.nonza("<r xmlns='" + nsSM + "'/>") }

// available sends initial presence.
func (s *session) available() error { return s.send("<presence/>", nil) }

// await waits until done, which is called with the mutex held. It fails when the connection goes first.
func (s *session) await(what string, done func() bool) error {
	timer := time.AfterFunc(patience, s.changed.Broadcast)
	defer timer.Stop()
	limit := time.Now().Add(patience)
	s.mu.Lock()
	defer s.mu.Unlock()
	for !done() {
		if s.link == nil {
			return errGone
		}
		if !time.Now().Before(limit) {
			return fmt.Errorf("%s@%s/%s: %s (%d acked, %d not): %w", s.user, domain, s.resource, what, s.acked, len(s.out), errImpatient)
		}
		s.changed.Wait()
	}
	return nil
}

// ask sends a request and waits for its result.
func (s *session) ask(to, typ, payload string) (*element, error) {
	s.mu.Lock()
	s.lastID++
	id := "q" + strconv.Itoa(s.lastID)
	if to != "" {
		to = " to='" + to + "'"
	}
	err := s.put("<iq type='"+typ+"' id='"+id+"'"+to+">"+payload+"</iq>", nil)
	s.mu.Unlock()
	if err != nil {
		return nil, err
	}
	var e *element
	err = s.await("answer to "+payload, func() bool {
		e = s.answers[id]
		return e != nil
	})
	if err == nil && e.attr("type") != "result" {
		err = fmt.Errorf("%s: %s", payload, e)
	}
	return e, err
}

// ping proves that the server has handled what was sent before.
func (s *session) ping() error {
	_, err := s.ask(domain, "get", "<ping xmlns='"+nsPing+"'/>")
	return err
}

// setRoster is a change that the server acknowledges when it is durable, and with it all changes made before.
func (s *session) setRoster(contact, name string) error {
	_, err := s.ask("", "set", "<query xmlns='"+nsRoster+"'><item jid='"+contact+"' name='"+name+"'/></query>")
	return err
}

// removeRoster takes a contact away.
func (s *session) removeRoster(contact string) error {
	_, err := s.ask("", "set", "<query xmlns='"+nsRoster+"'><item jid='"+contact+"' subscription='remove'/></query>")
	return err
}

// roster returns the names of the account's contacts by their addresses.
func (s *session) roster() (map[string]string, error) {
	e, err := s.ask("", "get", "<query xmlns='"+nsRoster+"'/>")
	if err != nil {
		return nil, err
	}
	names := map[string]string{}
	for _, item := range e.child(nsRoster, "query").children {
		names[item.attr("jid")] = item.attr("name")
		if item.attr("approved") == "true" {
			names[item.attr("jid")] = approved
		}
	}
	return names, nil
}

// drained returns when the client has had all that waited for it: a headline to itself comes behind it.
func (s *session) drained() error {
	s.mu.Lock()
	before := s.fences
	address := s.address
	s.mu.Unlock()
	if err := s.send("<message type='headline' to='"+address+"'><body>fence</body></message>", nil); err != nil {
		return err
	}
	return s.await("fence behind what waited", func() bool { return s.fences > before })
}

// unacked is how many stanzas the client has sent and the server has not acked.
func (s *session) unacked() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.out)
}

// allAcked asks for acks until all is acked.
func (s *session) allAcked() error {
	if err := s.demand(); err != nil {
		return err
	}
	return s.await("ack of all", func() bool { return len(s.out) == 0 })
}

// alive reports whether there is a connection.
func (s *session) alive() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.link != nil
}

// drop breaks the connection, as the network does.
func (s *session) drop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.link != nil {
		s.link.reset()
		s.link = nil
		s.changed.Broadcast()
	}
}

// close closes the stream and waits for the server's end. With stream management the last ack goes first, and what
// comes after it is not taken; without it, what comes is taken.
func (s *session) close() error {
	s.mu.Lock()
	if s.link == nil || s.closing {
		s.mu.Unlock()
		return errGone
	}
	if s.managed && !s.silent {
		s.tell()
	}
	s.closing, s.id = true, ""
	err := s.link.write("</stream:stream>")
	s.mu.Unlock()
	if err != nil {
		return err
	}
	if err := s.await("end of the stream", func() bool { return false }); !errors.Is(err, errGone) {
		return err
	}
	return nil
}

// trouble is what the server or the reader complained of, "" for nothing.
func (s *session) trouble() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if strings.Contains(s.ended, "system-shutdown") {
		return ""
	}
	return s.ended
}
