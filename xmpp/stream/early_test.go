// SPDX-License-Identifier: Apache-2.0

package stream_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/stonechat-im/stonechat/xmpp/stream"
)

// What a server of both directions sends behind <success/> and before its header is read when the new stream has begun.
func TestEarly(t *testing.T) {
	const (
		open     = serverOpen + " from='montague.example' to='capulet.example' id='x' version='1.0'>"
		success  = "<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>"
		presence = "<presence type='subscribe' from='romeo@montague.example' to='juliet@capulet.example'><status>&lt;message></status></presence>"
		iq       = "<iq id='1' type='get' from='montague.example' to='capulet.example'><q xmlns='u:q'/></iq>"
	)
	offer := func(bidi string) string {
		return open + "<stream:features>" + bidi + "<mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>EXTERNAL</mechanism></mechanisms></stream:features>"
	}
	const bidi = "<bidi xmlns='urn:xmpp:features:bidi'/>"
	long := strings.Repeat(iq, 1000)
	for _, c := range []struct{ name, offer, sent, want string }{
		{"as it should be", bidi, "<?xml version='1.0'?>" + open + "<stream:features/>" + iq, "login features " + iq},
		{"white space", bidi, "\n " + open + "<stream:features/>" + iq, "login features " + iq},
		{"stanzas first", bidi, presence + iq + "<?xml version='1.0'?>" + open + "<stream:features/>" + iq, "login features " + presence + iq + iq},
		{"no declaration", bidi, iq + "\n" + open + "<stream:features/>" + presence, "login features " + iq + presence},
		{"nothing follows", bidi, iq + open + "<stream:features/>", "login features " + iq},
		{"one direction", "", iq + open + "<stream:features/>", "login end bad-format"},
		{"no stanza", bidi, "<messages/>" + open + "<stream:features/>", "login end bad-format"},
		{"no header", bidi, iq + "<stream:features/>", "login end "},
		{"the end", bidi, iq + "</stream:stream>", "login end "},
		{"too much", bidi, long + open + "<stream:features/>", "login end policy-violation"},
	} {
		for _, size := range []int{1, 9, 1 << 20} {
			config := serversConfig(false)
			config.Bidi = true
			s := stream.NewInitiatingServer(config, capulet, montague, true, start)
			s.TLSStarted()
			var heard strings.Builder
			for rest := offer(c.offer) + success + c.sent; rest != ""; {
				n := min(size, len(rest))
				_, _, err := events(s, rest[:n], func(e stream.Event) {
					switch e.Kind {
					case stream.Login:
						heard.WriteString("login ")
					case stream.Features:
						s.Trust()
						heard.WriteString("features ")
					case stream.Element:
						heard.Write(e.Element.Raw)
					}
				})
				rest = rest[n:]
				if broken := (*stream.Error)(nil); errors.As(err, &broken) {
					heard.WriteString("end " + string(broken.Condition))
					break
				}
			}
			if got := heard.String(); !strings.HasPrefix(got, c.want) || strings.HasPrefix(c.want, "login features") && got != c.want {
				t.Errorf("%s, %d bytes at a time: %s\nwant %s", c.name, size, got, c.want)
			}
		}
	}
}
