// SPDX-License-Identifier: Apache-2.0

package components

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/internal/drive"
	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// wire is a connection whose socket takes what the test says.
type wire struct {
	drive.Conn
	out  []byte
	left int
}

func (w *wire) Queue(b []byte) { w.out = append(w.out, b...) }
func (w *wire) Queued() int    { return len(w.out) - w.left }
func (w *wire) Flush()         {}

// What has not left comes back, with the error that fits, and nothing else does.
func TestGiveBack(t *testing.T) {
	b := newBed(t, nil)
	irc := b.connect("irc.d", "s2")
	w := new(wire)
	o := outbound{conn: &conn{service: b.Service, Conn: w}, watched: true} // without the timer
	from := func(id string, s *stanza.Stanza) *stanza.Stanza {
		s.From, s.ID = jid.MustParse("irc.d"), []byte(id)
		return s
	}
	to := jid.MustParse("a@sms.d")
	iq := &stanza.Raw{Bytes: []byte("<q xmlns='u:q'/>")}
	turn := b.Server.NewTurn()
	for _, s := range []*stanza.Stanza{
		from("left", stanza.Text(stanza.Chat, to, "hi")),
		from("message", stanza.Text(stanza.Chat, to, "hi")),
		from("presence", stanza.New(stanza.Presence, stanza.Available, to)),
		from("error", stanza.New(stanza.Message, stanza.TypeError, to)),
		from("result", stanza.New(stanza.IQ, stanza.Result, to)),
		from("request", stanza.New(stanza.IQ, stanza.Get, to, iq)),
		from("subscribe", stanza.New(stanza.Presence, stanza.Subscribe, to)),
		from("last", stanza.Text(stanza.Normal, to, "hi")),
	} {
		if !o.put(turn, s) {
			t.Fatal("not taken")
		}
	}
	w.left = strings.Index(string(w.out), "<message from='irc.d' to='a@sms.d' id='message'") + 5
	turn.End()
	if n := len(o.parcels); n != 4 {
		t.Errorf("%d have not left", n)
	}
	end := b.Server.NewTurn()
	o.close()
	o.giveBack(end)
	o.giveBack(end)
	end.End()
	for _, id := range []string{"message", "request", "subscribe", "last"} {
		irc.gets("type='error'", "id='"+id+"'", "remote-server-timeout", "from='a@sms.d'")
	}
	irc.send("<message from='irc.d' to='irc.d' id='fence'/>")
	irc.gets("id='fence'")
	if n := b.count("returned_total"); n != 4 {
		t.Errorf("%v returned", n)
	}
	if again := b.Server.NewTurn(); o.put(again, from("late", stanza.Text(stanza.Chat, to, "hi"))) {
		t.Error("taken after the end")
	} else {
		again.End()
	}
}

// Memory of what has left is used again, whatever leaves when.
func TestKept(t *testing.T) {
	b := newBed(t, nil)
	w := new(wire)
	o := outbound{conn: &conn{service: b.Service, Conn: w}, watched: true} // without the timer
	var all []string
	for i := range 1000 {
		turn := b.Server.NewTurn()
		s := stanza.Text(stanza.Chat, jid.MustParse("a@sms.d"), strings.Repeat("x", i%50))
		s.From, s.ID = jid.MustParse("irc.d"), fmt.Append(nil, i)
		o.put(turn, s)
		all = append(all, string(s.Append(nil, "")))
		w.left += (len(w.out) - w.left) * (i % 4) / 4
		turn.End()
		n := len(o.parcels)
		if got, want := string(o.kept[o.from:]), strings.Join(all[len(all)-n:], ""); got != want {
			t.Fatalf("%d: kept %q, want %q", i, got, want)
		}
	}
	w.left = len(w.out)
	turn := b.Server.NewTurn()
	o.Flush(turn)
	turn.End()
	if len(o.parcels)+len(o.kept)+o.from != 0 {
		t.Errorf("%d, %d, %d", len(o.parcels), len(o.kept), o.from)
	}
}

// Nobody need send more for what has left late to be let go.
func TestWatch(t *testing.T) {
	b := newBed(t, nil)
	w := new(wire)
	o := outbound{conn: &conn{service: b.Service, Conn: w}}
	turn := b.Server.NewTurn()
	s := stanza.Text(stanza.Chat, jid.MustParse("a@sms.d"), "hi")
	s.From = jid.MustParse("irc.d")
	o.put(turn, s)
	turn.End()
	for end, n := time.Now().Add(patience), 1; n > 0; <-time.After(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it was not let go")
		}
		o.mu.Lock()
		w.left = len(w.out) // the timer sees it under this lock
		n = len(o.parcels)
		o.mu.Unlock()
	}
}

var _ server.Flusher = (*outbound)(nil)
