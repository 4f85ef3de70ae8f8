// SPDX-License-Identifier: Apache-2.0

package keytokens_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/provisioning"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// Only whom a session has sent a token to may challenge it.
func TestAdmits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, usual(), "reader@d")
		reader := b.Client("reader@d/r")
		b.Client("reader@d/s")
		u, release := b.Hold(jid.MustParse("reader@d"))
		defer release()
		admits := func(from, to string, typ stanza.Type) bool {
			turn := b.NewTurn()
			defer turn.End()
			s := stanza.New(stanza.IQ, typ, jid.MustParse(to), &provisioning.TokenChallenge{Token: "t", Challenge: []byte("c")})
			s.From = jid.MustParse(from)
			return b.m.Admits(turn, u, s)
		}
		const req = "<iq to='%s' type='get' id='1'><req xmlns='urn:xmpp:iot:sensordata' seqnr='1' %s/></iq>"
		reader.Send(fmt.Sprintf(req, "a@d/x", ""))
		if admits("a@d/x", "reader@d/r", stanza.Get) {
			t.Error("by whom no token was sent to")
		}
		reader.Send(fmt.Sprintf(req, "a@d/x", "userToken='t'"),
			"<iq to='b@e/x' type='set' id='1'><set xmlns='urn:xmpp:iot:control' deviceToken='t'><boolean name='on' value='true'/></set></iq>",
			fmt.Sprintf(req, "c@d/x", "serviceToken='t'")) // one more than may be
		if !b.Counts("stonechat_keytokens_refused_total 1") {
			t.Errorf("refused for a bound: %s", b.Metric("stonechat_keytokens_refused_total"))
		}
		for _, c := range []struct {
			from, to string
			typ      stanza.Type
			want     bool
		}{
			{"a@d/x", "reader@d/r", stanza.Get, true}, {"a@d", "reader@d/r", stanza.Get, true}, {"b@e/x", "reader@d/r", stanza.Get, true},
			{"a@d/x", "reader@d/r", stanza.Set, false}, {"a@d/x", "reader@d/s", stanza.Get, false}, {"a@d/x", "reader@d", stanza.Get, false},
			{"a@d/x", "reader@d/away", stanza.Get, false}, {"c@d/x", "reader@d/r", stanza.Get, false}, {"d", "reader@d/r", stanza.Get, false},
		} {
			if got := admits(c.from, c.to, c.typ); got != c.want {
				t.Errorf("%s from %s to %s is admitted: %t", c.typ, c.from, c.to, got)
			}
		}
		<-time.After(time.Minute)
		if admits("a@d/x", "reader@d/r", stanza.Get) {
			t.Error("after a minute")
		}
	})
}

// Who has the name of an account that was deleted has proven nothing.
func TestDeleted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, usual(), "reader@d", "other@d", "thing@d")
		x := fresh(t, "x")
		own := token(b.Client("reader@d/r"), x)
		b.Client("thing@d/x")
		other := b.Client("other@d/r")
		b.ask(own, other)
		id, encrypted := asked(t, own, other.Gets("tokenChallenge"))
		other.Send(fmt.Sprintf("<iq to='thing@d/x' type='result' id='%s'><tokenChallengeResponse xmlns='urn:xmpp:iot:provisioning'>%s</tokenChallengeResponse></iq>",
			id, prove(t, x, encrypted)))
		if got := b.held(t, own, "other@d", "thing@d"); got != "true false <nil>" {
			t.Fatalf("proven: %s", got)
		}
		challenge(other, x)
		if err := b.DeleteAccount(t.Context(), jid.MustParse("other@d"), nil); err != nil {
			t.Fatal(err)
		}
		b.Account("other@d")
		if got := b.held(t, own, "other@d", "thing@d"); got != "false true <nil>" {
			t.Errorf("by the account before: %s", got)
		}
		if !b.Counts("stonechat_keytokens_challenges_open 0") {
			t.Errorf("left: %s", b.Metric("stonechat_keytokens_challenges_open"))
		}
	})
}
