// SPDX-License-Identifier: Apache-2.0

package admin_test

import (
	"context"
	"strings"
	"testing"

	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
)

// claimed is a module of things that somebody claims whenever the operator looks away.
type claimed struct {
	st store.Store
	x  store.Thing // what was to be
}

func (*claimed) Name() string { return "claimed" }

func (*claimed) Init(*server.Host) error { return nil }

// Adopt implements admin.Things.
func (c *claimed) Adopt(_ context.Context, x store.Thing, _ ...store.Op) (*store.Pending, error) {
	c.x = x
	x.Owner = jid.MustParse("mallory@example.org")
	return c.st.Commit(store.RegisterThing{Thing: x}, store.RegisterThing{Thing: c.x}), nil
}

func (*claimed) Release(context.Context, store.ThingName) error { return nil }

func (*claimed) Group(context.Context, store.ThingName, []string) error { return nil }

// TestOwn: what the thing has said of itself stays its own word when the operator gives it to somebody, and one that was claimed
// meanwhile stays whose it is.
func TestOwn(t *testing.T) {
	c := &claimed{}
	data := shortFolder(t)
	st, stop := run(t, data, c)
	defer stop()
	c.st = st
	for _, name := range []string{"lamp", "mallory", "juliet"} {
		if code, answer := do(t, data, "POST /accounts", `{"jid":"`+name+`@example.org","password":"a"}`); code != 201 {
			t.Fatal(answer)
		}
	}
	x := store.Thing{
		ThingName: store.ThingName{JID: jid.MustParse("lamp@example.org")}, Public: true,
		Tags: []store.ThingTag{{Name: "SN", Str: "7", Given: true}, {Name: "V", Num: 1, Numeric: true}},
	}
	if err := st.Commit(store.RegisterThing{Thing: x}).Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	code, answer := do(t, data, "PUT /things/lamp@example.org/owner", `{"owner":"juliet@example.org"}`)
	if code != 409 || !strings.Contains(answer, "claimed just now") {
		t.Errorf("claimed meanwhile: %d %s", code, answer)
	}
	if len(c.x.Tags) != 2 || !c.x.Tags[0].Given || c.x.Tags[1].Given || !c.x.Public {
		t.Errorf("what was to be: %+v", c.x)
	}
}
