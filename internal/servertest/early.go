// SPDX-License-Identifier: Apache-2.0

package servertest

import (
	"sync"
	"testing/synctest"

	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/stream"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// Early is a client that has not logged in.
type Early struct {
	server.Stream // of which nothing else is used
	At            stream.State
	Noted         sync.Map

	server *Server
	from   string
}

// Early makes one that comes from an address and port, and has come as far as TLS.
func (s *Server) Early(from string) *Early { return &Early{server: s, from: from, At: stream.Secured} }

// State implements server.Stream.
func (e *Early) State() stream.State { return e.At }

// Address implements server.Stream.
func (e *Early) Address() string { return e.from }

// Notes implements server.Stream.
func (e *Early) Notes() *sync.Map { return &e.Noted }

// Ask sends a request to a host, and returns the answer; "" where there is none.
func (e *Early) Ask(host, request string) (answer string) {
	e.server.T.Helper()
	p := e.server.elements([]byte(request))
	if ev, err := p.Next(); ev != xmlstream.EventElement || err != nil {
		e.server.T.Fatal(ev, err)
	}
	var mu sync.Mutex
	e.server.BeforeLogin(e, jid.MustParse(host), p.Element(), func(s *stanza.Stanza) {
		mu.Lock()
		defer mu.Unlock()
		answer += string(s.Append(nil, ""))
	})
	synctest.Wait()
	mu.Lock()
	defer mu.Unlock()
	return answer
}
