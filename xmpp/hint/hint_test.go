// SPDX-License-Identifier: Apache-2.0

package hint_test

import (
	"testing"

	"github.com/stonechat-im/stonechat/internal/xmpptest"
	"github.com/stonechat-im/stonechat/xmpp/hint"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

func TestCodec(t *testing.T) {
	xmpptest.Codec(t, []xmpptest.Case{
		{File: "xep0334-3.1-no-copy", Want: new(hint.NoCopy)},
		{File: "xep0334-4-no-permanent-store", Want: new(hint.NoPermanentStore)},
		{File: "xep0334-4-no-store", Want: new(hint.NoStore)},
		{File: "xep0334-4.4-store", Want: new(hint.Store)},
	})
	if err := xmpptest.Decode("<never xmlns='urn:xmpp:hints'/>", new(hint.Hint)); err == nil {
		t.Error("an element that is no hint was taken")
	}
}

func TestOf(t *testing.T) {
	m := stanza.New(stanza.Message, stanza.Chat, jid.MustParse("a@b"), stanza.Body("x"), new(hint.NoCopy), new(hint.Store))
	got := hint.Of(m)
	if !got.Has(hint.NoCopy) || !got.Has(hint.Store) || got.Has(hint.NoStore) || got.Has(hint.NoPermanentStore) {
		t.Errorf("Of = %b", got)
	}
	if got := hint.Of(m.Refuse(stanza.ServiceUnavailable.Err(""))); got != 0 {
		t.Errorf("Of an error = %b", got)
	}
	p := stanza.New(stanza.Presence, stanza.Available, jid.JID{}, new(hint.NoCopy))
	if got := hint.Of(p); got != 0 {
		t.Errorf("Of presence = %b", got)
	}
	if hint.Set(15).Has("never") {
		t.Error("an unknown hint is in a set")
	}
}

func FuzzHint(f *testing.F) {
	f.Add([]byte("<no-copy xmlns='urn:xmpp:hints'/>"))
	f.Add([]byte("<never xmlns='urn:xmpp:hints'/>"))
	f.Fuzz(func(t *testing.T, input []byte) { xmpptest.RoundTrip(t, input, new(hint.Hint)) })
}
