// SPDX-License-Identifier: Apache-2.0

// Package sm is the vocabulary of stream management: acknowledging stanzas, and
// resuming a stream whose connection broke. Its elements are no stanzas; they
// stand in the stream by themselves, or inside other negotiations (XEP-0386,
// XEP-0388).
//
// XEP-0198 (complete, 1.6.3)
//
// How to read this package: sm.go has what is negotiated, ack.go the two elements
// that are sent all the time, which cost nothing to read and write.
package sm

import (
	"math"
	"strconv"

	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// NS qualifies every element of stream management.
const NS = "urn:xmpp:sm:3"

// Feature is the stream feature. It implements stanza.Payload. XEP-0198 §2
type Feature struct{}

// Enable asks for stream management. It implements stanza.Payload. XEP-0198 §3
type Enable struct {
	Resume bool
	Max    uint32 // preferred time to resume in, in seconds; 0: none said
}

// Enabled grants stream management. It implements stanza.Payload. XEP-0198 §3
type Enabled struct {
	ID       string // of the stream, opaque
	Resume   bool
	Max      uint32 // time to resume in, in seconds; 0: none said
	Location string // preferred address to reconnect to, host[:port]
}

// Resume asks to go on with a former stream. It implements stanza.Payload.
// XEP-0198 §5
type Resume struct {
	PrevID string
	H      uint32 // stanzas handled on the former stream
}

// Resumed says that the former stream goes on. It implements stanza.Payload.
// XEP-0198 §5
type Resumed struct {
	PrevID string
	H      uint32 // stanzas handled on the former stream
}

// Failed refuses Enable or Resume. It implements stanza.Payload. XEP-0198 §5, §6
type Failed struct {
	Condition stanza.Condition // "" where none is said
	H         uint32           // stanzas handled before the former stream expired
	HasH      bool
}

// TooHigh is the application-specific condition of the stream error about a peer
// that acknowledges what it was never sent. It implements stanza.Payload.
// XEP-0198 §6
type TooHigh struct{ H, SendCount uint32 }

// XMLName implements stanza.Payload.
func (*Feature) XMLName() xmlstream.Name { return name("sm") }

// XMLName implements stanza.Payload.
func (*Enable) XMLName() xmlstream.Name { return name("enable") }

// XMLName implements stanza.Payload.
func (*Enabled) XMLName() xmlstream.Name { return name("enabled") }

// XMLName implements stanza.Payload.
func (*Resume) XMLName() xmlstream.Name { return name("resume") }

// XMLName implements stanza.Payload.
func (*Resumed) XMLName() xmlstream.Name { return name("resumed") }

// XMLName implements stanza.Payload.
func (*Failed) XMLName() xmlstream.Name { return name("failed") }

// XMLName implements stanza.Payload.
func (*TooHigh) XMLName() xmlstream.Name { return name("handled-count-too-high") }

// AppendXML implements stanza.Payload.
func (*Feature) AppendXML(dst []byte) []byte { return append(dst, "<sm xmlns='"+NS+"'/>"...) }

// AppendXML implements stanza.Payload.
func (e *Enable) AppendXML(dst []byte) []byte {
	dst = append(dst, "<enable xmlns='"+NS+"'"...)
	dst = appendResume(dst, e.Resume, e.Max)
	return append(dst, "/>"...)
}

// AppendXML implements stanza.Payload.
func (e *Enabled) AppendXML(dst []byte) []byte {
	dst = append(dst, "<enabled xmlns='"+NS+"'"...)
	dst = xmlstream.AppendAttr(dst, "id", e.ID)
	dst = appendResume(dst, e.Resume, e.Max)
	dst = xmlstream.AppendAttr(dst, "location", e.Location)
	return append(dst, "/>"...)
}

// AppendXML implements stanza.Payload.
func (e *Resume) AppendXML(dst []byte) []byte {
	return appendPrevious(append(dst, "<resume"...), e.PrevID, e.H)
}

// AppendXML implements stanza.Payload.
func (e *Resumed) AppendXML(dst []byte) []byte {
	return appendPrevious(append(dst, "<resumed"...), e.PrevID, e.H)
}

// AppendXML implements stanza.Payload.
func (e *Failed) AppendXML(dst []byte) []byte {
	dst = append(dst, "<failed xmlns='"+NS+"'"...)
	if e.HasH {
		dst = appendCount(dst, "h", e.H)
	}
	if e.Condition == "" {
		return append(dst, "/>"...)
	}
	dst = append(append(dst, "><"...), e.Condition...)
	return append(dst, " xmlns='"+stanza.NSStanzas+"'/></failed>"...)
}

// AppendXML implements stanza.Payload.
func (e *TooHigh) AppendXML(dst []byte) []byte {
	dst = append(dst, "<handled-count-too-high xmlns='"+NS+"'"...)
	dst = appendCount(dst, "h", e.H)
	dst = appendCount(dst, "send-count", e.SendCount)
	return append(dst, "/>"...)
}

// DecodeXML implements stanza.Payload. There is nothing to decode.
func (*Feature) DecodeXML(r *xmlstream.Reader) error { return r.Err() }

// DecodeXML implements stanza.Payload. A max that is no number is bad-request.
func (e *Enable) DecodeXML(r *xmlstream.Reader) error {
	*e = Enable{Resume: isTrue(r.Attr("resume")), Max: seconds(r)}
	return r.Err()
}

// DecodeXML implements stanza.Payload. A max that is no number is bad-request, and
// so is a stream to resume without an id.
func (e *Enabled) DecodeXML(r *xmlstream.Reader) error {
	*e = Enabled{ID: r.Attr("id"), Resume: isTrue(r.Attr("resume")), Max: seconds(r), Location: r.Attr("location")}
	if e.Resume && e.ID == "" {
		r.Fail(stanza.BadRequest.Err("a stream to resume needs an id"))
	}
	return r.Err()
}

// DecodeXML implements stanza.Payload. Without previd or h it is bad-request.
func (e *Resume) DecodeXML(r *xmlstream.Reader) error {
	*e = Resume{PrevID: previous(r), H: count(r, "h")}
	return r.Err()
}

// DecodeXML implements stanza.Payload. Without previd or h it is bad-request.
func (e *Resumed) DecodeXML(r *xmlstream.Reader) error {
	*e = Resumed{PrevID: previous(r), H: count(r, "h")}
	return r.Err()
}

// DecodeXML implements stanza.Payload. An h that is no number is bad-request.
func (e *Failed) DecodeXML(r *xmlstream.Reader) error {
	*e = Failed{}
	if _, e.HasH = r.LookupAttr("h"); e.HasH {
		e.H = count(r, "h")
	}
	for n := range r.Children() {
		if n.Space == stanza.NSStanzas && n.Local != "text" {
			e.Condition = stanza.Condition(n.Local)
		}
	}
	return r.Err()
}

// DecodeXML implements stanza.Payload. Numbers that are missing are 0.
func (e *TooHigh) DecodeXML(r *xmlstream.Reader) error {
	*e = TooHigh{}
	if _, ok := r.LookupAttr("h"); ok {
		e.H = count(r, "h")
	}
	if _, ok := r.LookupAttr("send-count"); ok {
		e.SendCount = count(r, "send-count")
	}
	return r.Err()
}

func name(local string) xmlstream.Name { return xmlstream.Name{Space: NS, Local: local} }

func appendResume(dst []byte, resume bool, most uint32) []byte {
	if resume {
		dst = append(dst, " resume='true'"...)
	}
	if most != 0 {
		dst = appendCount(dst, "max", most)
	}
	return dst
}

func appendPrevious(dst []byte, id string, h uint32) []byte {
	dst = append(dst, " xmlns='"+NS+"'"...)
	dst = appendCount(dst, "h", h)
	dst = xmlstream.AppendAttr(dst, "previd", id)
	return append(dst, "/>"...)
}

func appendCount(dst []byte, attr string, n uint32) []byte {
	dst = append(append(append(dst, ' '), attr...), "='"...)
	dst = strconv.AppendUint(dst, uint64(n), 10)
	return append(dst, '\'')
}

func isTrue(s string) bool { return s == "true" || s == "1" }

func count(r *xmlstream.Reader, attr string) uint32 {
	n, ok := parseCount(r.Attr(attr))
	if !ok {
		r.Fail(stanza.BadRequest.Err("stream management needs a number in '" + attr + "'"))
	}
	return n
}

// seconds reads max, a positiveInteger without bound; more than we can hold is as
// much as we can hold.
func seconds(r *xmlstream.Reader) uint32 {
	s, ok := r.LookupAttr("max")
	if !ok {
		return 0
	}
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil || n == 0 {
		r.Fail(stanza.BadRequest.Err("stream management needs a number in 'max'"))
		return 0
	}
	return uint32(min(n, math.MaxUint32))
}

func previous(r *xmlstream.Reader) string {
	id := r.Attr("previd")
	if id == "" {
		r.Fail(stanza.BadRequest.Err("resumption needs a previd"))
	}
	return id
}
