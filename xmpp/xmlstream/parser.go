// SPDX-License-Identifier: Apache-2.0

package xmlstream

// Parser cuts input into events. It is not safe for concurrent use.
type Parser struct{}

// NewParser returns a parser that expects a new stream, or frames. content is
// the content namespace: "jabber:client", "jabber:server", ….
func NewParser(mode Mode, content string, l Limits) *Parser { panic("unwritten") }

// Feed gives the parser its next input, which it reads in place: data must stay
// unchanged until Next returns EventNone or an error, or until Keep.
func (p *Parser) Feed(data []byte) { panic("unwritten") }

// Next returns the next event. Errors are sticky and always an *[Error].
func (p *Parser) Next() (Event, error) { panic("unwritten") }

// Keep copies what is not consumed yet, so that the buffer given to Feed may be reused.
func (p *Parser) Keep() { panic("unwritten") }

// Buffered returns how many bytes of input are not consumed yet.
func (p *Parser) Buffered() int { panic("unwritten") }

// Started reports whether the parser is inside an incomplete element or header.
func (p *Parser) Started() bool { panic("unwritten") }

// Reset makes the parser expect a new stream; unread bytes are kept.
func (p *Parser) Reset() { panic("unwritten") }

// SetLimits changes the limits, from the next element on.
func (p *Parser) SetLimits(l Limits) { panic("unwritten") }

// Header returns the stream header after EventOpen, until Reset.
func (p *Parser) Header() *Header { panic("unwritten") }

// Element returns the element after EventElement, until the next call of Next.
func (p *Parser) Element() *Element { panic("unwritten") }
