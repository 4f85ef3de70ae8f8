// SPDX-License-Identifier: Apache-2.0

package component_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/stonechat-im/stonechat/component"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/ping"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/stream"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// An answer counts only from who was asked to who asked, and a fence only by its id; what is for somebody
// else, or from nobody, is dropped.
func TestLies(t *testing.T) {
	l := listen(t)
	c := l.start(nil)
	got := make(chan *stanza.Stanza, 10)
	c.Handle(stanza.Message, xmlstream.Name{}, func(_ context.Context, s *stanza.Stanza) { got <- s })
	p := l.admit()
	answered := make(chan error, 1)
	go func() {
		_, err := c.IQ(limited(t), jid.MustParse("a@sms.d"), juliet, stanza.Get, &ping.Ping{})
		answered <- err
	}()
	raw := p.read()
	id := strings.SplitN(strings.SplitN(raw, "id='", 2)[1], "'", 2)[0]
	for _, lie := range []string{
		"<iq from='romeo@d' to='a@sms.d' type='result' id='%s'/>",
		"<iq from='juliet@d/x' to='b@sms.d' type='result' id='%s'/>",
		"<iq from='juliet@d/x' to='a@sms.d' type='result' id='%sx'/>",
		"<iq from='sms.d' to='sms.d' type='result' id='%s'/>",
		"<message from='juliet@d' to='a@other.d' id='%s'/>",
		"<message to='a@sms.d' id='%s'/>",
		"<message from='juliet@d' id='%s'/>",
		"<message from='juliet@d' to='a@b@sms.d' id='%s'/>",
		"<what xmlns='u:x' id='%s'/>",
	} {
		p.say(fmt.Sprintf(lie, id))
	}
	p.say("<message from='romeo@d' to='a@sms.d' id='true'><body>x</body></message>")
	if s := <-got; string(s.ID) != "true" {
		t.Errorf("got %s", s.Append(nil, ""))
	}
	select {
	case err := <-answered:
		t.Fatalf("a lie is believed: %v", err)
	default:
	}
	p.say(fmt.Sprintf("<iq from='juliet@d/x' to='a@sms.d' type='result' id='%s'/>", id))
	if err := <-answered; err != nil {
		t.Error(err)
	}
}

// elsewhere is a connection that says it goes to another machine.
type elsewhere struct{ net.Conn }

func (elsewhere) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 5347} }

// The secret's digest is not shown to another machine's network, unless that is asked for.
func TestPlaintext(t *testing.T) {
	l := listen(t)
	far := func(c *component.Config) {
		c.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(ctx, network, address)
			return elsewhere{conn}, err
		}
	}
	c := l.start(far)
	p := l.accept()
	if e := p.event(); e.Kind != stream.End || p.m.Domain() != "" {
		t.Error("something was said")
	}
	<-c.Done()
	if !errors.Is(c.Err(), component.ErrPlaintext) {
		t.Error(c.Err())
	}
	l.start(func(c *component.Config) { far(c); c.Plaintext = true })
	l.admit()
}
