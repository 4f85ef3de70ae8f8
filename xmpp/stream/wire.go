// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"errors"
	"time"

	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// How to read this file: bytes in (Feed, Keep), bytes out (unsent, which Out gives away), then the way of what
// comes in to the one side of a stream (take, a machine), then the end.

// wire is what both sides have in common: bytes in, bytes out, and the end.
type wire struct {
	parser   *xmlstream.Parser
	unsent   *unsent // nil when all has been taken: a stream that is bound says little by itself
	deadline time.Time
	err      error // of the event End
	ahead    int   // how many bytes the peer may send while the machine waits
	state    State

	framed  bool
	secure  bool
	opened  bool // our header is sent, since the last restart
	closing bool // our end tag is sent
	waiting bool // for the caller's answer: nothing is parsed
	mute    bool // between <proceed/> and TLSStarted: nothing is sent or received
	ended   bool // End is reported
}

// unsent is what Out has not given away.
type unsent struct {
	bytes    []byte
	messages []int // Framed: where in bytes each message ends
}

// out is what the next element is appended to.
func (w *wire) out() []byte {
	if w.unsent == nil {
		return nil
	}
	return w.unsent.bytes
}

func (w *wire) mode() xmlstream.Mode {
	if w.framed {
		return xmlstream.Frame
	}
	return xmlstream.Stream
}

// Feed gives the machine what the connection read (in Framed mode one message).
// data must stay unchanged until Next returns None.
func (w *wire) Feed(data []byte) {
	if w.state != Closed {
		w.parser.Feed(data)
	}
}

// Keep copies what is not consumed yet, so that the buffer given to Feed may be
// reused although Next has not returned None: the caller pauses. Next goes on later.
func (w *wire) Keep() {
	if w.state != Closed {
		w.parser.Keep()
	}
}

// Out returns the bytes to send and gives them away; nil if there are none. In
// Framed mode it returns one message at a time.
func (w *wire) Out() []byte {
	u := w.unsent
	if u == nil {
		return nil
	}
	if len(u.messages) > 1 {
		n := u.messages[0]
		message := u.bytes[:n:n]
		u.bytes = u.bytes[n:]
		u.messages = u.messages[1:]
		for i := range u.messages {
			u.messages[i] -= n
		}
		return message
	}
	w.unsent = nil
	return u.bytes
}

// wrote ends an element appended to out. Nothing follows our end tag: what is answered to things that came
// afterwards is dropped. RFC 6120 §4.4.
func (w *wire) wrote(out []byte) {
	if w.closing {
		return
	}
	if w.unsent == nil {
		w.unsent = new(unsent)
	}
	w.unsent.bytes = out
	if w.framed {
		w.unsent.messages = append(w.unsent.messages, len(out))
	}
}

// send sends one element.
func (w *wire) send(element string) { w.wrote(append(w.out(), element...)) }

// Started reports whether an element, or the header, has begun and not ended: the
// caller may want to limit for how long.
func (w *wire) Started() bool { return w.state != Closed && w.parser.Started() }

// Deadline returns when Expire wants to be called, zero if never. It changes only
// by calls of other methods.
func (w *wire) Deadline() time.Time { return w.deadline }

// State returns how far the stream has come.
func (w *wire) State() State { return w.state }

// Secure reports whether TLS is on.
func (w *wire) Secure() bool { return w.secure }

// next returns the parser's next event, or the stream error its refusal calls for.
func (w *wire) next() (event xmlstream.Event, e *Error) {
	event, err := w.parser.Next()
	if err == nil {
		return event, nil
	}
	e = &Error{Condition: InternalServerError}
	if x := (*xmlstream.Error)(nil); errors.As(err, &x) {
		e.Condition, e.Text = Condition(x.Condition), x.Text
	}
	return xmlstream.EventNone, e
}

// machine is what the one side of a stream does with what comes from the other.
type machine interface {
	header(h header)
	element(e *xmlstream.Element) Event
}

// take hands to the machine what comes next. done says that Next returns event: there is one, or nothing more to take. What the
// parser refuses is for the machine to end the stream with.
func (w *wire) take(m machine) (event Event, done bool, refused *Error) {
	found, refused := w.next()
	if refused != nil {
		return Event{}, false, refused
	}
	switch found {
	case xmlstream.EventNone:
		return Event{}, true, nil
	case xmlstream.EventOpen:
		m.header(headerOf(w.parser.Header()))
	case xmlstream.EventClose:
		w.peerClosed()
	case xmlstream.EventElement:
		event = m.element(w.parser.Element())
	}
	return event, event.Kind != None, nil
}

// pause is Next while the machine waits: the driver's buffer is set free. It
// reports whether the peer has run too far ahead.
func (w *wire) pause() (tooMuch bool) {
	w.parser.Keep()
	return w.parser.Buffered() > w.ahead
}

// end ends the stream: nothing is parsed any more, and End is due.
func (w *wire) end(err error) {
	w.err, w.state = err, Closed
	w.waiting = false
	w.deadline = time.Time{}
}

// last returns End, once.
func (w *wire) last() Event {
	if w.ended {
		return Event{}
	}
	w.ended = true
	return Event{Kind: End, Err: w.err}
}

// peerClosed answers the other side's end tag with ours. RFC 6120 §4.4.
func (w *wire) peerClosed() {
	w.sendEnd()
	w.end(nil)
}

// sendEnd sends our end tag, once, if there is a stream to end.
func (w *wire) sendEnd() {
	if w.closing || w.mute || !w.opened {
		return
	}
	w.send(endTag(w.framed))
	w.closing = true
}

// sendError sends a stream error, unless our end tag is out.
func (w *wire) sendError(e *Error) {
	if !w.mute {
		w.wrote(e.appendXML(w.out(), w.framed))
	}
}

// restart makes the stream new: after TLS, after SASL. RFC 6120 §4.3.3.
func (w *wire) restart() {
	w.parser.Reset()
	w.opened = false
}
