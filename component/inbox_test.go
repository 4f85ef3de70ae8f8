// SPDX-License-Identifier: Apache-2.0

package component_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/stonechat-im/stonechat/component"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/ping"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// When as much waits as may, no more is read, and nothing is refused.
func TestInboxFull(t *testing.T) {
	for name, bound := range map[string]func(*component.Config){
		"stanzas": func(c *component.Config) { c.InboxStanzas = 2 },
		"bytes":   func(c *component.Config) { c.InboxBytes = 300 },
	} {
		t.Run(name, func(t *testing.T) {
			l := listen(t)
			c := l.start(bound)
			hold, got := make(chan bool), make(chan string, 10)
			c.Handle(stanza.Message, xmlstream.Name{}, func(_ context.Context, s *stanza.Stanza) {
				<-hold
				got <- string(s.ID)
			})
			p := l.admit()
			for i := range 6 {
				p.say(fmt.Sprintf("<message from='u%d@d' to='a@sms.d' id='%d'><body>hi</body></message>", i, i))
			}
			close(hold)
			for range 6 {
				select {
				case <-got:
				case <-limited(t).Done():
					t.Fatal("not all is handled")
				}
			}
			send(t, c, "last")
			p.expect(true, "id='last'") // no error before it
		})
	}
}

// While handlers wait for what is still to be read, reading goes on, and what there is no room for is
// refused.
func TestInboxLent(t *testing.T) {
	l := listen(t)
	c := l.start(func(c *component.Config) { c.InboxStanzas = 2 })
	done := make(chan error, 2)
	c.Handle(stanza.Message, xmlstream.Name{}, func(ctx context.Context, s *stanza.Stanza) {
		_, err := c.IQ(ctx, s.To, s.From, stanza.Get, &ping.Ping{})
		done <- err
	})
	p := l.admit()
	p.say("<message from='u1@d' to='a@sms.d' id='1'/><message from='u2@d' to='a@sms.d' id='2'/>")
	var answers strings.Builder
	for n := 0; n < 2; {
		s := p.read()
		if fenceID.MatchString(s) {
			p.say(s)
			continue
		}
		asked, err := stanza.Parse(stanza.Standalone([]byte(s)))
		if err != nil || asked.From != jid.MustParse("a@sms.d") {
			t.Fatalf("read %q: %v", s, err)
		}
		answers.Write(asked.Result(nil).Append(nil, ""))
		n++
	}
	p.say("<message from='u3@d' to='a@sms.d' id='3'/>")
	p.expect(true, "id='3'", "type='error'", "resource-constraint")
	p.say(answers.String())
	for range 2 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}
