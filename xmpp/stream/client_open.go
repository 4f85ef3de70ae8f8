// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// features is what the server offers that concerns negotiation itself.
type features struct {
	startTLS   bool
	mechanisms []string
	bindings   []string // types of channel binding; nil if not announced
	bind       bool
	session    bool // and not optional
	bidi       bool // XEP-0288
}

// readFeatures reads <stream:features/>. RFC 6120 §4.3.2.
func readFeatures(raw []byte) (f features) {
	r := xmlstream.NewReader(raw, content)
	for n := range r.Children() {
		switch n {
		case xmlstream.Name{Space: NSTLS, Local: "starttls"}:
			f.startTLS = true
		case xmlstream.Name{Space: NSSASL, Local: "mechanisms"}:
			for n := range r.Children() {
				if n.Space == NSSASL && n.Local == "mechanism" {
					f.mechanisms = append(f.mechanisms, r.Text())
				}
			}
		case xmlstream.Name{Space: NSBinding, Local: "sasl-channel-binding"}:
			f.bindings = []string{}
			for n := range r.Children() {
				if n.Space == NSBinding && n.Local == "channel-binding" {
					f.bindings = append(f.bindings, r.Attr("type"))
				}
			}
		case xmlstream.Name{Space: NSBidiFeature, Local: "bidi"}:
			f.bidi = true
		case xmlstream.Name{Space: NSBind, Local: "bind"}:
			f.bind = true
		case xmlstream.Name{Space: NSSession, Local: "session"}:
			f.session = true
			for n := range r.Children() {
				if n.Local == "optional" {
					f.session = false
				}
			}
		}
	}
	return f
}

// header takes the server's header. Its `from` is judged with the features: what
// comes instead of them may be the error that explains it.
func (c *Client) header(h header) {
	if c.login == nil || c.login.step != atHeader {
		c.fail(&Error{Condition: BadFormat, Text: "unexpected header"})
		return
	}
	if err := h.checkContent(); err != nil {
		c.fail(err)
		return
	}
	if err := h.checkVersion(); err != nil {
		c.fail(err)
		return
	}
	c.login.from = h.from
	c.login.step = atFeatures
}

// features decides what to negotiate next.
func (c *Client) features(e *xmlstream.Element) Event {
	l := c.login
	if l.from != "" {
		if from, err := jid.Parse(l.from); err != nil || from != c.config.Account.Host() {
			c.fail(&Error{Condition: InvalidFrom, Text: "the stream is from another domain"})
			return Event{}
		}
	}
	l.offer = readFeatures(e.Raw)
	switch {
	case c.state == Authenticated:
		l.step = atChoice
		return Event{Kind: Features, Element: e}
	case !c.secure && l.offer.startTLS && !c.framed:
		c.send("<starttls xmlns='" + NSTLS + "'/>")
		l.step = atProceed
	case !c.secure && !c.config.WithoutTLS:
		c.fail(ErrNoTLS)
	case c.config.HoldLogin:
		l.step = atHold
		return Event{Kind: Features, Element: e}
	default:
		c.startLogin()
	}
	return Event{}
}

// proceed takes the server's leave to start TLS. What follows it in the clear is
// not the server's: RFC 6120 §5.4.3.3.
func (c *Client) proceed(e *xmlstream.Element) Event {
	switch {
	case string(e.Local) != "proceed":
		c.fail(ErrTLS)
		return Event{}
	case c.parser.Buffered() > 0:
		c.mute = true
		c.end(ErrInjected)
		return Event{}
	}
	c.waiting, c.mute = true, true
	return Event{Kind: StartTLS}
}
