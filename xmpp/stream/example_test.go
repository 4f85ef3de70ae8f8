// SPDX-License-Identifier: Apache-2.0

package stream_test

import (
	"fmt"
	"time"

	"github.com/stonechat-im/stonechat/xmpp/stream"
)

// A client that calls a domain of others.
func ExampleServer() {
	config := &stream.ServerConfig{
		Serves: func(domain string) bool { return domain == "example.org" },
		TLS:    true, TLSRequired: true,
		Rand: zeros{},
	}
	s := stream.NewServer(config, time.Now())
	s.Feed([]byte("<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='example.com' version='1.0'>"))
	for e := s.Next(); e.Kind != stream.None; e = s.Next() {
		if e.Kind == stream.End {
			fmt.Println(e.Err)
		}
	}
	fmt.Printf("%s\n", s.Out())
	// Output:
	// stream: error sent: host-unknown
	// <?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' id='AAAAAAAAAAAAAAAA' version='1.0' xml:lang='en'><stream:error><host-unknown xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error></stream:stream>
}

// A stream that another goroutine has to end.
func ExampleAppendEnd() {
	b := stream.AppendError(nil, &stream.Error{Condition: stream.Conflict}, false)
	fmt.Printf("%s\n", stream.AppendEnd(b, false))
	fmt.Printf("%s\n", stream.AppendEnd(nil, true))
	// Output:
	// <stream:error><conflict xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error></stream:stream>
	// <close xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>
}
