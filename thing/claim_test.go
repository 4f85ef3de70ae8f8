// SPDX-License-Identifier: Apache-2.0

package thing_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stonechat-im/stonechat/internal/testserver"
	"github.com/stonechat-im/stonechat/thing"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/registry"
)

// unclaimed makes a thing that nobody owns, and collects how it would be claimed.
func unclaimed(l *lab) (claims chan thing.Claim) {
	claims = make(chan thing.Claim, 10)
	l.config.Owner = jid.JID{}
	l.config.Maker, l.config.Model, l.config.Serial, l.config.Version = "example.org", "T 1", "0815", "1.2"
	l.config.Claim = func(c thing.Claim) { claims <- c }
	return claims
}

const registering = "<iq to='things.example.org' id='([^']+)' type='set'><register xmlns='urn:xmpp:iot:discovery'>" +
	"<str name='MAN' value='example.org'/><str name='MODEL' value='T 1'/><str name='SN' value='0815'/><num name='V' value='1.2'/>" +
	"<str name='KEY' value='([^']+)'/></register></iq>"

// A thing without an owner registers, shows its key, obeys whoever has claimed it and nobody before, loses him, and has
// another key then. It remembers across restarts.
func TestClaimLife(t *testing.T) {
	folder, whole := t.TempDir(), t
	var key string
	inLab(t, func(t *testing.T, l *lab) {
		l.config.State = folder
		claims := unclaimed(l)
		p := l.start(t)
		m := p.Expect(registering)
		key = m[2]
		report(t, l.thing, 1)
		p.Say("<iq from='things.example.org' id='%s' type='result'/>", m[1])
		p.Expect("<presence id='[^']+'>.*<c xmlns='http://jabber.org/protocol/caps' .*")
		c := <-claims
		u, err := registry.ParseURI(c.Code)
		if err != nil || u.Tags.Value(registry.KEY) != key || u.Registry != jid.MustParse("things.example.org") || !strings.HasPrefix(c.Chat, "xmpp:things.example.org?message;body=claim") {
			t.Errorf("shown: %s, %s, %v", c.Code, c.Chat, err)
		}
		p.Say("<iq from='nurse@example.org/x' id='f' type='set'><claimed xmlns='urn:xmpp:iot:discovery' jid='nurse@example.org'/></iq>")
		p.Expect("<iq .*id='f' type='error'.*")
		if o := l.thing.Owner(); !o.IsZero() {
			t.Errorf("%s has made himself the owner", o)
		}
		folder = powerCut(whole, folder)
		go func() { _ = p.End() }()
	})
	inLab(t, func(t *testing.T, l *lab) { // the key is the same after a power cut
		l.config.State = folder
		unclaimed(l)
		p := l.start(t)
		m := p.Expect(registering)
		if m[2] != key {
			t.Errorf("the key was %s and is %s", key, m[2])
		}
		p.Say("<iq from='things.example.org' id='%s' type='result'/>", m[1])
		p.Expect("<presence .*")
		p.Say("<iq from='things.example.org' id='c' type='set'><claimed xmlns='urn:xmpp:iot:discovery' jid='%s'/></iq>", owner)
		p.Expect("<iq to='things.example.org' id='c' type='result'/>")
		report(t, l.thing, 2)
		p.Expect("<message to='nurse@example.org' .*<body>n 2 lx</body>.*") // and not what was before
		synctest.Wait()
		folder = powerCut(whole, folder)
		go func() { _ = p.End() }()
	})
	inLab(t, func(t *testing.T, l *lab) { // and so is the owner; then he gives it up
		l.config.State = folder
		claims := unclaimed(l)
		p := l.start(t)
		for again := true; again; { // what was told before the power cut may come again
			p.Say("<message from='%s/x' type='chat'><body>help</body></message>", owner)
			again = !strings.Contains(p.Expect("(<message .*)")[1], "I understand")
		}
		p.Rest = true
		report(t, l.thing, 3)
		p.Say("<iq from='things.example.org' id='d' type='set'><disowned xmlns='urn:xmpp:iot:discovery'/></iq>")
		var m []string
		for m == nil {
			if s := p.Expect("(<(?:message|iq).*)")[1]; strings.Contains(s, "<register") {
				m = []string{s, between(s, "id='", "'"), between(s, "name='KEY' value='", "'")}
			}
		}
		if m[2] == key || m[2] == "" {
			t.Errorf("the key is %s as before", m[2])
		}
		if _, err := os.Stat(filepath.Join(folder, "readings")); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the readings of the former owner: %v", err)
		}
		p.Say("<iq from='things.example.org' id='%s' type='result'/>", m[1])
		<-claims
		p.Rest = false
		p.Say("<message from='%s/x' type='chat'><body>help</body></message>", owner)
		p.Say("<iq from='example.org' id='fence' type='get'><ping xmlns='urn:xmpp:ping'/></iq>")
		for s := ""; !strings.Contains(s, "id='fence'"); { // its presence is told, too, and the service asked about the stranger
			if s = p.Expect("(<.*)")[1]; strings.HasPrefix(s, "<message") {
				t.Errorf("the former owner, a stranger now, is told %s", s)
			}
		}
		go func() { _ = p.End() }()
	})
}

// A registry that is not there is asked again, less and less often; one of another domain makes a thing subscribe.
func TestClaimedFromElsewhere(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.config.Client.Keepalive, l.config.Client.AnswerTime = 10*time.Hour, 10*time.Hour
		unclaimed(l)
		p := l.start(t)
		begun := time.Now()
		for range 3 {
			m := p.Expect(registering)
			p.Say("<iq from='things.example.org' id='%s' type='error'><error type='cancel'><service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>", m[1])
		}
		m := p.Expect(registering)
		if d := time.Since(begun); d < time.Minute {
			t.Errorf("asked four times within %s", d)
		}
		p.Say("<iq from='things.example.org' id='%s' type='result'><claimed xmlns='urn:xmpp:iot:discovery' jid='juliet@example.net'/></iq>", m[1])
		p.Expect("<presence to='juliet@example.net' id='[^']+' type='subscribed'/>")
		p.Expect("<presence to='juliet@example.net' id='[^']+' type='subscribe'/>")
		go func() { _ = p.End() }()
	})
}

// The owner that a thing was given is so until the registry says something else: from then on that counts, also after a restart with
// the same configuration. Nobody else is believed.
func TestGivenOwner(t *testing.T) {
	folder, whole := t.TempDir(), t
	from := func(who string) string {
		return "<iq from='" + who + "' id='n' type='set'>%s</iq>"
	}
	const things, romeo = "things.example.org", "romeo@example.org"
	claimed := func(who string) string { return "<claimed xmlns='urn:xmpp:iot:discovery' jid='" + who + "'/>" }
	obeys := func(t *testing.T, l *lab, who string) {
		t.Helper()
		if o := l.thing.Owner(); o.String() != who {
			t.Errorf("it is %q's and not %q's", o, who)
		}
	}
	inLab(t, func(t *testing.T, l *lab) {
		l.config.State = folder
		p := l.start(t)
		for _, x := range []string{claimed("romeo@example.org"), "<disowned xmlns='urn:xmpp:iot:discovery'/>"} {
			p.Say(from("romeo@example.org/x"), x)
			p.Expect("<iq to='romeo@example.org/x' id='n' type='error'>.*")
		}
		p.Say(from(things), claimed(owner)) // who knows it from the operator, it may be
		p.Expect("<iq to='things.example.org' id='n' type='result'/>")
		obeys(t, l, owner)
		report(t, l.thing, 1)
		p.Expect("<message to='nurse@example.org' .*<body>n 1 lx</body>.*")
		p.Say(from(things), claimed(romeo))
		p.Expect("<iq to='things.example.org' id='n' type='result'/>")
		obeys(t, l, romeo)
		report(t, l.thing, 2)
		p.Expect("<message to='romeo@example.org' .*<body>n 2 lx</body>.*")
		p.Say("<message from='%s/x' type='chat'><body>help</body></message>", owner)
		silent(p, "who had it is told")
		folder = powerCut(whole, folder)
		go func() { _ = p.End() }()
	})
	inLab(t, func(t *testing.T, l *lab) {
		l.config.State = folder
		p := l.start(t)
		obeys(t, l, romeo)
		report(t, l.thing, 3)
		for s := ""; !strings.Contains(s, "<body>n 3 lx</body>"); { // what was told before the power cut may come again
			if s = p.Expect("(<message .*)")[1]; !strings.Contains(s, "to='romeo@example.org'") {
				t.Errorf("told %s", s)
			}
		}
		p.Say(from(things), "<disowned xmlns='urn:xmpp:iot:discovery'/>")
		var key string
		for key == "" {
			s := p.Expect("(<iq .*)")[1]
			key = between(s, "name='KEY' value='", "'")
		}
		obeys(t, l, "")
		synctest.Wait()
		folder = powerCut(whole, folder)
		go func() { _ = p.End() }()
	})
	inLab(t, func(t *testing.T, l *lab) { // he who installed it has no more of it than anybody
		l.config.State = folder
		p := l.start(t)
		obeys(t, l, "")
		p.Expect("<iq to='things.example.org' id='[^']+' type='set'><register .*")
		p.Say(from(things), claimed(owner))
		p.Expect("<iq to='things.example.org' id='n' type='result'/>")
		obeys(t, l, owner)
		go func() { _ = p.End() }()
	})
}

// A power cut between what a thing notes of its new owner, and the end of the former one's readings: they are nobody's then.
func TestPassedInPowerCut(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.config.State = t.TempDir()
		x, err := thing.New(l.config)
		if err != nil {
			t.Fatal(err)
		}
		report(t, x, 1)
		life := `{"account":"` + testserver.Account + `","key":"","owner":"romeo@example.org","settled":true}`
		if err := os.WriteFile(filepath.Join(l.config.State, "owner"), []byte(life), 0o600); err != nil {
			t.Fatal(err)
		}
		p := l.start(t)
		report(t, l.thing, 2)
		p.Expect("<message to='romeo@example.org' .*<body>n 2 lx</body>.*")
		go func() { _ = p.End() }()
	})
}

// Who has claimed the thing may speak to it before the registry has told it so.
func TestOwnerBeforeNews(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		claims := unclaimed(l)
		p := l.start(t)
		m := p.Expect(registering)
		p.Say("<iq from='things.example.org' id='%s' type='result'/>", m[1])
		p.Expect("<presence id='[^']+'>.*<c xmlns='http://jabber.org/protocol/caps' .*")
		<-claims
		report(t, l.thing, 1)
		p.Say("<message from='%s/x' type='chat'><body>read</body></message>", owner)
		decide(p, "canRead", owner, "", "true", "")
		p.Expect("<message to='" + owner + "[^>]*>.*<body>.*</body>.*")
		p.Say("<message from='romeo@example.org/x' type='chat'><body>read</body></message>")
		refuse(p, "canRead", "romeo@example.org", "")
		go func() { _ = p.End() }()
	})
}
