// SPDX-License-Identifier: Apache-2.0

// Package dialback is the vocabulary of server dialback, by which a server that cannot prove its
// name by a certificate is asked for at the address where its name is found, and the keys that it
// proves it with. The sections named are those of XEP-0220 and XEP-0185.
//
// What may be believed is not decided here. An answer (Type is not Ask) counts only where it answers
// a question of ours: by both names, by the id, and on the very stream on which we asked (XEP-0220 §5).
package dialback

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"

	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// The namespaces of the elements, declared on the stream's header under Prefix, and of the feature.
const (
	NS         = "jabber:server:dialback"
	Prefix     = "db"
	NSFeature  = "urn:xmpp:features:dialback"
	FeatureXML = "<dialback xmlns='" + NSFeature + "'><errors/></dialback>" // with dialback errors, XEP-0220 §2.5
)

// Type is what an element says.
type Type string

// The types.
const (
	Ask     Type = "" // Key is to be judged
	Valid   Type = "valid"
	Invalid Type = "invalid"
	Failed  Type = "error" // nobody could judge; nothing else on the stream is touched
)

// MaxKey is the most bytes that a key of ours, or of anybody else, is taken to have.
const MaxKey = 1024

// Message is one <db:result/> or <db:verify/>. XEP-0220 §2.
type Message struct {
	Verify   bool // <verify/>: between the one who judges and the one who knows
	From, To jid.JID
	ID       string // Verify only: of the stream on which the key came
	Type     Type
	Key      string        // of Ask
	Error    *stanza.Error // of Failed
}

// AppendXML appends the element as it is written on a server's stream, under Prefix.
func (m *Message) AppendXML(dst []byte) []byte {
	name := Prefix + ":" + m.local()
	dst = append(append(dst, '<'), name...)
	dst = xmlstream.AppendAttr(dst, "from", m.From.String())
	dst = xmlstream.AppendAttr(dst, "to", m.To.String())
	if m.Verify {
		dst = xmlstream.AppendAttr(dst, "id", m.ID)
	}
	dst = xmlstream.AppendAttr(dst, "type", string(m.Type))
	dst = append(dst, '>')
	switch {
	case m.Type == Ask:
		dst = xmlstream.AppendEscaped(dst, m.Key)
	case m.Type == Failed && m.Error != nil:
		dst = m.Error.AppendXML(dst)
	}
	return xmlstream.AppendEnd(dst, name)
}

func (m *Message) local() string {
	if m.Verify {
		return "verify"
	}
	return "result"
}

// Is reports whether e is an element of dialback.
func Is(e *xmlstream.Element) bool { return string(e.Space) == NS }

// Parse reads an element that a stream brought. An error is a *stanza.Error: addresses that are not
// domains are improper, anything else that cannot be understood is bad-request.
func Parse(e *xmlstream.Element) (*Message, error) {
	m := &Message{}
	switch string(e.Local) {
	case "verify":
		m.Verify = true
	case "result":
	default:
		return nil, stanza.BadRequest.Err("no such element of dialback")
	}
	r := xmlstream.NewReader(e.Raw, stanza.NSServer)
	var err error
	if m.From, err = domain(r.Attr("from")); err != nil {
		return nil, err
	}
	if m.To, err = domain(r.Attr("to")); err != nil {
		return nil, err
	}
	m.ID, m.Type = r.Attr("id"), Type(r.Attr("type"))
	switch m.Type {
	case Ask:
		m.Key = r.Text()
		if m.Key == "" || len(m.Key) > MaxKey {
			return nil, stanza.BadRequest.Err("a key is missing, or too long")
		}
	case Valid, Invalid:
	case Failed:
		m.Error = stanza.UndefinedCondition.Err("")
		for n := range r.Children() {
			if n.Local == "error" {
				if err := m.Error.DecodeXML(r); err != nil {
					m.Error = stanza.UndefinedCondition.Err("")
				}
				break
			}
		}
	default:
		return nil, stanza.BadRequest.Err("no such type of answer")
	}
	if m.Verify && (m.ID == "" || len(m.ID) > MaxKey) {
		return nil, stanza.BadRequest.Err("the id of the stream is missing, or too long")
	}
	return m, nil
}

func domain(text string) (jid.JID, error) {
	j, err := jid.Parse(text)
	if err != nil || j != j.Host() {
		return jid.JID{}, stanza.JIDMalformed.Err("'from' and 'to' must be domains")
	}
	return j, nil
}

// Answer answers a question, with e where the type is Failed.
func (m *Message) Answer(t Type, e *stanza.Error) *Message {
	return &Message{Verify: m.Verify, From: m.To, To: m.From, ID: m.ID, Type: t, Error: e}
}

// Answers reports whether m answers question, names and id alike.
func (m *Message) Answers(question *Message) bool {
	return m.Type != Ask && m.Verify == question.Verify && m.From == question.To && m.To == question.From && m.ID == question.ID
}

// Key is what the server of from proves its name with on the stream of that id, which the server of to
// has begun. A secret belongs to one domain: with another's secret nobody makes its keys. XEP-0185 §3.
func Key(secret []byte, to, from jid.JID, id string) string {
	sum := sha256.Sum256(secret)
	mac := hmac.New(sha256.New, []byte(hex.EncodeToString(sum[:])))
	mac.Write([]byte(to.Domain() + " " + from.Domain() + " " + id))
	return hex.EncodeToString(mac.Sum(nil))
}

// IsKey reports, in constant time, whether key is that one.
func IsKey(key string, secret []byte, to, from jid.JID, id string) bool {
	return hmac.Equal([]byte(key), []byte(Key(secret, to, from, id)))
}
