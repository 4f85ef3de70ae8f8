// SPDX-License-Identifier: Apache-2.0

package sm_test

import (
	"errors"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stonechat-im/stonechat/config"
	"github.com/stonechat-im/stonechat/internal/servertest"
	"github.com/stonechat-im/stonechat/module/sm"
	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/stream"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// wire is a stream in memory.
type wire struct {
	server.Stream
	server  *server.Server
	account jid.JID
	session *server.Session
	out     strings.Builder
	unread  int
	ended   bool
}

func (w *wire) Queue(b []byte)      { w.out.Write(b) }
func (w *wire) Flush()              {}
func (w *wire) Queued() int         { return w.unread }
func (w *wire) Pause()              {}
func (w *wire) Resume()             {}
func (w *wire) End(*stream.Error)   { w.ended = true }
func (w *wire) Account() jid.JID    { return w.account }
func (w *wire) State() stream.State { return stream.Authenticated }
func (w *wire) Notes() *sync.Map    { return nil }
func (w *wire) Adopt(se *server.Session) bool {
	w.session = se
	return true
}

// send hands an element in and returns what was answered.
func (w *wire) send(t *testing.T, element string) (string, error) {
	t.Helper()
	p := xmlstream.NewParser(xmlstream.Frame, stanza.NSClient, xmlstream.Limits{ElementBytes: 1000, Depth: 9, Attributes: 9, Children: 9})
	p.Feed([]byte(element))
	if ev, err := p.Next(); ev != xmlstream.EventElement || err != nil {
		t.Fatal(ev, err)
	}
	turn := w.server.NewTurn()
	var err error
	if w.session != nil {
		_, err = w.session.Receive(turn, w, p.Element())
	} else {
		_, err = w.server.Unbound(turn, w, p.Element())
	}
	turn.End()
	synctest.Wait()
	answer := w.out.String()
	w.out.Reset()
	return answer, err
}

func (w *wire) expect(t *testing.T, element, want string) string {
	t.Helper()
	answer, err := w.send(t, element)
	if err != nil || !strings.Contains(answer, want) {
		t.Errorf("%s: %q %v, want %s", element, answer, err, want)
	}
	return answer
}

const ns = " xmlns='urn:xmpp:sm:3'"

func open(t *testing.T, accounts ...string) (dial func(account string) *wire, bind func(*wire)) {
	t.Helper()
	s := servertest.Start(t, servertest.Options{Modules: func() []server.Module {
		return []server.Module{sm.New(sm.Config{Resume: config.Duration(time.Minute)}, 1000)}
	}})
	for _, a := range accounts {
		s.Account(a)
	}
	dial = func(account string) *wire { return &wire{server: s.Server, account: jid.MustParse(account)} }
	bind = func(w *wire) {
		turn := s.NewTurn()
		defer turn.End()
		var err error
		if w.session, err = s.Bind(t.Context(), turn, w, w.account, ""); err != nil {
			t.Fatal(err)
		}
	}
	return dial, bind
}

// TestResume: a session is resumed by its id, and by nobody but its account.
func TestResume(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dial, bind := open(t, "alice@d", "mallory@d")
		alice := dial("alice@d")
		alice.expect(t, "<enable"+ns+"/>", "<unexpected-request")
		bind(alice)
		alice.expect(t, "<r"+ns+"/>", "<unexpected-request")
		enabled := alice.expect(t, "<enable"+ns+" resume='true' max='30'/>", "max='30'")
		id := regexp.MustCompile(`id='([^']+)'`).FindStringSubmatch(enabled)
		if id == nil {
			t.Fatal(enabled)
		}
		alice.expect(t, "<enable"+ns+" resume='true'/>", "<unexpected-request")
		alice.expect(t, "<resume"+ns+" h='0' previd='"+id[1]+"'/>", "<unexpected-request")
		alice.expect(t, "<r"+ns+"/>", "<a"+ns+" h='0'/>")

		turn := alice.server.NewTurn()
		alice.session.Lost(turn, alice)
		turn.End()
		again := dial("alice@d")
		mallory := dial("mallory@d")
		mallory.expect(t, "<resume"+ns+" h='0' previd='"+id[1]+"'/>", "<item-not-found")
		for _, wrong := range []string{"nonsense", "!", id[1][:16], id[1] + "AAAA", strings.Repeat("A", len(id[1]))} {
			again.expect(t, "<resume"+ns+" h='0' previd='"+wrong+"'/>", "<item-not-found")
		}
		again.expect(t, "<resume"+ns+" h='0' previd='"+id[1]+"'/>", "<resumed")
		if again.session != alice.session {
			t.Error("not the session")
		}
		for _, bad := range []string{"", " h='-1'", " h='x'"} {
			if _, err := again.send(t, "<a"+ns+bad+"/>"); err == nil {
				t.Errorf("<a%s/> is taken", bad)
			}
		}
		if _, err := again.send(t, "<a"+ns+" h='1'/>"); err == nil {
			t.Error("an ack of what was never sent is taken")
		}
		turn = alice.server.NewTurn()
		again.session.Lost(turn, again)
		turn.End()
		time.Sleep(31 * time.Second) // as long as was asked for
		dial("alice@d").expect(t, "<resume"+ns+" h='0' previd='"+id[1]+"'/>", "<item-not-found")
	})
}

// A client that does wrong and does not read what it is told loses its stream: nothing else would bound what waits for it.
func TestUnread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dial, bind := open(t, "alice@d")
		for _, bound := range []bool{false, true} {
			alice := dial("alice@d")
			if bound {
				bind(alice)
			}
			alice.expect(t, "<r"+ns+"/>", "<unexpected-request")
			alice.unread = 1000
			alice.expect(t, "<r"+ns+"/>", "<unexpected-request")
			alice.unread = 1001
			for _, wrong := range []string{"<r" + ns + "/>", "<enable" + ns + " max='x'/>", "<resume" + ns + "/>"} {
				var e *stream.Error
				if answer, err := alice.send(t, wrong); !errors.As(err, &e) || e.Condition != stream.PolicyViolation {
					t.Errorf("%s: %q %v", wrong, answer, err)
				}
			}
		}
	})
}
