// SPDX-License-Identifier: Apache-2.0

package provisioning

// How to read this file: words has what another generation of this grammar spells otherwise; then what
// payloads share; then each of them in the order of provisioning.go.

import (
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"

	"github.com/stonechat-im/stonechat/internal/attr"
	"github.com/stonechat-im/stonechat/xmpp/sensordata"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// words are the names that generations of this grammar do not share. A generation is a table of them.
type words struct {
	space               string
	node, field         string // elements
	id, source, cache   string // attributes of a node
	fieldName           string // attribute of a field, and of a parameter
	all, historical     string
	categories          [14]string // in the order of the bits
	service, device, of string     // attributes of tokens; of is of a user
}

// xep is the generation of XEP-0324, whose categories are those of XEP-0323.
var xep = words{
	space: NS, node: "node", field: "field", id: "nodeId", source: "sourceId", cache: "cacheType", fieldName: "name",
	all: "all", historical: "historical",
	categories: [14]string{
		"momentary", "peak", "status", "computed", "identity", "historicalSecond", "historicalMinute", "historicalHour",
		"historicalDay", "historicalWeek", "historicalMonth", "historicalQuarter", "historicalYear", "historicalOther",
	},
	service: "serviceToken", device: "deviceToken", of: "userToken",
}

// parameter is what the names of a scope are that is for control.
const parameter = "parameter"

func (w *words) name(local string) xmlstream.Name {
	return xmlstream.Name{Space: w.space, Local: local}
}

// readResult reads what an answer must say.
func readResult(r *xmlstream.Reader) bool {
	return attr.True(r, "result", attr.Required(r, "result"))
}

func appendTrue(dst []byte, local string) []byte {
	return append(append(append(dst, ' '), local...), "='true'"...)
}

func appendResult(dst []byte, v bool) []byte {
	return xmlstream.AppendAttr(dst, "result", strconv.FormatBool(v))
}

func (w *words) appendTokens(dst []byte, t Tokens) []byte {
	dst = xmlstream.AppendAttr(dst, w.service, t.Service)
	dst = xmlstream.AppendAttr(dst, w.device, t.Device)
	return xmlstream.AppendAttr(dst, w.of, t.User)
}

func (w *words) readTokens(r *xmlstream.Reader) Tokens {
	t := Tokens{Service: r.Attr(w.service), Device: r.Attr(w.device), User: r.Attr(w.of)}
	if len(t.Service) > MaxTokens || len(t.Device) > MaxTokens || len(t.User) > MaxTokens {
		r.Fail(stanza.PolicyViolation.Err(fmt.Sprintf("tokens of one kind have more than %d bytes", MaxTokens)))
	}
	return t
}

// appendScope ends an element whose start tag dst ends with, without its '>'.
func (w *words) appendScope(dst []byte, local, names string, s *Scope) []byte {
	if names != parameter {
		for _, c := range w.namesOf(s.Categories) {
			dst = appendTrue(dst, c)
		}
	}
	if len(s.Nodes)+len(s.Names) == 0 {
		return append(dst, "/>"...)
	}
	dst = append(dst, '>')
	for _, n := range s.Nodes {
		dst = append(append(dst, '<'), w.node...)
		dst = xmlstream.AppendAttr(dst, w.id, n.ID)
		dst = xmlstream.AppendAttr(dst, w.source, n.Source)
		dst = append(xmlstream.AppendAttr(dst, w.cache, n.Cache), "/>"...)
	}
	for _, name := range s.Names {
		dst = append(append(dst, '<'), names...)
		dst = append(xmlstream.AppendAttr(dst, w.fieldName, name), "/>"...)
	}
	return xmlstream.AppendEnd(dst, local)
}

func (w *words) readScope(r *xmlstream.Reader, names string) (s Scope) {
	if names != parameter {
		s.Categories = w.readCategories(r)
	}
	for n := range r.Children() {
		switch n {
		case w.name(w.node):
			s.Nodes = append(s.Nodes, Node{ID: r.Attr(w.id), Source: r.Attr(w.source), Cache: r.Attr(w.cache)})
		case w.name(names):
			s.Names = append(s.Names, r.Attr(w.fieldName))
		}
		if len(s.Nodes) > MaxNodes || len(s.Names) > MaxNames {
			break // Check says so
		}
	}
	if err := s.Check(); err != nil {
		r.Fail(err)
	}
	return s
}

func (w *words) readCategories(r *xmlstream.Reader) (c Category) {
	if attr.Bool(r, w.all, false) {
		c = sensordata.All
	}
	if attr.Bool(r, w.historical, false) {
		c |= sensordata.Historical
	}
	for i, local := range w.categories {
		if attr.Bool(r, local, false) {
			c |= 1 << i
		}
	}
	return c
}

// appendGrant ends an element whose start tag dst ends with, without its '>'. What is not allowed has no scope.
func (w *words) appendGrant(dst []byte, local, names string, g *Grant) []byte {
	dst = appendResult(dst, g.Allowed)
	if !g.Allowed {
		return append(dst, "/>"...)
	}
	return w.appendScope(dst, local, names, &g.Scope)
}

func (w *words) readGrant(r *xmlstream.Reader, names string) Grant {
	g := Grant{Allowed: readResult(r)}
	if scope := w.readScope(r, names); g.Allowed {
		g.Scope = scope
	}
	return g
}

// appendBytes ends an element whose start tag dst ends with, without its '>'.
func appendBytes(dst []byte, local string, b []byte) []byte {
	dst = base64.StdEncoding.AppendEncode(append(dst, '>'), b)
	return xmlstream.AppendEnd(dst, local)
}

func readBytes(r *xmlstream.Reader, most int) []byte {
	text := strings.NewReplacer(" ", "", "\t", "", "\r", "", "\n", "").Replace(r.Text())
	if base64.StdEncoding.DecodedLen(len(text)) > most+2 {
		r.Fail(stanza.PolicyViolation.Err(fmt.Sprintf("more than %d bytes", most)))
		return nil
	}
	b, err := base64.StdEncoding.Strict().DecodeString(text)
	switch {
	case err != nil:
		r.Fail(stanza.BadRequest.Err("what should be base64 is not"))
	case len(b) > most:
		r.Fail(stanza.PolicyViolation.Err(fmt.Sprintf("more than %d bytes", most)))
	case len(b) == 0 && r.Err() == nil:
		r.Fail(stanza.BadRequest.Err("bytes are missing"))
	}
	return b
}

func readSeq(r *xmlstream.Reader) int32 {
	n, err := strconv.ParseInt(r.Attr("seqnr"), 10, 32)
	if err != nil {
		r.Fail(stanza.BadRequest.Err("seqnr is a number"))
	}
	return int32(n)
}

// readToken reads one token. XEP-0324 §3.1.3
func readToken(r *xmlstream.Reader) string {
	token := r.Attr("token")
	switch {
	case token == "" || strings.ContainsAny(token, " \t\r\n"):
		r.Fail(stanza.BadRequest.Err("a token is something without white space"))
	case len(token) > MaxTokens:
		r.Fail(stanza.PolicyViolation.Err(fmt.Sprintf("a token has more than %d bytes", MaxTokens)))
	}
	return token
}
