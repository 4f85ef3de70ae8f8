// SPDX-License-Identifier: Apache-2.0

//go:build linux

package scenario

import (
	"context"
	"errors"
	"fmt"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/thing"
	"github.com/stonechat-im/stonechat/xmpp/concentrator"
	"github.com/stonechat-im/stonechat/xmpp/jid"
)

// bus is a concentrator whose valve sticks when it is told so.
func bus() {
	c, err := thing.Environment()
	must(err)
	var t *thing.Thing
	valve := thing.NodeID{ID: "valve"}
	c.Every = 200 * time.Millisecond
	c.Fields = []thing.Measure{{Name: "pressure", Unit: "hPa", Kind: thing.Numeric, Read: func(context.Context) (thing.Value, error) { return thing.Number(1013), nil }}}
	c.Parameters = []thing.Parameter{{Name: "stuck", Kind: thing.Boolean, Set: func(_ context.Context, v thing.Value) error {
		if v.Bool() {
			return t.SetState(valve, concentrator.ErrorUnsigned, concentrator.Message{Grade: concentrator.Error, Text: "it sticks"})
		}
		return t.SetState(valve, concentrator.None)
	}}}
	c.Nodes = []thing.Node{{NodeID: valve, Fields: []thing.Measure{{Name: "open", Kind: thing.Boolean,
		Read: func(context.Context) (thing.Value, error) { return thing.Bool(true), nil }}}}}
	t, err = thing.New(c)
	must(err)
	fmt.Println("owner", t.Owner())
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	must(t.Run(ctx))
}

// TestGiven: a thing whose owner stands in its configuration is his until he gives it away, and then the other's, also when it starts
// again with the same configuration. Its owner is told what happens to its nodes, and first what he has missed; what was before him he is not.
func TestGiven(t *testing.T) {
	s := start(t, options{})
	juliet, romeo := s.person(s.account("juliet")), s.person(s.account("romeo"))
	const own = "bus@home.test"
	s.command("thing", "add", own, "--owner", juliet.own.String(), "--password-file", s.write("password", password+"\n"))
	environment := append(s.environment(own), "STONECHAT_OWNER="+juliet.own.String(), "STONECHAT_STATE="+filepath.Join(s.folder, "bus"))
	p := runProgram(t, "bus", environment...)
	p.expect("^owner juliet@home.test$")
	juliet.hears(own, `pressure 1013`)
	_, at, err := juliet.reads(own)
	if err != nil {
		t.Fatal(err)
	}

	happened := make(chan concentrator.Event, 100)
	watch := thing.Watch{Messages: true, Told: func(_ jid.JID, e *concentrator.Event) { happened <- *e }}
	watches := func(who *person, since time.Time) error {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		w := watch
		w.Since = since
		return who.reader.Watch(ctx, at, w)
	}
	is := func(state concentrator.State, why string) {
		t.Helper()
		select {
		case e := <-happened:
			told := ""
			for _, m := range e.Info.Messages {
				told += m.Text
			}
			if e.Info.Node.ID != "valve" || e.Info.State != state || told != why {
				t.Errorf("told %+v, want %s, %q", e, state, why)
			}
		case <-time.After(patience):
			t.Fatalf("%s is not told", state)
		}
	}
	began := time.Now()
	if err := juliet.sets(at.String(), "stuck", true); err != nil {
		t.Fatal(err)
	}
	if err := watches(juliet, began.Add(-time.Hour)); !errors.Is(err, thing.ErrForgotten) {
		t.Errorf("what was before the thing was started is %v", err)
	}
	if err := watches(juliet, began); err != nil {
		t.Fatal(err)
	}
	is(concentrator.ErrorUnsigned, "it sticks")
	if err := juliet.sets(at.String(), "stuck", false); err != nil {
		t.Fatal(err)
	}
	is(concentrator.None, "")
	refused(t, "watching another's nodes", watches(romeo, time.Time{}))

	juliet.asks(service, "give bus to romeo@home.test", "romeo@home.test has a message")
	words, _ := romeo.hears(voice, `(?s)gives you .*(claim IoTDisco;\S+)`)
	romeo.asks(service, words[1], "is yours")
	for range 3 { // what it told before it knew is there by then
		romeo.hears(own, `pressure 1013`)
	}
	readings := func() int { return strings.Count(juliet.transcript(), "pressure 1013") }
	before := readings()
	p.end(syscall.SIGTERM)
	runProgram(t, "bus", environment...).expect("^owner romeo@home.test$")
	for range 5 {
		romeo.hears(own, `pressure 1013`)
	}
	count(t, "readings told to who has given the thing away", readings()-before, 0)
	if _, at, err = romeo.reads(own); err != nil {
		t.Fatal(err)
	}
	refused(t, "control by who has given the thing away", juliet.sets(at.String(), "stuck", true))
	if err := watches(romeo, began); !errors.Is(err, thing.ErrForgotten) {
		t.Errorf("what was before it was his is %v", err)
	}
	if err := watches(romeo, time.Time{}); err != nil {
		t.Error(err)
	}
	if err := romeo.sets(at.String(), "stuck", true); err != nil {
		t.Error(err)
	}
	is(concentrator.ErrorUnsigned, "it sticks")
}
