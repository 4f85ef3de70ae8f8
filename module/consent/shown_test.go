// SPDX-License-Identifier: Apache-2.0

package consent

// How to read this file: keys says in place of module keytokens which tokens there are; then who may what by one, and who may not.

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// keys are tokens by their names: "reader-1" is the account reader@d's, "lost-1" is not there any more.
type keys struct {
	down   bool
	proven map[string]bool // of token, who and thing
	admits bool            // challenges
	asked  []string
	proves bool                  // whoever is asked passes
	hold   *[]func(*server.Turn) // where it is set, answers wait here
	reads  func()                // is called by Held, where it is set
}

func (k *keys) About(_ context.Context, token string) (jid.JID, string, error) {
	name, _, _ := strings.Cut(token, "-")
	switch {
	case k.down:
		return jid.JID{}, "", errors.New("the store is down")
	case name == "lost":
		return jid.JID{}, "", store.ErrNotFound
	}
	return jid.MustParse(name + "@d"), "Key\n" + token, nil
}

func (k *keys) Held(ctx context.Context, token string, who, thing jid.JID) (held bool, prove proof, err error) {
	if k.reads != nil {
		k.reads()
	}
	account, _, err := k.About(ctx, token)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return false, nil, nil
	case err != nil:
		return false, nil, err
	}
	if account == who || k.proven[token+" "+who.String()+" "+thing.String()] {
		return true, nil, nil
	}
	return false, func(t *server.Turn, shower, as jid.JID, f func(*server.Turn)) {
		k.asked = append(k.asked, fmt.Sprintf("%s: %s of %s by %s", token, shower, who, as))
		if k.proves {
			if k.proven == nil {
				k.proven = make(map[string]bool)
			}
			k.proven[token+" "+who.String()+" "+thing.String()] = true
		}
		if k.hold != nil {
			*k.hold = append(*k.hold, f)
			return
		}
		f(t)
	}, nil
}

func (k *keys) Admits(*server.Turn, *server.User, *stanza.Stanza) bool { return k.admits }

// counter is the service, at the server's own address.
type counter struct{ *bed }

func (counter) Name() string { return "counter" }

func (c counter) Init(h *server.Host) error {
	for _, x := range c.handlers {
		x.At = server.AtHost
		h.IQ(x)
	}
	return nil
}

// token makes a rule for whoever has a key.
func (b *bed) token(token string, right store.Right, names ...string) {
	b.T.Helper()
	_, _, err := b.m.decree(b.T.Context(), store.Rule{
		Owner: jid.MustParse("owner@d"), Thing: store.ThingName{JID: jid.MustParse("thing@d")},
		Subject: store.Subject{Kind: store.SubjectToken, Name: token}, Right: right, Allow: true, Names: names,
	}, 0)
	if err != nil {
		b.T.Fatal(err)
	}
}

func (b *bed) subject(s store.Subject, allow bool) {
	b.T.Helper()
	_, _, err := b.m.decree(b.T.Context(), store.Rule{
		Owner: jid.MustParse("owner@d"), Thing: store.ThingName{JID: jid.MustParse("thing@d")}, Subject: s, Right: store.RightRead, Allow: allow,
	}, 0)
	if err != nil {
		b.T.Fatal(err)
	}
}

const (
	reads   = "<iq to='thing@d/x' type='get' id='1'><req xmlns='urn:xmpp:iot:sensordata' seqnr='1' %s/></iq>"
	reads2  = "<iq to='thing@d/x' type='get' id='1'><req xmlns='urn:xmpp:iot:sensordata' seqnr='1' %s><field name='t'/><field name='h'/></req></iq>"
	sets    = "<iq to='thing@d/x' type='set' id='1'><set xmlns='urn:xmpp:iot:control' %s><boolean name='on' value='true'/></set></iq>"
	sends   = "<message to='thing@d/x' id='1'><set xmlns='urn:xmpp:iot:control' %s><boolean name='on' value='true'/></set></message>"
	formOf  = "<iq to='thing@d/x' type='get' id='1'><getForm xmlns='urn:xmpp:iot:control' %s/></iq>"
	own     = "deviceToken='reader-1'"
	foreign = "deviceToken='holder-1'"
)

// Who may what by a token, whose it is, and what is refused: for each, whether the thing had it, and how often somebody was asked.
func TestTokens(t *testing.T) {
	read := func(b *bed) { b.token("reader-1", store.RightRead) }
	theirs := func(b *bed) { b.token("holder-1", store.RightRead) }
	for name, c := range map[string]struct {
		rules func(*bed)
		say   string
		keys  keys
		had   string // what the thing gets; "" for nothing
		way   string // of the refusal
		asked int
	}{
		"one's own":                   {read, fmt.Sprintf(reads, own), keys{}, "<req ", "", 0},
		"one's own, called otherwise": {read, fmt.Sprintf(reads, "userToken='x reader-1'"), keys{}, "<req ", "", 0},
		"none":                        {read, fmt.Sprintf(reads, ""), keys{}, "", "readout", 0},
		"one that no rule names":      {read, fmt.Sprintf(reads, "serviceToken='reader-2'"), keys{}, "", "readout", 0},
		"one in capitals":             {read, fmt.Sprintf(reads, "serviceToken='READER-1'"), keys{}, "", "readout", 0},
		"for another right":           {read, fmt.Sprintf(sets, own), keys{}, "", "control", 0},
		"another's":                   {theirs, fmt.Sprintf(reads, foreign), keys{}, "", "token", 1},
		"another's, proven":           {theirs, fmt.Sprintf(reads, foreign), keys{proves: true}, "<req ", "", 1},
		"another's, proven before":    {theirs, fmt.Sprintf(reads, foreign), keys{proven: map[string]bool{"holder-1 reader@d thing@d": true}}, "<req ", "", 0},
		"proven for another":          {theirs, fmt.Sprintf(reads, foreign), keys{proven: map[string]bool{"holder-1 nurse@d thing@d": true}}, "", "token", 1},
		"proven elsewhere":            {theirs, fmt.Sprintf(reads, foreign), keys{proven: map[string]bool{"holder-1 reader@d lamp@d": true}}, "", "token", 1},
		"withdrawn": {func(b *bed) { b.store(store.Subject{Kind: store.SubjectToken, Name: "lost-1"}) },
			fmt.Sprintf(reads, "deviceToken='lost-1'"), keys{proves: true}, "", "token", 0},
		"the store is down": {read, fmt.Sprintf(reads, own), keys{down: true}, "", "", 0},
		"some names": {func(b *bed) { b.token("reader-1", store.RightRead, "h") }, fmt.Sprintf(reads2, own), keys{},
			"<field name='h'/></req>", "", 0},
		"two tokens, two names": {func(b *bed) {
			b.token("reader-1", store.RightRead, "h")
			b.token("reader-2", store.RightRead, "t")
		}, fmt.Sprintf(reads2, "deviceToken='reader-1 reader-2'"), keys{}, "<field name='t'/><field name='h'/></req>", "", 0},
		"one of two proven": {func(b *bed) {
			b.token("reader-1", store.RightRead, "h")
			b.token("holder-1", store.RightRead, "t")
		}, fmt.Sprintf(reads2, "deviceToken='reader-1 holder-1'"), keys{}, "holder-1'><field name='h'/></req>", "", 1},
		"forbidden to the address": {func(b *bed) {
			read(b)
			b.subject(store.Subject{Name: "reader@d"}, false)
		}, fmt.Sprintf(reads, own), keys{}, "", "readout", 0},
		"forbidden to the domain": {func(b *bed) {
			read(b)
			b.subject(store.Subject{Kind: store.SubjectDomain, Name: "d"}, false)
		}, fmt.Sprintf(reads, own), keys{}, "<req ", "", 0},
		"control":              {func(b *bed) { b.token("reader-1", store.RightControl, "on") }, fmt.Sprintf(sets, own), keys{}, "<set ", "", 0},
		"another parameter":    {func(b *bed) { b.token("reader-1", store.RightControl, "level") }, fmt.Sprintf(sets, own), keys{}, "", "control", 0},
		"the form":             {func(b *bed) { b.token("reader-1", store.RightControl, "on") }, fmt.Sprintf(formOf, own), keys{}, "<getForm ", "", 0},
		"the form, another's":  {func(b *bed) { b.token("holder-1", store.RightControl, "on") }, fmt.Sprintf(formOf, foreign), keys{}, "", "token", 1},
		"a message":            {func(b *bed) { b.token("reader-1", store.RightControl) }, fmt.Sprintf(sends, own), keys{}, "<set ", "", 0},
		"a message, another's": {func(b *bed) { b.token("holder-1", store.RightControl) }, fmt.Sprintf(sends, foreign), keys{proves: true}, "", "token", 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBed(t, usual(), "thing@d", "owner@d", "reader@d")
				reader, thing := b.Client("reader@d/r"), b.Client("thing@d/x")
				c.rules(b)
				b.keys = c.keys
				reader.Send(c.say)
				got := strings.Join(thing.Got(), "")
				if c.had == "" && got != "" || !strings.Contains(got, c.had) {
					t.Errorf("the thing gets %q, want %q", got, c.had)
				}
				if answer := reader.Got(); c.had == "" && (len(answer) != 1 || !strings.Contains(answer[0], "type='error'")) {
					t.Errorf("refused by %s", answer)
				}
				if len(b.keys.asked) != c.asked {
					t.Errorf("asked: %s", b.keys.asked)
				}
				if c.asked > 0 && !strings.HasPrefix(b.keys.asked[0], "holder-1: reader@d/r of reader@d by thing@d/x") {
					t.Errorf("asked: %s", b.keys.asked)
				}
				if c.way != "" && !b.Counts(fmt.Sprintf("stonechat_consent_refused_total{way=%q} 1", c.way)) {
					t.Errorf("not counted: %s", b.Metric("stonechat_consent_refused_total"))
				}
				list, err := b.Disk.Refusals(t.Context(), jid.MustParse("thing@d"), 0, 0)
				if err != nil || c.way != "" && (len(list) != 1 || list[0].Way != c.way) {
					t.Errorf("written: %+v, %v", list, err)
				}
			})
		})
	}
}

// store makes a rule for a token as if there had been one once.
func (b *bed) store(s store.Subject) {
	b.T.Helper()
	r := store.Rule{Owner: jid.MustParse("owner@d"), Thing: store.ThingName{JID: jid.MustParse("thing@d")}, Subject: s, Right: store.RightRead, Allow: true}
	if err := b.Disk.Commit(store.SetRule{Rule: r}).Wait(b.T.Context()); err != nil {
		b.T.Fatal(err)
	}
	b.changed(r.Thing.JID)
}

// What waits for a proof is decided about by the rules that there are then.
func TestRevokedMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, usual(), "thing@d", "owner@d", "reader@d")
		reader, thing := b.Client("reader@d/r"), b.Client("thing@d/x")
		b.token("holder-1", store.RightRead)
		var waiting []func(*server.Turn)
		b.keys.hold, b.keys.proves = &waiting, true
		reader.Send(fmt.Sprintf(reads, foreign))
		thing.Gets()
		reader.Gets()
		reader.Send("<iq to='d' type='get' id='2'><ping xmlns='urn:xmpp:ping'/></iq>") // he can be heard, or could not answer
		reader.Gets("id='2'")
		if len(waiting) != 1 {
			t.Fatalf("%d questions", len(waiting))
		}
		if _, err := b.m.revoke(t.Context(), jid.MustParse("owner@d"), 1); err != nil {
			t.Fatal(err)
		}
		turn := b.NewTurn()
		waiting[0](turn)
		turn.End()
		reader.Gets("service-unavailable")
		thing.Gets()
	})
}

// A thing that asks is told what somebody may by the token that he has shown it; it has another's proven by whoever showed it.
func TestCanByToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, usual(), "thing@d", "owner@d", "reader@d")
		thing := b.Client("thing@d/x")
		b.token("reader-1", store.RightRead, "t")
		b.token("holder-1", store.RightControl, "on")
		asks := func(element, attributes, want string) {
			t.Helper()
			thing.Send(fmt.Sprintf("<iq to='d' type='get' id='1'><%s xmlns='urn:xmpp:iot:provisioning' jid='reader@d' %s/></iq>", element, attributes))
			thing.Gets(want)
		}
		asks("canRead", own, "result='true' & <field name='t'/>")
		asks("canRead", "", "result='false'")
		asks("canRead", "deviceToken='forged'", "result='false'")
		asks("canControl", foreign, "result='false'")
		if len(b.keys.asked) != 1 || b.keys.asked[0] != "holder-1: thing@d/x of reader@d by d" {
			t.Errorf("asked: %s", b.keys.asked)
		}
		b.keys.proves = true
		asks("canControl", foreign, "result='true' & <parameter name='on'/>")
		var waiting []func(*server.Turn)
		b.keys.hold, b.keys.proven = &waiting, nil
		thing.Send(fmt.Sprintf("<iq to='d' type='get' id='1'><canControl xmlns='urn:xmpp:iot:provisioning' jid='reader@d' %s/></iq>", foreign))
		thing.Gets() // and is not held up meanwhile
		thing.Send("<iq to='d' type='get' id='2'><ping xmlns='urn:xmpp:ping'/></iq>")
		thing.Gets("id='2'")
		turn := b.NewTurn()
		waiting[0](turn)
		turn.End()
		thing.Gets("id='1' & result='true'")
		b.keys.down = true
		asks("canRead", own, "type='error'")
	})
}

// Tokens that cannot be looked up in time are refused as rules are, and hold nobody up.
func TestTokensStall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, usual(), "thing@d", "owner@d", "reader@d", "nurse@d")
		reader, nurse, thing := b.Client("reader@d/r"), b.Client("nurse@d/n"), b.Client("thing@d/x")
		b.token("reader-1", store.RightRead)
		stalls := make(chan struct{})
		release := sync.OnceFunc(func() { close(stalls) })
		defer release()
		b.keys.reads = func() { <-stalls }
		const refused = "type='wait' & internal-server-error & cannot be looked up"
		reader.Try(fmt.Sprintf(reads, own))
		<-time.After(time.Duration(usual().ReadWithin))
		reader.Gets(refused)
		nurse.Try(fmt.Sprintf(reads, own)) // at once: it was tried just now
		nurse.Gets(refused)
		<-time.After(tryAgain)
		thing.Try("<iq to='d' type='get' id='1'><canRead xmlns='urn:xmpp:iot:provisioning' jid='reader@d' " + own + "/></iq>")
		<-time.After(time.Duration(usual().ReadWithin))
		thing.Gets(refused)
		if got := b.Metric("stonechat_consent_failed_total"); got != "3" {
			t.Errorf("failed: %s", got)
		}
		release()
		<-time.After(tryAgain)
		reader.Send(fmt.Sprintf(reads, own))
		thing.Gets("<req ")
		reader.Gets()
	})
}

// However many proofs end at one time, no more of what hangs on them is decided at once than the server lets wait.
func TestProofsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const all, most = 100, 64
		b := newBed(t, usual(), "thing@d", "owner@d", "reader@d")
		thing := b.Client("thing@d/x")
		b.token("holder-1", store.RightControl, "on")
		var waiting []func(*server.Turn)
		b.keys.hold, b.keys.proves = &waiting, true
		for i := range all {
			thing.Send(fmt.Sprintf("<iq to='d' type='get' id='%d'><canControl xmlns='urn:xmpp:iot:provisioning' jid='reader@d' %s/></iq>", i, foreign))
			b.keys.proven = nil
		}
		thing.Gets()
		if len(waiting) != all {
			t.Fatalf("%d questions", len(waiting))
		}
		var now, peak atomic.Int32
		slow := make(chan struct{})
		b.keys.reads = func() {
			for n, p := now.Add(1), peak.Load(); n > p && !peak.CompareAndSwap(p, n); p = peak.Load() {
			}
			<-slow
			now.Add(-1)
		}
		for _, f := range waiting {
			turn := b.NewTurn()
			f(turn)
			turn.End()
		}
		synctest.Wait()
		close(slow)
		if got := len(thing.Got()); got != all || peak.Load() > most {
			t.Errorf("%d answers, %d looked up at once", got, peak.Load())
		}
	})
}

// A thing that has sent a token is asked about it; that it has is for module keytokens to say.
func TestChallengesPass(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, usual(), "thing@d", "owner@d", "reader@d")
		reader, thing := b.Client("reader@d/r"), b.Client("thing@d/x")
		const challenge = "<iq to='thing@d/x' type='get' id='1'><tokenChallenge xmlns='urn:xmpp:iot:provisioning' token='t'>AAAA</tokenChallenge></iq>"
		reader.Send(challenge)
		reader.Gets("service-unavailable")
		thing.Gets()
		b.keys.admits = true
		reader.Send(challenge)
		thing.Gets("tokenChallenge")
	})
}

// What a rule for a token cannot say.
func TestTokenRules(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t, usual(), "thing@d", "owner@d")
		make := func(token string, right store.Right, allow bool) error {
			_, _, err := b.m.decree(t.Context(), store.Rule{
				Owner: jid.MustParse("owner@d"), Thing: store.ThingName{JID: jid.MustParse("thing@d")},
				Subject: store.Subject{Kind: store.SubjectToken, Name: token}, Right: right, Allow: allow,
			}, 0)
			return err
		}
		condition := func(err error) stanza.Condition {
			e, _ := stanza.AsError(err)
			return e.Condition
		}
		if err := make("lost-1", store.RightRead, true); condition(err) != stanza.ItemNotFound {
			t.Errorf("one that there is not: %v", err)
		}
		if err := make("reader-1", store.RightRead, false); condition(err) != stanza.BadRequest {
			t.Errorf("forbidden by a token: %v", err)
		}
		if err := make("reader-1", store.RightFriend, true); condition(err) != stanza.BadRequest {
			t.Errorf("to be seen by a token: %v", err)
		}
		if err := make("reader-1", store.RightRead, true); err != nil {
			t.Error(err)
		}
		b.m.tokens = nil
		if err := make("reader-1", store.RightControl, true); condition(err) != stanza.FeatureNotImplemented {
			t.Errorf("without module keytokens: %v", err)
		}
		b.m.tokens = &b.keys
		for word, want := range map[string]string{"token:": "bad-request", "token:" + strings.Repeat("x", 200): "bad-request", "token:abc": "4 abc"} {
			s, err := subject(word)
			got := fmt.Sprintf("%d %s", s.Kind, s.Name)
			if err != nil {
				got = string(condition(err))
			}
			if got != want {
				t.Errorf("%.20s: %s, want %s", word, got, want)
			}
		}
		for token, want := range map[string]string{
			"reader-1": "Whoever has the key of token reader-1 (Key reader-1 of reader@d) may read ", "lost-1": "Whoever has the key of token lost-1, which there is no more, may read ",
		} {
			r := store.Rule{Thing: store.ThingName{JID: jid.MustParse("thing@d")}, Subject: store.Subject{Kind: store.SubjectToken, Name: token}, Right: store.RightRead, Allow: true}
			if got := b.m.inWords(t.Context(), &r); !strings.HasPrefix(got, want) {
				t.Errorf("%s: %s", token, got)
			}
		}
	})
}

// No more tokens of one request count than modules.consent.tokens says; while none can be looked up, what has waited waits on.
func TestTokensBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := usual()
		c.Tokens = 1
		b := newBed(t, c, "thing@d", "reader@d")
		b.Client("thing@d/x")
		rules := make([]store.Rule, 0, 2)
		for _, token := range []string{"lost-1", "reader-1"} {
			rules = append(rules, store.Rule{Subject: store.Subject{Kind: store.SubjectToken, Name: token}, Right: store.RightControl, Allow: true})
		}
		st, w := &standing{rules: rules}, &want{right: store.RightControl, tokens: []string{"reader-1", "lost-1"}}
		if got := b.m.named(st, w); len(got) != 1 || got[0] != "lost-1" {
			t.Errorf("%q count", got)
		}
		b.token("reader-1", store.RightControl)
		b.keys.down = true
		u, release, ok := b.Lookup(jid.MustParse("thing@d"))
		if !ok {
			t.Fatal("the thing is not there")
		}
		defer release()
		s, err := stanza.Parse([]byte("<message xmlns='jabber:client' from='reader@d/r' to='thing@d'><set xmlns='urn:xmpp:iot:control' deviceToken='reader-1'>" +
			"<boolean name='on' value='true'/></set></message>"))
		if err != nil {
			t.Fatal(err)
		}
		if had, err := b.m.drains(u.Sessions(nil)[0], s); had || err == nil {
			t.Errorf("%v, %v", had, err)
		}
	})
}
