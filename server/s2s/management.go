// SPDX-License-Identifier: Apache-2.0

package s2s

import (
	"errors"

	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/xmpp/sm"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/stream"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

const nsSM = sm.NS

// manage takes an element of stream management (XEP-0198). Streams of servers are not resumed: what was not
// acked is sent again on the next one.
func (c *conn) manage(t *server.Turn, e *xmlstream.Element) (more bool) {
	switch local := string(e.Local); {
	case local == "enable" && c.accepted != nil && len(c.takes) > 0 && !c.managed:
		c.count()
		c.out.counting((&sm.Enabled{}).AppendXML(nil))
	case local == "enable":
		c.refuseManagement(stanza.UnexpectedRequest)
	case local == "resume" && c.accepted != nil && len(c.takes) > 0:
		c.refuseManagement(stanza.ItemNotFound)
	case local == "resume":
		c.refuseManagement(stanza.UnexpectedRequest)
	case local == "enabled" && c.call != nil && c.call.manages():
		c.count()
		c.out.counting(nil)
		c.call.managed(nil)
	case local == "failed" && c.call != nil && c.call.manages():
		c.call.managed(nil)
	case local == "r" && c.managed:
		c.inlet.Requested(t)
	case local == "a" && c.managed:
		return c.acked(t, e)
	default:
		return c.fail(t, &stream.Error{Condition: stream.UnsupportedStanzaType, Text: "unexpected in stream management"})
	}
	return true
}

// count has the peer told what of its stanzas is safe, from the next one on.
func (c *conn) count() {
	c.managed = true
	c.service.Log.Debug("stanzas are counted", "peer", c.paced.String(), "at", c.Remote().String())
	c.inlet.Manage(func(h uint32) { c.out.control((&sm.Ack{H: h}).AppendXML(nil)) })
}

func (c *conn) refuseManagement(condition stanza.Condition) {
	c.out.control((&sm.Failed{Condition: condition}).AppendXML(nil))
}

func (c *conn) acked(t *server.Turn, e *xmlstream.Element) (more bool) {
	h, ok := sm.HOf(e)
	if !ok {
		return c.fail(t, &stream.Error{Condition: stream.BadFormat, Text: "h is no number"})
	}
	var refused *stream.Error
	if err := c.out.acked(t, h); errors.As(err, &refused) {
		return c.fail(t, refused)
	}
	return true
}

// askLast asks the peer for an ack, so that as much as possible of what it has had is known to be.
func (c *conn) askLast() {
	c.in.Lock()
	defer c.in.Unlock()
	if c.managed && !c.over {
		c.out.control([]byte(sm.RequestXML))
	}
}
