// SPDX-License-Identifier: Apache-2.0

package rsm_test

import (
	"testing"

	"github.com/stonechat-im/stonechat/internal/xmpptest"
	"github.com/stonechat-im/stonechat/xmpp/rsm"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

func TestCodec(t *testing.T) {
	xmpptest.Codec(t, []xmpptest.Case{
		{File: "xep0059-2.1-request", Want: &rsm.Set{Max: new(10)}},
		{File: "xep0059-2.2-first-page", Want: &rsm.Set{
			First: "stpeter@jabber.org", FirstIndex: new(0), Last: "peterpan@neverland.lit", Count: new(800)}},
		{File: "xep0059-2.2-second-request", Want: &rsm.Set{Max: new(10), After: "peterpan@neverland.lit"}},
		{File: "xep0059-2.2-empty-page", Want: &rsm.Set{Count: new(790)}},
		{File: "xep0059-2.3-previous-request", Want: &rsm.Set{Max: new(10), Before: new("peter@pixyland.org")}},
		{File: "xep0059-2.5-last-request", Want: &rsm.Set{Max: new(10), Before: new("")}},
		{File: "xep0059-2.6-index-request", Want: &rsm.Set{Max: new(10), Index: new(371)}},
		{File: "xep0059-2.7-count-request", Want: &rsm.Set{Max: new(0)}},
	})
	for _, body := range []string{
		"<max/>", "<max>-1</max>", "<max>ten</max>", "<max>2147483648</max>", "<index>1.5</index>",
		"<count>+1</count>", "<first index='x'>a</first>", "<first index=''>a</first>",
	} {
		xmpptest.Refuse(t, []xmpptest.Refusal{{Name: body, Into: &rsm.Set{}, Condition: stanza.BadRequest,
			XML: "<set xmlns='http://jabber.org/protocol/rsm'>" + body + "</set>"}})
	}
}

func TestLimit(t *testing.T) {
	for _, c := range []struct {
		set            *rsm.Set
		fallback, most int
		want           int
	}{
		{nil, 50, 100, 50},
		{&rsm.Set{}, 50, 100, 50},
		{&rsm.Set{}, 50, 20, 20},
		{&rsm.Set{Max: new(10)}, 50, 100, 10},
		{&rsm.Set{Max: new(1000)}, 50, 100, 100},
		{&rsm.Set{Max: new(0)}, 50, 100, 0},
	} {
		if got := c.set.Limit(c.fallback, c.most); got != c.want {
			t.Errorf("%+v.Limit(%d, %d) = %d; want %d", c.set, c.fallback, c.most, got, c.want)
		}
	}
}

func FuzzSet(f *testing.F) {
	f.Add([]byte("<set xmlns='http://jabber.org/protocol/rsm'><max>10</max><after>a</after></set>"))
	f.Add([]byte("<set xmlns='http://jabber.org/protocol/rsm'><first index='0'>a</first><last>b</last><count>2147483647</count><before/><index>1</index></set>"))
	f.Fuzz(func(t *testing.T, input []byte) { xmpptest.RoundTrip(t, input, new(rsm.Set)) })
}
