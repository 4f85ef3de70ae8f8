// SPDX-License-Identifier: Apache-2.0

package keytokens_test

// How to read this file: ask has somebody challenged who shows another's token, on the bed of keytokens_test.go; then who is asked, how often,
// and what that comes to.

import (
	"encoding/base64"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stonechat-im/stonechat/internal/servertest"
	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// ask has whoever has shown a token challenged, and returns what he is asked, with a function that says how Held judges then.
func (b *bed) ask(token string, shower *servertest.Peer) (over func() bool) {
	b.T.Helper()
	done := false
	turn := b.NewTurn()
	b.shows(turn, token, shower.Session.JID, func() { done = true })
	turn.End()
	synctest.Wait()
	return func() bool { synctest.Wait(); return done }
}

// shows has somebody challenged who shows thing@d a token, if it may be found out whether it counts for him.
func (b *bed) shows(turn *server.Turn, token string, who jid.JID, over func()) {
	b.T.Helper()
	held, find, err := b.m.Held(b.T.Context(), token, who.Bare(), jid.MustParse("thing@d"))
	if held || err != nil {
		b.T.Fatalf("before %s is asked: %t %v", who, held, err)
	}
	if find == nil {
		over()
		return
	}
	find(turn, who, jid.MustParse("thing@d/x"), func(*server.Turn) { over() })
}

// asked is what somebody is asked to prove.
func asked(t *testing.T, token string, got []string) (id string, challenge []byte) {
	t.Helper()
	m := regexp.MustCompile(`id='([^']+)'.*<tokenChallenge .*token='` + token + `'>([^<]+)<`).FindStringSubmatch(got[0])
	if m == nil {
		t.Fatalf("challenged by %s", got)
	}
	challenge, err := base64.StdEncoding.DecodeString(m[2])
	if err != nil {
		t.Fatal(err)
	}
	return m[1], challenge
}

func (b *bed) held(t *testing.T, token, who, thing string) string {
	t.Helper()
	held, open, err := b.m.Held(t.Context(), token, jid.MustParse(who), jid.MustParse(thing))
	return fmt.Sprintf("%t %t %v", held, open != nil, err)
}

func TestHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, usual(), "reader@d", "other@d", "thing@d", "third@d")
		reader, other, third := b.Client("reader@d/r"), b.Client("other@d/r"), b.Client("third@d/r")
		b.Client("thing@d/x")
		x := fresh(t, "x")
		own := token(reader, x)
		want := func(who, thing, want string) {
			t.Helper()
			if got := b.held(t, own, who, thing); got != want {
				t.Errorf("%s at %s: %s, want %s", who, thing, got, want)
			}
		}
		want("reader@d", "thing@d", "true false <nil>")
		want("other@d", "thing@d", "false true <nil>")
		if got := b.held(t, "FORGED", "reader@d", "thing@d"); got != "false false <nil>" {
			t.Errorf("forged: %s", got)
		}
		if got := b.held(t, strings.Repeat("x", 2000), "reader@d", "thing@d"); got != "false false <nil>" {
			t.Errorf("long: %s", got)
		}

		answer := func(id, response string) string {
			return "<iq to='thing@d/x' type='result' id='" + id + "'><tokenChallengeResponse xmlns='urn:xmpp:iot:provisioning'>" + response + "</tokenChallengeResponse></iq>"
		}

		// Refused, wrong, and none. Who has not proven it is not asked again at once, and another is.
		again := func() {
			t.Helper()
			want("other@d", "thing@d", "false false <nil>")
			want("third@d", "thing@d", "false true <nil>")
			want("other@d", "lamp@d", "false true <nil>")
			<-time.After(time.Duration(usual().Wait))
			want("other@d", "thing@d", "false true <nil>")
		}
		over := b.ask(own, other)
		id, _ := asked(t, own, other.Gets("from='thing@d/x'"))
		other.Send("<iq to='thing@d/x' type='error' id='" + id + "'><error type='cancel'><forbidden xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>")
		if !over() {
			t.Error("a refusal is no end")
		}
		again()
		over = b.ask(own, other)
		id, challenge := asked(t, own, other.Gets("from='thing@d/x'"))
		old := prove(t, x, challenge)
		third.Send(answer(id, old)) // another's answer is none
		if over() {
			t.Error("a third has answered")
		}
		other.Send(answer(id, b64([]byte("wrong"))))
		if !over() {
			t.Error("a wrong answer is no end")
		}
		again()
		over = b.ask(own, other)
		id, _ = asked(t, own, other.Gets("from='thing@d/x'"))
		other.Send(answer(id, old)) // of a challenge before
		if !over() {
			t.Error("an old answer is no end")
		}
		again()
		over = b.ask(own, other)
		other.Gets("from='thing@d/x'")
		<-time.After(time.Duration(usual().Wait))
		if !over() {
			t.Error("silence is no end")
		}
		again()

		// Proven: for him, there, for a minute.
		over = b.ask(own, other)
		id, challenge = asked(t, own, other.Gets("from='thing@d/x'"))
		other.Send(answer(id, prove(t, x, challenge)))
		if !over() {
			t.Error("an answer is no end")
		}
		want("other@d", "thing@d", "true false <nil>")
		want("other@d", "lamp@d", "false true <nil>")
		want("third@d", "thing@d", "false true <nil>")
		<-time.After(61 * time.Second)
		want("other@d", "thing@d", "false true <nil>")

		// A proof ends with the token.
		b.ask(own, other)
		id, challenge = asked(t, own, other.Gets("from='thing@d/x'"))
		other.Send(answer(id, prove(t, x, challenge)))
		want("other@d", "thing@d", "true false <nil>")
		b.say("reader@d", "withdraw", own)
		want("other@d", "thing@d", "false false <nil>")
		want("reader@d", "thing@d", "false false <nil>")
		if !b.ask(own, other)() {
			t.Error("a challenge of no token is no end")
		}
		other.Gets()
		for _, line := range []string{`{result="proven"} 3`, `{result="wrong"} 2`, `{result="refused"} 1`, `{result="silent"} 1`} {
			if !b.Counts("stonechat_keytokens_challenges_total" + line) {
				t.Errorf("%s: %s", line, b.Metric("stonechat_keytokens_challenges_total"))
			}
		}
	})
}

// silent is another server that answers nothing.
type silent struct{}

func (silent) Present() bool                           { return true }
func (silent) Take(*server.Turn, *stanza.Stanza) error { return nil }

// However many addresses one other domain has, or are guests, there are challenges left for all others.
func TestCrowds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := usual()
		c.Challenges = 12
		b := newBed(t, c, "reader@d", "other@d", "thing@d")
		if _, err := b.Attach(server.Elsewhere, silent{}); err != nil {
			t.Fatal(err)
		}
		x := fresh(t, "x")
		own := token(b.Client("reader@d/r"), x)
		open := func(want int, who ...string) {
			t.Helper()
			turn := b.NewTurn()
			for _, j := range who {
				b.shows(turn, own, jid.MustParse(j), func() {})
			}
			turn.End()
			synctest.Wait()
			if got := b.Metric("stonechat_keytokens_challenges_open"); got != strconv.Itoa(want) {
				t.Errorf("%s are asked: %s challenges are open, want %d", who, got, want)
			}
		}
		var crowd, guests []string
		for i := range 12 {
			crowd = append(crowd, fmt.Sprintf("a%d@evil.example/r", i))
			guests = append(guests, b.Guest(fmt.Sprintf("g%d@d/r", i)).Session.JID.String())
		}
		open(3, crowd...)
		open(6, guests...)
		open(7, "romeo@far.example/r")
		b.Client("other@d/r")
		open(8, "other@d/r")
		challenge(b.Client("thing@d/r"), x)
		<-time.After(time.Duration(c.Wait) + time.Second)
		open(1+3, crowd[9:]...) // the others are over, but for the offer
	})
}

// Beyond the proofs that may be remembered another's token counts for nobody.
func TestProofs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := usual()
		c.Proofs = 1
		b := newBed(t, c, "reader@d", "other@d", "third@d", "thing@d")
		x := fresh(t, "x")
		own := token(b.Client("reader@d/r"), x)
		b.Client("thing@d/x")
		for i, who := range []string{"other@d", "third@d"} {
			p := b.Client(who + "/r")
			b.ask(own, p)
			id, encrypted := asked(t, own, p.Gets("tokenChallenge"))
			p.Send(fmt.Sprintf("<iq to='thing@d/x' type='result' id='%s'><tokenChallengeResponse xmlns='urn:xmpp:iot:provisioning'>%s</tokenChallengeResponse></iq>",
				id, prove(t, x, encrypted)))
			if got := b.held(t, own, who, "thing@d"); got != []string{"true false <nil>", "false true <nil>"}[i] {
				t.Errorf("%s: %s", who, got)
			}
		}
	})
}
