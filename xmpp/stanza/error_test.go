// SPDX-License-Identifier: Apache-2.0

package stanza_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stonechat-im/stonechat/internal/xmpptest"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	. "github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

func TestErrorTypes(t *testing.T) {
	// RFC 6120 §8.3.3.
	want := map[ErrorType][]Condition{
		Modify: {BadRequest, JIDMalformed, NotAcceptable, PolicyViolation, Redirect},
		Auth:   {Forbidden, NotAuthorized, RegistrationRequired, SubscriptionRequired},
		Wait:   {RecipientUnavailable, RemoteServerTimeout, ResourceConstraint, UnexpectedRequest},
		Cancel: {Conflict, FeatureNotImplemented, Gone, InternalServerError, ItemNotFound, NotAllowed, RemoteServerNotFound, ServiceUnavailable, UndefinedCondition},
	}
	for typ, conditions := range want {
		for _, c := range conditions {
			if e := c.Err(""); e.Type != typ || e.Condition != c {
				t.Errorf("%s is %s, want %s", c, e.Type, typ)
			}
		}
	}
}

func TestErrorThereAndBack(t *testing.T) {
	for _, e := range []*Error{
		ItemNotFound.Err(""),
		Conflict.Err("taken & <gone>"),
		{Type: Continue, Condition: UndefinedCondition, By: jid.MustParse("d")},
		{Type: Modify, Condition: NotAllowed, Text: "no", By: jid.MustParse("a@d/r")},
	} {
		asked := read(t, "<iq from='a@d/r' to='b@d' id='&lt;1&gt;' type='set'><x xmlns='u:x'/></iq>")
		r := asked.Refuse(e)
		if r.Type != TypeError || r.To != asked.From || r.From != asked.To || string(r.ID) != "<1>" || r.Kind != IQ {
			t.Errorf("%+v", r)
		}
		if got := r.Retain().Refusal(); *got != *e {
			t.Errorf("%+v, want %+v", got, e)
		}
	}
}

func TestRefusal(t *testing.T) {
	const ns = " xmlns='" + NSStanzas + "'"
	for _, c := range []struct {
		name, in string
		want     Error
	}{
		{"none", "", Error{Type: Cancel, Condition: UndefinedCondition}},
		{"empty", "<error/>", Error{Type: Cancel, Condition: UndefinedCondition}},
		{"no type", "<error><conflict" + ns + "/></error>", Error{Type: Cancel, Condition: Conflict}},
		{"text first", "<error type='wait'><text" + ns + ">t</text><gone" + ns + ">x</gone><app xmlns='u:a'/></error>", Error{Type: Wait, Condition: Gone, Text: "t", URI: "x"}},
		{"bad by", "<error type='auth' by='@'><forbidden" + ns + "/></error>", Error{Type: Auth, Condition: Forbidden}},
		{"another namespace", "<error type='auth'><forbidden xmlns='u:a'/></error>", Error{Type: Auth, Condition: UndefinedCondition}},
	} {
		if got := read(t, "<message type='error'>"+c.in+"</message>").Refusal(); *got != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
}

func TestAsError(t *testing.T) {
	e := Conflict.Err("x")
	if got, ok := AsError(fmt.Errorf("doing: %w", e)); got != e || !ok {
		t.Error(got, ok)
	}
	if got, ok := AsError(errors.New("disk on fire at /var/x")); ok || got.Condition != InternalServerError || got.Text != "" {
		t.Error(got, ok)
	}
	if Conflict.Err("").Error() != "stanza error: conflict" || e.Error() != "stanza error: conflict: x" {
		t.Error(e.Error())
	}
}

// picky is a payload that refuses what it reads.
type picky struct{ err error }

func (*picky) XMLName() xmlstream.Name             { return xmlstream.Name{Space: "u:p", Local: "p"} }
func (*picky) AppendXML(dst []byte) []byte         { return append(dst, "<p xmlns='u:p'/>"...) }
func (p *picky) DecodeXML(*xmlstream.Reader) error { return p.err }

func TestDecode(t *testing.T) {
	s := read(t, "<message><p xmlns='u:p'/></message>")
	told := NotAcceptable.Err("said so")
	for _, c := range []struct {
		name string
		err  error
		want error
		is   Condition
	}{
		{"fine", nil, nil, ""},
		{"a stanza error is told", told, told, NotAcceptable},
		{"another is not", errors.New("at line 7 of secret.go"), nil, BadRequest},
	} {
		found, err := s.Decode(&picky{c.err})
		var e *Error
		switch {
		case !found:
			t.Errorf("%s: not found", c.name)
		case c.is == "" && err != nil:
			t.Errorf("%s: %v", c.name, err)
		case c.is != "" && (!errors.As(err, &e) || e.Condition != c.is || c.want != nil && err != c.want): //nolint:errorlint // the very same
			t.Errorf("%s: %v", c.name, err)
		}
	}
	if found, err := read(t, "<message/>").Decode(&picky{errors.New("not asked")}); found || err != nil {
		t.Error(found, err)
	}
}

func TestPayloads(t *testing.T) {
	s := Text(Chat, jid.MustParse("b@d"), "a<b")
	s.Add(&Raw{Name: xmlstream.Name{Space: "u:r", Local: "r"}, Bytes: []byte("<r xmlns='u:r'><q/></r>")})
	if got := string(s.Append(nil, "")); got != "<message to='b@d' type='chat'><body>a&lt;b</body><r xmlns='u:r'><q/></r></message>" {
		t.Error(got)
	}
	var r Raw
	if err := r.DecodeXML(s.Reader(1)); err != nil || r.Name.Local != "r" || string(r.Bytes) != "<r xmlns='u:r'><q/></r>" {
		t.Errorf("%v %s", err, r.Bytes)
	}
	if BodyOf(s) != "a<b" || BodyOf(read(t, "<message/>")) != "" {
		t.Error("body")
	}
	if err := Body("").DecodeXML(nil); err == nil {
		t.Error("a Body is a value")
	}
	asked := read(t, "<iq from='a@d/r' to='d' id='1' type='get'><x xmlns='u:x'/></iq>")
	if got := string(asked.Result(nil).Append(nil, "")); got != "<iq from='d' to='a@d/r' id='1' type='result'/>" {
		t.Error(got)
	}
}

func FuzzError(f *testing.F) {
	f.Add([]byte("<error type='wait' by='a@b'><gone xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>x</gone><text xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>t</text></error>"))
	f.Add([]byte("<error by='@'><x:y xmlns:x='urn:ietf:params:xml:ns:xmpp-stanzas'/></error>"))
	f.Fuzz(func(t *testing.T, input []byte) { xmpptest.RoundTrip(t, input, new(Error)) })
}
