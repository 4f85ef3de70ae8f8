// SPDX-License-Identifier: Apache-2.0

package dialback_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/stonechat-im/stonechat/xmpp/dialback"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// XEP-0185 §3.
func TestKey(t *testing.T) {
	to, from := jid.MustParse("xmpp.example.com"), jid.MustParse("example.org")
	const want = "37c69b1cf07a3f67c04a5ef5902fa5114f2c76fe4a2686482ba5b89323075643"
	secret := []byte("s3cr3tf0rd14lb4ck")
	if got := dialback.Key(secret, to, from, "D60000229F"); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	for what, is := range map[string]bool{
		"the key":        dialback.IsKey(want, secret, to, from, "D60000229F"),
		"another id":     !dialback.IsKey(want, secret, to, from, "D60000229E"),
		"turned round":   !dialback.IsKey(want, secret, from, to, "D60000229F"),
		"another secret": !dialback.IsKey(want, []byte("x"), to, from, "D60000229F"),
		"no key":         !dialback.IsKey("", secret, to, from, "D60000229F"),
	} {
		if !is {
			t.Error(what)
		}
	}
}

// parse reads an element as a server's stream brings it.
func parse(text string) (*dialback.Message, error) {
	p := xmlstream.NewParser(xmlstream.Stream, stanza.NSServer, xmlstream.Limits{ElementBytes: 10_000, Depth: 8, Attributes: 32, Children: 200})
	p.Feed([]byte("<stream:stream xmlns='jabber:server' xmlns:db='jabber:server:dialback' xmlns:stream='http://etherx.jabber.org/streams'>" + text))
	for {
		switch ev, err := p.Next(); {
		case err != nil:
			return nil, err
		case ev == xmlstream.EventElement:
			return dialback.Parse(p.Element())
		case ev == xmlstream.EventNone:
			return nil, errors.New("no element")
		}
	}
}

// What is written is read again, the same.
func TestMessages(t *testing.T) {
	a, b := jid.MustParse("a.example"), jid.MustParse("b.example")
	for _, m := range []dialback.Message{
		{From: a, To: b, Key: "a<key"},
		{Verify: true, From: b, To: a, ID: "x'y", Key: "k"},
		{From: b, To: a, Type: dialback.Valid},
		{Verify: true, From: b, To: a, ID: "1", Type: dialback.Invalid},
		{From: b, To: a, Type: dialback.Failed, Error: stanza.RemoteServerTimeout.Err("gone")},
	} {
		text := string(m.AppendXML(nil))
		got, err := parse(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if again := string(got.AppendXML(nil)); again != text {
			t.Errorf("%s came back as %s", text, again)
		}
	}
}

// What cannot be understood is refused.
func TestBadMessages(t *testing.T) {
	for _, text := range []string{
		"<db:result from='a'>k</db:result>",
		"<db:result from='x@a' to='b'>k</db:result>",
		"<db:result from='a' to='b/c'>k</db:result>",
		"<db:result from='a' to='b'/>",
		"<db:result from='a' to='b'>" + strings.Repeat("k", dialback.MaxKey+1) + "</db:result>",
		"<db:result from='a' to='b' type='maybe'/>",
		"<db:verify from='a' to='b'>k</db:verify>",
		"<db:other from='a' to='b'>k</db:other>",
	} {
		if m, err := parse(text); err == nil {
			t.Errorf("%s is %v", text, m)
		} else if e := (*stanza.Error)(nil); !errors.As(err, &e) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// An answer answers one question.
func TestAnswers(t *testing.T) {
	a, b := jid.MustParse("a"), jid.MustParse("b")
	q := &dialback.Message{Verify: true, From: a, To: b, ID: "1", Key: "k"}
	if !q.Answer(dialback.Valid, nil).Answers(q) {
		t.Error("an answer does not answer")
	}
	for what, m := range map[string]dialback.Message{
		"a question":       {Verify: true, From: b, To: a, ID: "1", Key: "k"},
		"another id":       {Verify: true, From: b, To: a, ID: "2", Type: dialback.Valid},
		"another kind":     {From: b, To: a, ID: "1", Type: dialback.Valid},
		"the same way":     {Verify: true, From: a, To: b, ID: "1", Type: dialback.Valid},
		"another's answer": {Verify: true, From: jid.MustParse("c"), To: a, ID: "1", Type: dialback.Valid},
	} {
		if m.Answers(q) {
			t.Errorf("%s answers", what)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("<db:result from='a' to='b'>k</db:result>")
	f.Add("<db:verify from='a' to='b' id='1' type='error'><error type='cancel'><x xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></db:verify>")
	f.Fuzz(func(t *testing.T, text string) {
		m, err := parse(text)
		if err != nil {
			return
		}
		again, err := parse(string(m.AppendXML(nil)))
		if err != nil {
			t.Fatalf("%q: %v", m.AppendXML(nil), err)
		}
		if string(again.AppendXML(nil)) != string(m.AppendXML(nil)) {
			t.Fatalf("%q and %q", again.AppendXML(nil), m.AppendXML(nil))
		}
	})
}
