// SPDX-License-Identifier: Apache-2.0

package sensordata

// How to read this file: the elements in the order of the package's first file, each with what is written and what is read;
// then the parts that they share.

import (
	"github.com/stonechat-im/stonechat/internal/attr"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
	"github.com/stonechat-im/stonechat/xmpp/xsd"
)

// XMLName implements stanza.Payload.
func (*Request) XMLName() xmlstream.Name { return xep.element(xep.request) }

// AppendXML implements stanza.Payload.
func (q *Request) AppendXML(dst []byte) []byte { return xep.appendRequest(dst, q) }

// DecodeXML implements stanza.Payload. What is beyond the bounds is policy-violation, all else that is wrong bad-request.
func (q *Request) DecodeXML(r *xmlstream.Reader) error { return xep.readRequest(r, q) }

func (d *dialect) appendRequest(dst []byte, q *Request) []byte {
	dst = d.open(dst, d.request, q.Seq)
	dst = d.appendWanted(dst, q.Categories)
	dst = xmlstream.AppendAttr(dst, d.from, q.From.String())
	dst = xmlstream.AppendAttr(dst, d.to, q.To.String())
	dst = xmlstream.AppendAttr(dst, d.when, q.When.String())
	dst = xmlstream.AppendAttr(dst, d.serviceToken, q.Tokens.Service)
	dst = xmlstream.AppendAttr(dst, d.deviceToken, q.Tokens.Device)
	dst = xmlstream.AppendAttr(dst, d.userToken, q.Tokens.User)
	if len(q.Nodes) == 0 && len(q.Names) == 0 {
		return append(dst, "/>"...)
	}
	dst = append(dst, '>')
	for _, n := range q.Nodes {
		dst = append(d.appendNode(append(append(dst, '<'), d.node...), n), "/>"...)
	}
	for _, name := range q.Names {
		dst = append(append(dst, '<'), d.field...)
		dst = append(xmlstream.AppendRequired(dst, d.name, name), "/>"...)
	}
	return xmlstream.AppendEnd(dst, d.request)
}

func (d *dialect) readRequest(r *xmlstream.Reader, q *Request) error {
	*q = Request{Seq: d.readSeq(r)}
	for key, value := range r.Attrs() {
		switch key {
		case d.all:
			q.Categories |= flagged(r, key, value, All)
		case d.historical:
			q.Categories |= flagged(r, key, value, Historical)
		case d.from:
			q.From = attr.Time(r, key, value)
		case d.to:
			q.To = attr.Time(r, key, value)
		case d.when:
			q.When = attr.Time(r, key, value)
		case d.serviceToken:
			q.Tokens.Service = short(r, value)
		case d.deviceToken:
			q.Tokens.Device = short(r, value)
		case d.userToken:
			q.Tokens.User = short(r, value)
		default:
			if c := d.categoryOf(key); c != 0 {
				q.Categories |= flagged(r, key, value, c)
			}
		}
	}
	for n := range r.Children() {
		switch n {
		case d.element(d.node):
			q.Nodes = append(q.Nodes, d.readNode(r, true))
			attr.Bounded(r, len(q.Nodes), MaxNodes, "nodes")
		case d.element(d.field):
			q.Names = append(q.Names, named(r, d.name))
			attr.Bounded(r, len(q.Names), MaxNames, "names of fields")
		}
	}
	return r.Err()
}

// XMLName implements stanza.Payload.
func (*Accepted) XMLName() xmlstream.Name { return xep.element(xep.accepted) }

// AppendXML implements stanza.Payload.
func (a *Accepted) AppendXML(dst []byte) []byte { return xep.appendAccepted(dst, a) }

// DecodeXML implements stanza.Payload.
func (a *Accepted) DecodeXML(r *xmlstream.Reader) error { return xep.readAccepted(r, a) }

func (d *dialect) appendAccepted(dst []byte, a *Accepted) []byte {
	dst = d.open(dst, d.accepted, a.Seq)
	return append(appendFlag(dst, d.queued, a.Queued), "/>"...)
}

func (d *dialect) readAccepted(r *xmlstream.Reader, a *Accepted) error {
	*a = Accepted{Seq: d.readSeq(r), Queued: attr.Bool(r, d.queued, false)}
	return r.Err()
}

// XMLName implements stanza.Payload.
func (*Started) XMLName() xmlstream.Name { return xep.element(xep.started) }

// AppendXML implements stanza.Payload.
func (s *Started) AppendXML(dst []byte) []byte {
	return append(xep.open(dst, xep.started, s.Seq), "/>"...)
}

// DecodeXML implements stanza.Payload.
func (s *Started) DecodeXML(r *xmlstream.Reader) error {
	s.Seq = xep.readSeq(r)
	return r.Err()
}

// XMLName implements stanza.Payload.
func (*Done) XMLName() xmlstream.Name { return xep.element(xep.done) }

// AppendXML implements stanza.Payload.
func (d *Done) AppendXML(dst []byte) []byte { return append(xep.open(dst, xep.done, d.Seq), "/>"...) }

// DecodeXML implements stanza.Payload.
func (d *Done) DecodeXML(r *xmlstream.Reader) error {
	d.Seq = xep.readSeq(r)
	return r.Err()
}

// XMLName implements stanza.Payload.
func (*Cancel) XMLName() xmlstream.Name { return xep.element(xep.cancel) }

// AppendXML implements stanza.Payload.
func (c *Cancel) AppendXML(dst []byte) []byte {
	return append(xep.open(dst, xep.cancel, c.Seq), "/>"...)
}

// DecodeXML implements stanza.Payload.
func (c *Cancel) DecodeXML(r *xmlstream.Reader) error {
	c.Seq = xep.readSeq(r)
	return r.Err()
}

// XMLName implements stanza.Payload.
func (*Cancelled) XMLName() xmlstream.Name { return xep.element(xep.cancelled) }

// AppendXML implements stanza.Payload.
func (c *Cancelled) AppendXML(dst []byte) []byte {
	return append(xep.open(dst, xep.cancelled, c.Seq), "/>"...)
}

// DecodeXML implements stanza.Payload.
func (c *Cancelled) DecodeXML(r *xmlstream.Reader) error {
	c.Seq = xep.readSeq(r)
	return r.Err()
}

// XMLName implements stanza.Payload.
func (*Rejection) XMLName() xmlstream.Name { return xep.element(xep.rejected) }

// AppendXML implements stanza.Payload.
func (e *Rejection) AppendXML(dst []byte) []byte {
	dst = append(xep.open(dst, xep.rejected, e.Seq), '>')
	return xmlstream.AppendEnd(xmlstream.AppendText(dst, xep.err, e.Text), xep.rejected)
}

// DecodeXML implements stanza.Payload.
func (e *Rejection) DecodeXML(r *xmlstream.Reader) error {
	*e = Rejection{Seq: xep.readSeq(r)}
	for n := range r.Children() {
		if n == xep.element(xep.err) {
			e.Text = r.Text()
		}
	}
	return r.Err()
}

// XMLName implements stanza.Payload.
func (*Fields) XMLName() xmlstream.Name { return xep.element(xep.fields) }

// AppendXML implements stanza.Payload.
func (f *Fields) AppendXML(dst []byte) []byte { return xep.appendFields(dst, f) }

// DecodeXML implements stanza.Payload. What is beyond the bounds is policy-violation, all else that is wrong bad-request: a value
// that is none of its type, too. Fields of unknown types are left out.
func (f *Fields) DecodeXML(r *xmlstream.Reader) error { return xep.readFields(r, f) }

func (d *dialect) appendFields(dst []byte, f *Fields) []byte {
	dst = d.open(dst, d.fields, f.Seq)
	dst = d.appendFinal(dst, f.Done)
	if len(f.Nodes) == 0 {
		return append(dst, "/>"...)
	}
	dst = append(dst, '>')
	for i := range f.Nodes {
		n := &f.Nodes[i]
		dst = append(d.appendNode(append(append(dst, '<'), d.node...), n.Node), '>')
		for j := range n.Timestamps {
			t := &n.Timestamps[j]
			dst = append(append(dst, '<'), d.timestamp...)
			dst = append(xmlstream.AppendRequired(dst, d.at, t.At.String()), '>')
			for k := range t.Fields {
				dst = d.appendField(dst, &t.Fields[k])
			}
			dst = xmlstream.AppendEnd(dst, d.timestamp)
		}
		dst = xmlstream.AppendEnd(dst, d.node)
	}
	return xmlstream.AppendEnd(dst, d.fields)
}

func (d *dialect) readFields(r *xmlstream.Reader, f *Fields) error {
	*f = Fields{Seq: d.readSeq(r), Done: d.readFinal(r)}
	parts := 0
	node, timestamp := d.element(d.node), d.element(d.timestamp)
	for n := range r.Children() {
		if n != node {
			continue
		}
		parts++
		of := NodeFields{Node: d.readNode(r, false)}
		for n := range r.Children() {
			if n != timestamp {
				continue
			}
			parts++
			at := Timestamp{At: attr.Time(r, d.at, r.Attr(d.at))}
			for n := range r.Children() {
				if n.Space != d.space {
					continue
				}
				if t := d.typeOf(n.Local); t != 0 {
					parts++
					attr.Bounded(r, parts, MaxParts, "parts")
					at.Fields = append(at.Fields, d.readField(r, t))
				}
			}
			attr.Bounded(r, parts, MaxParts, "parts")
			of.Timestamps = append(of.Timestamps, at)
		}
		attr.Bounded(r, parts, MaxParts, "parts")
		f.Nodes = append(f.Nodes, of)
	}
	return r.Err()
}

// XMLName implements stanza.Payload.
func (*Failure) XMLName() xmlstream.Name { return xep.element(xep.failure) }

// AppendXML implements stanza.Payload.
func (f *Failure) AppendXML(dst []byte) []byte { return xep.appendFailure(dst, f) }

// DecodeXML implements stanza.Payload.
func (f *Failure) DecodeXML(r *xmlstream.Reader) error { return xep.readFailure(r, f) }

func (d *dialect) appendFailure(dst []byte, f *Failure) []byte {
	dst = d.open(dst, d.failure, f.Seq)
	dst = d.appendFinal(dst, f.Done)
	if len(f.Errors) == 0 {
		return append(dst, "/>"...)
	}
	dst = append(dst, '>')
	for i := range f.Errors {
		e := &f.Errors[i]
		dst = d.appendNode(append(append(dst, '<'), d.err...), e.Node)
		dst = append(xmlstream.AppendRequired(dst, d.errorAt, e.At.String()), '>')
		dst = xmlstream.AppendEnd(xmlstream.AppendEscaped(dst, e.Text), d.err)
	}
	return xmlstream.AppendEnd(dst, d.failure)
}

func (d *dialect) readFailure(r *xmlstream.Reader, f *Failure) error {
	*f = Failure{Seq: d.readSeq(r), Done: d.readFinal(r)}
	for n := range r.Children() {
		if n != d.element(d.err) {
			continue
		}
		e := NodeError{Node: d.readNode(r, false)}
		e.At, _ = xsd.ParseDateTime(r.Attr(d.errorAt)) // the schema takes any text
		e.Text = r.Text()
		f.Errors = append(f.Errors, e)
		attr.Bounded(r, len(f.Errors), MaxErrors, "errors")
	}
	return r.Err()
}

func (d *dialect) open(dst []byte, local, seq string) []byte {
	return xmlstream.AppendRequired(xmlstream.AppendStart(dst, local, d.space), d.seq, seq)
}

// appendNode writes the attributes of a node.
func (d *dialect) appendNode(dst []byte, n Node) []byte {
	dst = xmlstream.AppendRequired(dst, d.nodeID, n.ID)
	dst = xmlstream.AppendAttr(dst, d.sourceID, n.Source)
	return xmlstream.AppendAttr(dst, d.cacheType, n.Cache)
}

// readNode reads the attributes of a node.
func (d *dialect) readNode(r *xmlstream.Reader, required bool) Node {
	n := Node{ID: short(r, r.Attr(d.nodeID)), Source: short(r, r.Attr(d.sourceID)), Cache: short(r, r.Attr(d.cacheType))}
	if required && n.ID == "" {
		r.Fail(stanza.BadRequest.Err("a node needs an ID"))
	}
	return n
}

// appendWanted writes the categories of a request.
func (d *dialect) appendWanted(dst []byte, c Category) []byte {
	switch {
	case c&All == All:
		return appendFlag(dst, d.all, true)
	case c&Historical == Historical:
		dst = appendFlag(dst, d.historical, true)
		c &^= Historical
	}
	return appendSet(dst, uint16(c), d.categories[:])
}

// appendFinal writes whether this is the end of a readout.
func (d *dialect) appendFinal(dst []byte, done bool) []byte {
	return appendFlag(dst, d.final, done != d.goesOn)
}

func (d *dialect) readFinal(r *xmlstream.Reader) bool {
	return attr.Bool(r, d.final, false) != d.goesOn
}

func (d *dialect) appendField(dst []byte, f *Field) []byte {
	if f.Type == 0 || f.Type >= typesEnd {
		return dst
	}
	dst = append(append(dst, '<'), d.types[f.Type]...)
	dst = xmlstream.AppendRequired(dst, d.name, f.Name)
	dst = appendSet(dst, uint16(f.Categories), d.categories[:])
	dst = appendSet(dst, uint16(f.Quality), d.qualities[:])
	dst = xmlstream.AppendRequired(dst, d.value, f.Value)
	switch f.Type {
	case TypeNumeric:
		dst = xmlstream.AppendRequired(dst, d.unit, f.Unit)
	case TypeEnum:
		dst = xmlstream.AppendRequired(dst, d.dataType, f.DataType)
	}
	dst = xmlstream.AppendAttr(dst, d.module, f.Module)
	dst = xmlstream.AppendAttr(dst, d.stringIDs, f.StringIDs)
	switch f.Writable {
	case WritableYes:
		dst = appendFlag(dst, d.writable, true)
	case WritableNo:
		dst = append(append(append(dst, ' '), d.writable...), "='false'"...)
	}
	return append(dst, "/>"...)
}

func (d *dialect) readField(r *xmlstream.Reader, t Type) Field {
	f := Field{Type: t}
	for key, value := range r.Attrs() {
		switch key {
		case d.name:
			f.Name = short(r, value)
		case d.value:
			f.Value = value
		case d.unit:
			if t == TypeNumeric {
				f.Unit = short(r, value)
			}
		case d.dataType:
			if t == TypeEnum {
				f.DataType = short(r, value)
			}
		case d.module:
			f.Module = short(r, value)
		case d.stringIDs:
			f.StringIDs = short(r, value)
		case d.writable:
			if f.Writable = flagged(r, key, value, WritableYes); f.Writable == WritableUnknown {
				f.Writable = WritableNo
			}
		default:
			if c := d.categoryOf(key); c != 0 {
				f.Categories |= flagged(r, key, value, c)
			} else if q := d.qualityOf(key); q != 0 {
				f.Quality |= flagged(r, key, value, q)
			}
		}
	}
	if f.Name == "" {
		r.Fail(stanza.BadRequest.Err("a field needs a name"))
	}
	clean, err := t.Schema().Clean(f.Value)
	if err != nil && (f.Value != "" || f.Quality&Missing == 0) {
		r.Fail(stanza.BadRequest.Err("the value of a field is none of its type"))
	}
	f.Value = clean
	return f
}

func (d *dialect) readSeq(r *xmlstream.Reader) string {
	seq := r.Attr(d.seq)
	if d.seqText {
		if seq == "" {
			r.Fail(stanza.BadRequest.Err("a readout needs an ID"))
		}
		return short(r, seq)
	}
	seq, err := xsd.TypeInt.Clean(seq)
	if err != nil {
		r.Fail(stanza.BadRequest.Err("a readout needs a sequence number"))
	}
	return seq
}

func appendFlag(dst []byte, name string, v bool) []byte {
	if !v {
		return dst
	}
	return append(append(append(dst, ' '), name...), "='true'"...)
}

func appendSet(dst []byte, set uint16, names []string) []byte {
	for i, name := range names {
		dst = appendFlag(dst, name, set&(1<<i) != 0)
	}
	return dst
}

// flagged is v if the attribute is true, else its zero.
func flagged[V ~uint8 | ~uint16](r *xmlstream.Reader, key, value string, v V) V {
	if !attr.True(r, key, value) {
		return 0
	}
	return v
}

func named(r *xmlstream.Reader, key string) string {
	name := short(r, r.Attr(key))
	if name == "" {
		r.Fail(stanza.BadRequest.Err("a field needs a name"))
	}
	return name
}

func short(r *xmlstream.Reader, s string) string { return attr.Short(r, s, MaxLength) }
