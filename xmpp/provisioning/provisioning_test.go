// SPDX-License-Identifier: Apache-2.0

package provisioning_test

import (
	"testing"

	"github.com/stonechat-im/stonechat/internal/xmpptest"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/provisioning"
	"github.com/stonechat-im/stonechat/xmpp/sensordata"
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
