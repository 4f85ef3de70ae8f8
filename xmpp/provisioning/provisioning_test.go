// SPDX-License-Identifier: Apache-2.0

package provisioning_test

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"github.com/stonechat-im/stonechat/internal/xmpptest"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/provisioning"
	"github.com/stonechat-im/stonechat/xmpp/sensordata"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

var (
	romeo = jid.MustParse("romeo@example.net")
	meter = jid.MustParse("meter@example.net")
)

func nodes(ids ...string) (list []provisioning.Node) {
	for _, id := range ids {
		list = append(list, provisioning.Node{ID: id})
	}
	return list
}

func allowed(s provisioning.Scope) provisioning.Grant {
	return provisioning.Grant{Allowed: true, Scope: s}
}

func TestCodec(t *testing.T) {
	xmpptest.Codec(t, []xmpptest.Case{
		{File: "xep0324-3.1.3-gettoken", Want: &provisioning.GetToken{Certificate: []byte("0\x82\x01\n\x02\x82\x01\x01\x00")}, Lossy: true},
		{File: "xep0324-3.1.3-gettokenchallenge", Want: &provisioning.GetTokenChallenge{Seq: 7, Challenge: []byte("challenge")}},
		{File: "xep0324-3.1.3-gettokenchallengeresponse", Want: &provisioning.GetTokenChallengeResponse{Seq: 7, Response: []byte("proof")}},
		{File: "xep0324-3.1.3-gettokenresponse", Want: &provisioning.GetTokenResponse{Token: "t0ken"}},
		{File: "xep0324-3.1.3-tokenchallenge", Want: &provisioning.TokenChallenge{Token: "t0ken", Challenge: []byte("challenge")}},
		{File: "xep0324-3.1.3-tokenchallengeresponse", Want: &provisioning.TokenChallengeResponse{Response: []byte("proof")}},
		{File: "xep0324-3.2.1-isfriend", Want: &provisioning.IsFriend{JID: romeo}},
		{File: "xep0324-3.2.1-yes", Want: &provisioning.IsFriendResponse{JID: romeo, Result: true, SecondaryTrust: true}},
		{File: "xep0324-3.2.2-no", Want: &provisioning.IsFriendResponse{JID: romeo}},
		{File: "xep0324-3.2.3-unfriend", Want: &provisioning.Unfriend{JID: romeo}},
		{File: "xep0324-3.2.4-friend", Want: &provisioning.Friend{JID: romeo}},
		{File: "xep0324-3.1.5-canread", Want: &provisioning.CanRead{JID: meter,
			Tokens: provisioning.Tokens{Service: "s1 s2", Device: "d1", User: "u1"},
			Scope:  provisioning.Scope{Categories: sensordata.Momentary}}},
		{File: "xep0324-3.3.1-refused", Want: &provisioning.CanReadResponse{JID: meter}},
		{File: "xep0324-3.3.2-canread", Want: &provisioning.CanRead{JID: meter, Scope: provisioning.Scope{
			Nodes: append(nodes("Room2"), provisioning.Node{ID: "Room3", Source: "House", Cache: "Cellar"}),
			Names: []string{"Warmth"}, Categories: sensordata.Peak | sensordata.Historical}}},
		{File: "xep0324-3.3.2-nodes", Want: &provisioning.CanReadResponse{JID: meter, Grant: allowed(provisioning.Scope{
			Nodes: nodes("Room2"), Categories: sensordata.All})}},
		{File: "xep0324-3.3.3-fields", Want: &provisioning.CanReadResponse{JID: meter, Grant: allowed(provisioning.Scope{
			Names: []string{"Warmth", "Damp"}, Categories: sensordata.Momentary | sensordata.HistoricalHour})}},
		{File: "xep0324-3.4.2-cancontrol", Want: &provisioning.CanControl{JID: meter,
			Tokens: provisioning.Tokens{Service: "s1", User: "u1"},
			Scope:  provisioning.Scope{Nodes: nodes("Out1", "Out2"), Names: []string{"On"}}}},
		{File: "xep0324-3.4.1-refused", Want: &provisioning.CanControlResponse{JID: meter}},
		{File: "xep0324-3.4.3-parameters", Want: &provisioning.CanControlResponse{JID: meter, Grant: allowed(provisioning.Scope{
			Nodes: nodes("Out2"), Names: []string{"On", "Level"}})}},
		{File: "xep0324-3.5.1-clearcache", Want: &provisioning.ClearCache{}},
		{File: "xep0324-3.5.1-response", Want: &provisioning.ClearCacheResponse{}},
	})
}

func TestRefused(t *testing.T) {
	element := func(name, attrs, content string) string {
		return "<" + name + " xmlns='urn:xmpp:iot:provisioning' " + attrs + ">" + content + "</" + name + ">"
	}
	long := strings.Repeat("x", provisioning.MaxTokens+1)
	many := func(n int, s string) string { return strings.Repeat(s, n+1) }
	encoded := func(n int) string { return base64.StdEncoding.EncodeToString(make([]byte, n)) }
	for _, c := range []struct {
		into                 stanza.Payload
		name, attrs, content string
		want                 stanza.Condition
	}{
		{&provisioning.IsFriend{}, "isFriend", "", "", stanza.BadRequest},
		{&provisioning.IsFriend{}, "isFriend", "jid='@'", "", stanza.JIDMalformed},
		{&provisioning.IsFriendResponse{}, "isFriendResponse", "jid='a@b'", "", stanza.BadRequest},
		{&provisioning.IsFriendResponse{}, "isFriendResponse", "jid='a@b' result=''", "", stanza.BadRequest},
		{&provisioning.IsFriendResponse{}, "isFriendResponse", "jid='a@b' result='1' secondaryTrustAllowed='yes'", "", stanza.BadRequest},
		{&provisioning.Friend{}, "friend", "jid='@'", "", stanza.JIDMalformed},
		{&provisioning.Unfriend{}, "unfriend", "", "", stanza.BadRequest},
		{&provisioning.CanRead{}, "canRead", "", "", stanza.BadRequest},
		{&provisioning.CanRead{}, "canRead", "jid='a@b' momentary='now'", "", stanza.BadRequest},
		{&provisioning.CanRead{}, "canRead", "jid='a@b' all=''", "", stanza.BadRequest},
		{&provisioning.CanRead{}, "canRead", "jid='a@b' deviceToken='" + long + "'", "", stanza.PolicyViolation},
		{&provisioning.CanRead{}, "canRead", "jid='a@b'", "<node/>", stanza.BadRequest},
		{&provisioning.CanRead{}, "canRead", "jid='a@b'", "<field/>", stanza.BadRequest},
		{&provisioning.CanRead{}, "canRead", "jid='a@b'", many(provisioning.MaxNodes, "<node nodeId='a'/>"), stanza.PolicyViolation},
		{&provisioning.CanRead{}, "canRead", "jid='a@b'", many(provisioning.MaxNames, "<field name='a'/>"), stanza.PolicyViolation},
		{&provisioning.CanReadResponse{}, "canReadResponse", "jid='a@b'", "", stanza.BadRequest},
		{&provisioning.CanReadResponse{}, "canReadResponse", "jid='a@b' result='maybe'", "", stanza.BadRequest},
		{&provisioning.CanReadResponse{}, "canReadResponse", "jid='a@b' result='true'", "<node/>", stanza.BadRequest},
		{&provisioning.CanControl{}, "canControl", "jid='a@b'", "<parameter/>", stanza.BadRequest},
		{&provisioning.CanControlResponse{}, "canControlResponse", "result='true'", "", stanza.BadRequest},
		{&provisioning.CanControlResponse{}, "canControlResponse", "jid='a@b' result='true'",
			many(provisioning.MaxNames, "<parameter name='a'/>"), stanza.PolicyViolation},
		{&provisioning.GetToken{}, "getToken", "", "", stanza.BadRequest},
		{&provisioning.GetToken{}, "getToken", "", "certificate!", stanza.BadRequest},
		{&provisioning.GetToken{}, "getToken", "", encoded(provisioning.MaxCertificate + 1), stanza.PolicyViolation},
		{&provisioning.GetToken{}, "getToken", "", encoded(provisioning.MaxCertificate * 2), stanza.PolicyViolation},
		{&provisioning.GetTokenChallenge{}, "getTokenChallenge", "", "AAAA", stanza.BadRequest},
		{&provisioning.GetTokenChallenge{}, "getTokenChallenge", "seqnr='2147483648'", "AAAA", stanza.BadRequest},
		{&provisioning.GetTokenChallengeResponse{}, "getTokenChallengeResponse", "seqnr='1'", "AAA", stanza.BadRequest},
		{&provisioning.GetTokenChallengeResponse{}, "getTokenChallengeResponse", "seqnr='1'", "AAB=", stanza.BadRequest},
		{&provisioning.GetTokenResponse{}, "getTokenResponse", "", "", stanza.BadRequest},
		{&provisioning.GetTokenResponse{}, "getTokenResponse", "token='a b'", "", stanza.BadRequest},
		{&provisioning.GetTokenResponse{}, "getTokenResponse", "token='" + long + "'", "", stanza.PolicyViolation},
		{&provisioning.TokenChallenge{}, "tokenChallenge", "", "AAAA", stanza.BadRequest},
		{&provisioning.TokenChallenge{}, "tokenChallenge", "token='t'", encoded(provisioning.MaxChallenge + 1), stanza.PolicyViolation},
		{&provisioning.TokenChallengeResponse{}, "tokenChallengeResponse", "", " ", stanza.BadRequest},
	} {
		xmpptest.Refuse(t, []xmpptest.Refusal{{Name: fmt.Sprintf("%s %.40s %.40s", c.name, c.attrs, c.content),
			XML: element(c.name, c.attrs, c.content), Into: c.into, Condition: c.want}})
	}
}

// What is refused has no scope, whatever is said of one: nobody is to take it for what is allowed.
func TestRefusalHasNoScope(t *testing.T) {
	var a provisioning.CanReadResponse
	xml := "<canReadResponse xmlns='urn:xmpp:iot:provisioning' jid='a@b' momentary='true' result='false'><field name='Warmth'/></canReadResponse>"
	if err := xmpptest.Decode(xml, &a); err != nil || a.Grant.Allowed || a.Grant.Scope.Names != nil || a.Grant.Scope.Categories != 0 {
		t.Errorf("%+v, %v", a, err)
	}
	a.Grant = provisioning.Grant{Scope: provisioning.Scope{Names: []string{"Warmth"}}}
	if xml := string(a.AppendXML(nil)); strings.Contains(xml, "Warmth") {
		t.Errorf("written as %s", xml)
	}
}

func FuzzPayload(f *testing.F) {
	scope := provisioning.Scope{Nodes: nodes("a", "b"), Names: []string{"c"}, Categories: sensordata.Peak | sensordata.Historical}
	for _, p := range []stanza.Payload{
		&provisioning.IsFriendResponse{JID: romeo, Result: true}, &provisioning.CanRead{JID: meter, Scope: scope},
		&provisioning.CanReadResponse{JID: meter, Grant: allowed(scope)}, &provisioning.CanControlResponse{JID: meter, Grant: allowed(scope)},
		&provisioning.GetToken{Certificate: []byte("0")}, &provisioning.GetTokenChallenge{Seq: -1, Challenge: []byte("x")},
		&provisioning.TokenChallenge{Token: "t", Challenge: []byte("x")},
	} {
		f.Add(p.AppendXML(nil))
	}
	f.Fuzz(func(t *testing.T, input []byte) {
		for _, p := range []stanza.Payload{new(provisioning.IsFriendResponse), new(provisioning.CanRead), new(provisioning.CanReadResponse),
			new(provisioning.CanControl), new(provisioning.CanControlResponse), new(provisioning.GetToken),
			new(provisioning.GetTokenChallenge), new(provisioning.GetTokenResponse), new(provisioning.TokenChallenge)} {
			xmpptest.RoundTrip(t, input, p)
		}
	})
}
