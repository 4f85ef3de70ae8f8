// SPDX-License-Identifier: Apache-2.0

package muc

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/mam"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// shelf is an archive in memory.
type shelf struct {
	mu      sync.Mutex
	said    map[store.ArchiveName][]mam.Message
	authors []jid.JID
	full    bool
	looking func() // is called, unless nil, when somebody looks for a message
}

func (a *shelf) Add(t *server.Turn, name store.ArchiveName, with jid.JID, s *stanza.Stanza) (string, *store.Pending) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.full {
		return "", store.Resolved(store.ErrOverloaded)
	}
	if a.said == nil {
		a.said = make(map[store.ArchiveName][]mam.Message)
	}
	a.authors = append(a.authors, with)
	id := fmt.Sprintf("id%d", len(a.authors))
	a.said[name] = append(a.said[name], mam.Message{ID: id, At: t.Now, Stanza: s.Retain()})
	return id, store.Resolved(nil)
}

func (a *shelf) Answer(_ *server.Turn, _ *server.Query, name store.ArchiveName, _ func(*stanza.Stanza) bool) (stanza.Payload, error) {
	return &mam.Fin{Complete: true}, nil
}

func (a *shelf) Last(_ context.Context, name store.ArchiveName, _ time.Time, most int) ([]mam.Message, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	var list []mam.Message
	for _, x := range a.said[name][max(0, len(a.said[name])-most):] {
		x.Stanza = x.Stanza.Retain()
		list = append(list, x)
	}
	return list, nil
}

func (a *shelf) Find(_ context.Context, name store.ArchiveName, id string) (mam.Message, error) {
	if a.looking != nil {
		a.looking()
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, x := range a.said[name] {
		if x.ID == id {
			return x, nil
		}
	}
	return mam.Message{}, store.ErrNotFound
}

func (a *shelf) Replace(name store.ArchiveName, id string, tomb *stanza.Stanza) *store.Pending {
	a.mu.Lock()
	defer a.mu.Unlock()
	for i := range a.said[name] {
		if a.said[name][i].ID == id {
			a.said[name][i].Stanza = tomb.Retain()
		}
	}
	return store.Resolved(nil)
}

func (a *shelf) Forget(name store.ArchiveName) *store.Pending {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.said, name)
	return store.Resolved(nil)
}

func (*shelf) Features() []string { return []string{mam.NS, mam.NSFullText} }

// text is what the archive has of the cave.
func (a *shelf) text() (all string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, x := range a.said[store.ArchiveName{JID: jid.MustParse(cave)}] {
		all += x.ID + " " + string(x.Stanza.Append(nil, "")) + "\n"
	}
	return all
}

const (
	readArchive = "<query xmlns='urn:xmpp:mam:2'/>"
	readOfPage  = "<query xmlns='urn:xmpp:mam:2'><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE' type='hidden'><value>urn:xmpp:mam:2</value></field><field var='with'><value>page@d</value></field></x></query>"
	moderate    = "<moderate xmlns='urn:xmpp:message-moderate:1' id='id1'><retract xmlns='urn:xmpp:message-retract:1'/><reason>x</reason></moderate>"
)

// Who may read what was said and take it back, by the columns of TestAuthorization.
func TestArchiveAuthorization(t *testing.T) {
	takeBack := func(p *peer, room string) string {
		return p.tell("<message type='groupchat' to='" + room + "' id='x'><retract xmlns='urn:xmpp:message-retract:1' id='id1'/><body>x</body></message>")
	}
	ask := func(typ, payload string) func(p *peer, room string) string {
		return func(p *peer, room string) string { return p.ask(typ, room, payload) }
	}
	for _, c := range []struct {
		name    string
		do      func(p *peer, room string) string
		want    string
		options []string
	}{
		{"reads", ask("set", readArchive), "..........F", nil},
		{"asks for the form", ask("get", readArchive), "..........F", nil},
		{"reads where members may enter", ask("set", readArchive), "...FFF...FF", []string{fieldMembersOnly, "1"}},
		{"reads where a password is needed", ask("set", readArchive), ".........FF", []string{fieldPassword, "secret"}},
		{"asks whose messages there are", ask("set", readOfPage), "..F.FF..FFF", nil},
		{"asks whose messages there are where all see addresses", ask("set", readOfPage), "..........F", []string{fieldWhois, "anyone"}},
		{"moderates", ask("set", moderate), "..F.FF..FFF", nil},
		{"takes back another's", takeBack, "FFFFFFXXXXX", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				a := new(shelf)
				b := newBenchWith(t, usual(), a, "boss duke maid page fool chief knave actor guest")
				cast := newCast(b)
				for i := range columns {
					room := fmt.Sprintf("room%d@rooms.d", i)
					cast.play(room, columns[i], nil)
					*a = shelf{}
					cast.page.Send("<message type='groupchat' to='" + room + "' id='m'><body>hi</body></message>")
					cast.boss.must("set", room, configuration(append([]string{fieldModerated, "1"}, c.options...)...))
					cast.actor.Got()
					if got, want := c.do(cast.actor, room), answers[c.want[i]]; got != want {
						t.Errorf("%c: %q, want %q", columns[i], got, want)
					}
				}
			})
		})
	}
}

// What is said is archived as it is sent, bears its id, and fills the history of a room that was loaded; what is taken
// back is gone from both.
func TestArchive(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		a := new(shelf)
		c := usual()
		c.Default.History = 10
		b := newBenchWith(t, c, a, "boss page")
		boss, page := b.bind("boss/r"), b.bind("page/r")
		boss.room(cave, "boss", fieldPersistent, "1")
		page.Send(enter(cave, "page"))
		boss.Got()
		page.Got()
		for i := range 3 {
			page.Send(fmt.Sprintf("<message type='groupchat' to='cave@rooms.d' id='m%d'><body>word%d</body>"+
				"<stanza-id xmlns='urn:xmpp:sid:0' by='cave@rooms.d' id='forged'/></message>", i, i))
		}
		page.Send("<message type='groupchat' to='cave@rooms.d'><composing xmlns='http://jabber.org/protocol/chatstates'/></message>")
		boss.Gets("word0 & <stanza-id xmlns='urn:xmpp:sid:0' by='cave@rooms.d' id='id1'/>", "word1 & id='id2'", "word2 & id='id3'", "composing")
		page.Got()
		if got := a.text(); strings.Count(got, "\n") != 3 || strings.Contains(got, "forged") || strings.Contains(got, "page@d") {
			t.Errorf("archived: %s", got)
		}
		if a.authors[0].String() != "page@d" {
			t.Errorf("by %s", a.authors[0])
		}
		page.Send("<message type='groupchat' to='cave@rooms.d' id='r'><retract xmlns='urn:xmpp:message-retract:1' id='id2'/></message>")
		boss.Gets("id='r' & <retract & id='id2'")
		boss.must("set", cave, strings.Replace(moderate, "id1", "id3", 1))
		page.Gets("id='r'", "^<message from='cave@rooms.d' & <retract & id='id3' & by='cave@rooms.d/boss'")
		if got := a.text(); strings.Contains(got, "word1") || strings.Contains(got, "word2") || strings.Count(got, "<retracted") != 2 || !strings.Contains(got, "word0") {
			t.Errorf("archived: %s", got)
		}
		if wrong := boss.ask("set", cave, strings.Replace(moderate, "id1", "id3", 1)); wrong != "item-not-found" {
			t.Errorf("moderated twice: %q", wrong)
		}
		// A moderator's word that is none is cut.
		page.Send("<message type='groupchat' to='cave@rooms.d'><body>look</body><retract xmlns='urn:xmpp:message-retract:1' id='id1'><moderated xmlns='urn:xmpp:message-moderate:1'/></retract></message>")
		for _, x := range boss.Got() {
			if strings.Contains(x, "look") && strings.Contains(x, "moderated") {
				t.Errorf("forged: %s", x)
			}
		}
		b.Restart()
		boss = b.bind("boss/r")
		boss.Send(enter(cave, "boss"))
		got := strings.Join(boss.Got(), "")
		if !strings.Contains(got, "word0") || !strings.Contains(got, "look") || strings.Contains(got, "word1") || strings.Contains(got, "word2") {
			t.Errorf("history: %s", got)
		}
		a.full = true
		if wrong := boss.tell("<message type='groupchat' to='cave@rooms.d'><body>x</body></message>"); wrong != "resource-constraint" {
			t.Errorf("a full archive: %q", wrong)
		}
		a.full = false
		boss.must("set", cave, configuration(fieldArchive, "0"))
		boss.Send("<message type='groupchat' to='cave@rooms.d'><body>quiet</body></message>")
		if strings.Contains(a.text(), "quiet") {
			t.Error("archived against the owner's will")
		}
		boss.must("set", cave, "<query xmlns='http://jabber.org/protocol/muc#owner'><destroy/></query>")
		if got := a.text(); got != "" {
			t.Errorf("left of a room that is over: %s", got)
		}
	})
}

// Nothing comes between what is looked at and what is put in its place: of an author and a moderator who take the same message back at
// one time, one sees what the other has done.
func TestOneTakesBack(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		a := new(shelf)
		b := newBenchWith(t, usual(), a, "boss page")
		boss, page := b.bind("boss/r"), b.bind("page/r")
		boss.room(cave, "boss", fieldPersistent, "1")
		page.Send(enter(cave, "page"))
		for range 2 {
			page.Send("<message type='groupchat' to='cave@rooms.d' id='m'><body>hi</body></message>")
		}
		r := b.m.table.all()[0]
		looked := 0
		a.looking = func() {
			looked++
			if r.change.TryLock() {
				r.change.Unlock()
				t.Error("another might change it")
			}
		}
		page.Send("<message type='groupchat' to='cave@rooms.d' id='r'><retract xmlns='urn:xmpp:message-retract:1' id='id1'/></message>")
		boss.must("set", cave, strings.Replace(moderate, "id1", "id2", 1))
		if looked != 2 {
			t.Errorf("looked %d times", looked)
		}
	})
}
