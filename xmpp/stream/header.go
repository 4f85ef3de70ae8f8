// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"crypto/rand"
	"encoding/base64"
	"io"
	"strconv"
	"strings"

	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// content is the content namespace of clients' streams. RFC 6120 §4.8.2.
const content = "jabber:client"

// header is a stream header of either framing, received or to be sent.
type header struct {
	to, from, id, version, lang string

	content string // the default namespace; "" is that of clients, to be sent
}

// headerOf takes over what a <stream:stream> says.
func headerOf(h *xmlstream.Header) header {
	return header{to: h.To, from: h.From, id: h.ID, version: h.Version, lang: h.Lang, content: h.Default}
}

// isFraming reports whether e is <open/> or <close/>, as local says. RFC 7395 §3.3.2.
func isFraming(e *xmlstream.Element, local string) bool {
	return string(e.Space) == NSFraming && string(e.Local) == local
}

// headerOfOpen reads <open/>. It declares no content namespace: each element
// carries its own.
func headerOfOpen(e *xmlstream.Element) header {
	h := header{content: content}
	for _, a := range e.Attrs {
		v := string(a.Value)
		switch {
		case len(a.Space) == 0 && string(a.Local) == "to":
			h.to = v
		case len(a.Space) == 0 && string(a.Local) == "from":
			h.from = v
		case len(a.Space) == 0 && string(a.Local) == "id":
			h.id = v
		case len(a.Space) == 0 && string(a.Local) == "version":
			h.version = v
		case string(a.Space) == nsXML && string(a.Local) == "lang":
			h.lang = v
		}
	}
	return h
}

const nsXML = "http://www.w3.org/XML/1998/namespace"

// appendXML appends the header. RFC 6120 §4.7, RFC 7395 §3.4.
func (h *header) appendXML(dst []byte, framed bool) []byte {
	if framed {
		dst = append(dst, "<open xmlns='"+NSFraming+"'"...)
	} else {
		space := content
		if h.content != "" {
			space = h.content
		}
		dst = append(dst, "<?xml version='1.0'?><stream:stream xmlns='"...)
		dst = append(append(dst, space...), "' xmlns:stream='"+NS+"'"...)
		if space == NSServer {
			dst = xmlstream.AppendAttr(dst, prefixDialback, nsDialback)
		}
	}
	dst = xmlstream.AppendAttr(dst, "to", h.to)
	dst = xmlstream.AppendAttr(dst, "from", h.from)
	dst = xmlstream.AppendAttr(dst, "id", h.id)
	if h.content != NSComponent {
		dst = append(dst, " version='1.0'"...) // XEP-0114 is of a time before versions
	}
	dst = xmlstream.AppendAttr(dst, "xml:lang", h.lang)
	if framed {
		dst = append(dst, '/')
	}
	return append(dst, '>')
}

// checkContent refuses a default namespace that is neither the content's nor, as
// in RFC 6120 §4.8.3's form without prefixes, the stream's.
func (h *header) checkContent() *Error {
	if h.content == content || h.content == NS || h.content == "" {
		return nil
	}
	return &Error{Condition: InvalidNamespace, Text: "the content namespace must be " + content}
}

// checkVersion refuses versions below 1.0. Majors and minors are separate
// numbers; what is above 1.0 is answered with 1.0. RFC 6120 §4.7.5.
func (h *header) checkVersion() *Error {
	major, minor, ok := strings.Cut(h.version, ".")
	if n, err := strconv.ParseUint(major, 10, 16); ok && err == nil && n >= 1 {
		if _, err := strconv.ParseUint(minor, 10, 16); err == nil {
			return nil
		}
	}
	return &Error{Condition: UnsupportedVersion, Text: "the stream's version must be 1.0"}
}

// langOf returns a language tag, "" if it cannot be one: it will be repeated.
func langOf(tag string) string {
	const longest = 35 // RFC 5646 §4.4.1
	if len(tag) > longest || strings.Trim(strings.ToLower(tag), "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
		return ""
	}
	return strings.Clone(tag)
}

// randomID makes an id that nobody can guess. RFC 6120 §4.7.3.
func randomID(random io.Reader) string {
	var raw [12]byte
	if random == nil {
		random = rand.Reader
	}
	if _, err := io.ReadFull(random, raw[:]); err != nil {
		panic("stream: no randomness: " + err.Error()) // as crypto/rand does
	}
	return base64.RawURLEncoding.EncodeToString(raw[:])
}
