// SPDX-License-Identifier: Apache-2.0

package stream

import (
	"runtime"
	"testing"
	"time"
	"unsafe"

	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/sasl"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// boundServer returns a Server with a bound resource, as it is when it waits for stanzas.
func boundServer(tb testing.TB, c *ServerConfig) *Server {
	s := NewServer(c, time.Unix(0, 0))
	s.TLSStarted([]sasl.ChannelBinding{{Type: sasl.TLSExporter, Data: make([]byte, 32)}})
	header := "<stream:stream xmlns='jabber:client' xmlns:stream='" + NS + "' to='example.org' version='1.0' xml:lang='en'>"
	say := func(text string) {
		s.Feed([]byte(text))
		for e := s.Next(); e.Kind != None; e = s.Next() {
			if e.Kind == Bind {
				s.Bind(e.JID)
			}
		}
		s.Out()
	}
	say(header)
	// As if the exchange had gone well: what it costs is sasl's.
	s.login.account = jid.MustParse("romeo@example.org")
	s.success(nil)
	say(header)
	say("<iq type='set' id='b1'><bind xmlns='" + NSBind + "'><resource>orchard</resource></bind></iq>")
	if s.State() != Bound {
		tb.Fatalf("state %d", s.State())
	}
	return s
}

func sizeConfig() *ServerConfig {
	return &ServerConfig{
		Serves: func(string) bool { return true },
		SASL:   sasl.ServerConfig{Secret: make([]byte, 32), Plain: true},
	}
}

// After binding what negotiation needed is gone.
func TestSizeWhenBound(t *testing.T) {
	const most = 144 // no more than its size class
	for name, size := range map[string]uintptr{"Server": unsafe.Sizeof(Server{}), "Client": unsafe.Sizeof(Client{})} {
		t.Logf("%s: %d bytes, and a Parser of %d", name, size, unsafe.Sizeof(xmlstream.Parser{}))
		if size > most {
			t.Errorf("a %s has %d bytes, more than %d", name, size, most)
		}
	}

	// The parser has a fixed part and its header; the machine must add nothing but itself.
	const n = 2000
	config := sizeConfig()
	parsers := make([]*xmlstream.Parser, n)
	header := []byte("<stream:stream xmlns='jabber:client' xmlns:stream='" + NS + "' to='example.org' version='1.0' xml:lang='en'>")
	before := heap()
	for i := range parsers {
		p := xmlstream.NewParser(xmlstream.Stream, content, xmlstream.Limits{ElementBytes: 10_000, Depth: 8, Attributes: 32, Children: 200})
		p.Feed(header)
		for {
			if e, err := p.Next(); e == xmlstream.EventNone || err != nil {
				break
			}
		}
		parsers[i] = p
	}
	perParser := (heap() - before) / n
	servers := make([]*Server, n)
	before = heap()
	for i := range servers {
		servers[i] = boundServer(t, config)
	}
	perServer := (heap() - before) / n
	runtime.KeepAlive(parsers)
	runtime.KeepAlive(servers)
	t.Logf("on the heap: %d bytes for a bound Server, %d of them for its Parser", perServer, perParser)
	// Its address is the caller's too; size classes round up.
	if own := perServer - perParser; own > most+64 {
		t.Errorf("a bound Server holds %d bytes besides its Parser", own)
	}
}

func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
