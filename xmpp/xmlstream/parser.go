// SPDX-License-Identifier: Apache-2.0

package xmlstream

import "bytes"

// How to read this file.
//
// A Parser knows where in the stream it is (its phase) and where its input is;
// a scanner, which it borrows, knows XML. Input is read where it lies. Only a
// token that the input ends within moves to the scanner's buf:
//
//	data  │ consumed │ tok… │            Feed, Next: EventNone, "tok" is in buf
//	buf   │ tok │                        data is the caller's again
//	data  │ …en │ next token │           Feed
//	buf   │ tok…en │ nex │               Next takes a little more than it has: twice
//	                                     as much; what is too much stays in data

// Parser cuts input into events. It is not safe for concurrent use.
type Parser struct {
	content string
	limits  limits

	data []byte // input; what is before pos is consumed
	pos  int
	base int64 // offset of data[0] in the stream

	scan   *scanner // while a token is being read, or an Element is in use
	start  int64    // the token's offset in the stream
	mode   Mode
	phase  phase
	inside bool  // a token is being read
	fresh  bool  // a frame has been fed and not been read
	again  bool  // there was a stream before this one
	bom    uint8 // how many bytes of it were read

	header   *Header
	declared string // by the header: see scope.enter
	name     string // the header's
	err      *Error
}

// phase is where in the stream the parser is.
type phase uint8

const (
	atStart  phase = iota // nothing was read
	inProlog              // white space or an XML declaration was read
	inStream
	atEnd
)

// NewParser returns a parser that expects a new stream, or frames. content is
// the content namespace: "jabber:client", "jabber:server", ….
func NewParser(mode Mode, content string, l Limits) *Parser {
	return &Parser{mode: mode, content: content, limits: l.small()}
}

// SetLimits changes the limits, from the next element on.
func (p *Parser) SetLimits(l Limits) { p.limits = l.small() }

// Feed gives the parser its next input, which it reads in place: data must stay
// unchanged until Next returns EventNone or an error, or until Keep.
//
// In Frame mode data is one whole frame, and the frame before must have been read.
func (p *Parser) Feed(data []byte) {
	if p.mode == Frame {
		p.fresh, p.phase = true, atStart
	}
	p.base += int64(p.pos)
	if p.pos < len(p.data) {
		data = append(bytes.Clone(p.data[p.pos:]), data...)
	}
	p.data, p.pos = data, 0
}

// Keep copies what is not consumed yet, so that the buffer given to Feed may be
// reused. It does not copy the current Element, whose bytes may lie there, too.
func (p *Parser) Keep() {
	p.base += int64(p.pos)
	p.data, p.pos = bytes.Clone(p.data[p.pos:]), 0
}

// Buffered returns how many bytes of input are not consumed yet: those behind
// the last event.
func (p *Parser) Buffered() int {
	n := len(p.data) - p.pos
	if p.inside {
		n += len(p.scan.buf)
	}
	return n
}

// Rest returns the input behind the last event that is not consumed yet, borrowed; nil within an element.
func (p *Parser) Rest() []byte {
	if p.inside {
		return nil
	}
	return p.data[p.pos:]
}

// Unread has b, which must begin where an element may, read before the rest of the input. It is for after an
// EventElement, and b is copied.
func (p *Parser) Unread(b []byte) {
	p.base += int64(p.pos - len(b))
	p.data, p.pos = append(bytes.Clone(b), p.data[p.pos:]...), 0
}

// Started reports whether the parser is inside an incomplete element or header.
func (p *Parser) Started() bool { return p.inside }

// SkipSpace drops white space behind the last event.
func (p *Parser) SkipSpace() {
	if !p.inside {
		p.pos = skipSpace(p.data, p.pos)
	}
}

// Reset makes the parser expect a new stream; unread bytes are kept. White space ahead of it is the
// old stream's.
//
// COMPAT(go-xmpp, 2022): it ends lines behind <auth/> and <response/>.
func (p *Parser) Reset() {
	if p.inside {
		p.data = append(bytes.Clone(p.scan.buf), p.data[p.pos:]...)
		p.pos = 0
	}
	p.release()
	p.base = -int64(p.pos)
	p.phase, p.bom, p.again = atStart, 0, true
	p.header, p.declared, p.name, p.err = nil, "", "", nil
}

// Header returns the stream header after EventOpen, until the next call of Next. It is the caller's.
func (p *Parser) Header() *Header { return p.header }

// Element returns the element after EventElement, until the next call of Next.
func (p *Parser) Element() *Element {
	if p.scan == nil {
		return nil
	}
	return &p.scan.elem
}

// Next returns the next event. Errors are sticky and always an *[Error]. After
// EventClose what comes is read and thrown away.
func (p *Parser) Next() (Event, error) {
	p.header = nil
	for p.err == nil {
		if !p.inside && !p.find() {
			break
		}
		b := p.read()
		if b == nil {
			break
		}
		if event := p.take(b); event != EventNone {
			return event, nil
		}
	}
	return EventNone, p.rest()
}

// rest lets go of what is not needed until there is more input.
func (p *Parser) rest() error {
	if !p.inside || p.err != nil {
		p.release()
	}
	p.base += int64(p.pos)
	p.data, p.pos = nil, 0
	if p.err != nil {
		return p.err
	}
	return nil
}

func (p *Parser) release() {
	if p.scan != nil {
		p.scan.giveBack()
	}
	p.scan, p.inside = nil, false
}

func (p *Parser) fail(condition, text string) {
	p.err = &Error{Condition: condition, Text: text, Offset: p.base + int64(p.pos)}
}

// find goes to the next token's `<` and begins to read it.
func (p *Parser) find() bool {
	if p.phase == atStart && p.mode == Stream && !p.skipBOM() || p.mode == Frame && !p.fresh {
		return false
	}
	if i := skipSpace(p.data, p.pos); i > p.pos && (p.mode == Stream || p.phase == inProlog) {
		p.pos = i
		if p.phase != atStart || !p.again {
			p.phase = max(p.phase, inProlog)
		}
	}
	switch {
	case p.phase == atEnd:
		p.pos = len(p.data)
		return false
	case p.pos < len(p.data) && p.data[p.pos] == '<':
		p.begin()
		return true
	case p.mode == Frame:
		p.fail(NotWellFormed, "frame does not begin with an element")
	case p.pos == len(p.data):
	case p.phase == inStream:
		p.fail(BadFormat, "character data between elements")
	default:
		p.fail(NotWellFormed, "not XML")
	}
	return false
}

// begin lends a scanner and tells it what may come.
func (p *Parser) begin() {
	if p.scan == nil {
		p.scan = takeScanner(p.declared)
	}
	e := expect{limits: p.limits.wide(), contentSpace: p.content, mayDeclare: p.phase == atStart}
	if p.mode == Stream {
		e.wantHeader, e.streamName = p.phase != inStream, p.name
	}
	p.scan.begin(e)
	p.inside, p.start = true, p.base+int64(p.pos)
}

// skipBOM skips a byte order mark. It reports whether what follows is known.
func (p *Parser) skipBOM() bool {
	const bom = "\xEF\xBB\xBF"
	for ; p.pos < len(p.data); p.pos++ {
		switch c := p.data[p.pos]; {
		case p.bom < 3 && c == bom[p.bom]:
			p.bom++
		case p.bom == 0 && (c == 0xFE || c == 0xFF):
			p.fail(UnsupportedEncoding, "encoding is not UTF-8")
			return false
		case 0 < p.bom && p.bom < 3:
			p.fail(NotWellFormed, "not XML")
			return false
		default:
			return true
		}
	}
	return false
}

// read reads on in the token. It returns its bytes, or nil if there are not
// enough or the token is malformed.
func (p *Parser) read() []byte {
	s := p.scan
	if len(s.buf) == 0 {
		b := p.data[p.pos:]
		switch i := s.run(b); {
		case i > 0:
			p.pos += i
			return b[:i]
		case i == needMore && p.mode == Frame:
			p.pos = len(p.data)
			p.fail(NotWellFormed, "frame ends within an element")
		case i == needMore:
			s.buf = append(s.buf, b...)
			p.pos = len(p.data)
		default:
			p.scanFailed()
		}
		return nil
	}
	for p.pos < len(p.data) {
		n := min(len(p.data)-p.pos, max(len(s.buf), 512))
		s.buf = append(s.buf, p.data[p.pos:p.pos+n]...)
		p.pos += n
		i := s.run(s.buf)
		if i > 0 {
			b := s.buf[:i]
			p.pos -= len(s.buf) - i
			s.buf = s.buf[:0]
			return b
		}
		if i == failed {
			p.scanFailed()
			return nil
		}
	}
	return nil
}

func (p *Parser) scanFailed() {
	p.err = p.scan.err
	p.err.Offset += p.start
}

// take makes an event of the complete token in b; an XML declaration is none.
func (p *Parser) take(b []byte) Event {
	p.inside = false
	switch p.scan.token {
	case headerToken:
		p.phase = inStream
		p.header, p.declared, p.name = p.scan.newHeader(b)
		p.release()
		return EventOpen
	case closeToken:
		p.phase = atEnd
		return EventClose
	case declarationToken:
		p.phase = inProlog
		return EventNone
	}
	if p.mode == Frame {
		if p.pos = skipSpace(p.data, p.pos); p.pos < len(p.data) {
			p.fail(NotWellFormed, "more than one element in a frame")
			return EventNone
		}
		p.fresh = false
	}
	if !p.scan.finish(b) {
		p.scanFailed()
		return EventNone
	}
	return EventElement
}
