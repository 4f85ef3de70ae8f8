// SPDX-License-Identifier: Apache-2.0

package stream

import "github.com/stonechat-im/stonechat/xmpp/xmlstream"

// Condition is a stream error condition. RFC 6120 §4.9.3.
type Condition string

const (
	BadFormat              Condition = "bad-format"
	BadNamespacePrefix     Condition = "bad-namespace-prefix"
	Conflict               Condition = "conflict"
	ConnectionTimeout      Condition = "connection-timeout"
	HostGone               Condition = "host-gone"
	HostUnknown            Condition = "host-unknown"
	ImproperAddressing     Condition = "improper-addressing"
	InternalServerError    Condition = "internal-server-error"
	InvalidFrom            Condition = "invalid-from"
	InvalidNamespace       Condition = "invalid-namespace"
	InvalidXML             Condition = "invalid-xml"
	NotAuthorized          Condition = "not-authorized"
	NotWellFormed          Condition = "not-well-formed"
	PolicyViolation        Condition = "policy-violation"
	RemoteConnectionFailed Condition = "remote-connection-failed"
	Reset                  Condition = "reset"
	ResourceConstraint     Condition = "resource-constraint"
	RestrictedXML          Condition = "restricted-xml"
	SeeOtherHost           Condition = "see-other-host"
	SystemShutdown         Condition = "system-shutdown"
	UndefinedCondition     Condition = "undefined-condition"
	UnsupportedEncoding    Condition = "unsupported-encoding"
	UnsupportedFeature     Condition = "unsupported-feature"
	UnsupportedStanzaType  Condition = "unsupported-stanza-type"
	UnsupportedVersion     Condition = "unsupported-version"
)

// Error is a stream error: it ends the stream. RFC 6120 §4.9.
type Error struct {
	Condition Condition
	Text      string // for people, in English unless Lang says otherwise
	Lang      string // xml:lang of Text
	Host      string // see-other-host: the domain or address, with port if it is not the default; of <close/>, the URI
	App       []byte // an application-specific condition: one self-contained element
	Received  bool   // the peer sent it; otherwise it was sent to the peer
}

// Error implements error.
func (e *Error) Error() string {
	who := "sent"
	if e.Received {
		who = "received"
	}
	s := "stream: error " + who + ": " + string(e.Condition)
	if e.Host != "" {
		s += " " + e.Host
	}
	if e.Text != "" {
		s += ": " + e.Text
	}
	return s
}

// appendXML appends <stream:error/>. declare is whether no header around it
// declares the prefix.
func (e *Error) appendXML(dst []byte, declare bool) []byte {
	dst = append(dst, "<stream:error"...)
	if declare {
		dst = xmlstream.AppendAttr(dst, "xmlns:stream", NS)
	}
	dst = append(dst, '>')
	dst = appendCondition(dst, string(e.Condition), NSErrors, e.Host)
	dst = appendErrorText(dst, e.Text, e.Lang, NSErrors)
	dst = append(dst, e.App...)
	return append(dst, "</stream:error>"...)
}

// AppendError appends a stream error, and AppendEnd the end tag: the bytes that end a bound stream
// from our side, in this order. They are for a caller that must end a stream from elsewhere than its
// machine's driver; it sends nothing more after them. framed says that each is a message of its own.
func AppendError(dst []byte, e *Error, framed bool) []byte { return e.appendXML(dst, framed) }

// AppendEnd appends the end tag; see AppendError.
func AppendEnd(dst []byte, framed bool) []byte { return append(dst, endTag(framed)...) }

func endTag(framed bool) string {
	if framed {
		return "<close xmlns='" + NSFraming + "'/>"
	}
	return "</stream:stream>"
}

// appendCondition appends a condition element, the core of stream errors and of
// SASL failures alike.
func appendCondition(dst []byte, condition, space, content string) []byte {
	dst = xmlstream.AppendStart(dst, condition, space)
	if content == "" {
		return append(dst, "/>"...)
	}
	dst = append(dst, '>')
	return xmlstream.AppendEnd(xmlstream.AppendEscaped(dst, content), condition)
}

// appendErrorText appends the <text/> that goes with a condition, nothing if text is "".
func appendErrorText(dst []byte, text, lang, space string) []byte {
	if text == "" {
		return dst
	}
	if lang == "" {
		lang = "en"
	}
	dst = append(dst, "<text"...)
	dst = xmlstream.AppendAttr(dst, "xmlns", space)
	dst = xmlstream.AppendAttr(dst, "xml:lang", lang)
	dst = append(dst, '>')
	dst = xmlstream.AppendEscaped(dst, text)
	return append(dst, "</text>"...)
}

// readError reads the peer's <stream:error/>. A condition we do not know is kept as it is.
func readError(raw []byte) *Error {
	e := &Error{Condition: UndefinedCondition, Received: true}
	r := xmlstream.NewReader(raw, NS)
	for n := range r.Children() {
		switch {
		case n.Space == NSErrors && n.Local == "text":
			e.Lang = r.Lang()
			e.Text = r.Text()
		case n.Space == NSErrors:
			e.Condition = Condition(n.Local)
			if e.Condition == SeeOtherHost {
				e.Host = r.Text()
			}
		case e.App == nil:
			e.App = []byte(r.Raw())
		}
	}
	return e
}
