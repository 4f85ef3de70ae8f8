// SPDX-License-Identifier: Apache-2.0

package xmlstream_test

import (
	"fmt"

	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// A parser is fed what the socket gave, and asked for events until there are none.
func ExampleParser() {
	p := xmlstream.NewParser(xmlstream.Stream, "jabber:client", xmlstream.Limits{ElementBytes: 262144, Depth: 100, Attributes: 100, Children: 5000})
	for _, read := range []string{
		"<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='example.com'><mess",
		"age to='juliet@example.com'><body>Hello</body></message> <presence/></stream:stream>",
	} {
		p.Feed([]byte(read))
		for event := xmlstream.EventOpen; event != xmlstream.EventNone; {
			var err error
			if event, err = p.Next(); err != nil {
				fmt.Println(err)
				return
			}
			switch event {
			case xmlstream.EventOpen:
				fmt.Println("to", p.Header().To)
			case xmlstream.EventElement:
				e := p.Element()
				fmt.Printf("%s with %d children: %q\n", e.Local, len(e.Children), e.Raw[e.Content.Start:e.Content.End])
			case xmlstream.EventClose:
				fmt.Println("closed")
			}
		}
	}
	// Output:
	// to example.com
	// message with 1 children: "<body>Hello</body>"
	// presence with 0 children: ""
	// closed
}

func ExampleReader() {
	const raw = `<query xmlns='jabber:iq:roster'><item jid='romeo@example.net'><group>Friends</group></item></query>`
	r := xmlstream.NewReader(raw, "jabber:client")
	for n := range r.Children() {
		if n != (xmlstream.Name{Space: "jabber:iq:roster", Local: "item"}) {
			continue // what is left unread is skipped
		}
		fmt.Println(r.Attr("jid"))
		for n := range r.Children() {
			fmt.Println(n.Local, r.Text())
		}
	}
	fmt.Println(r.Err())
	// Output:
	// romeo@example.net
	// group Friends
	// <nil>
}
