// SPDX-License-Identifier: Apache-2.0

//go:build linux

package scenario

import (
	"context"
	"fmt"
	"os/signal"
	"syscall"
	"testing"

	"github.com/stonechat-im/stonechat/thing"
	"github.com/stonechat-im/stonechat/xmpp/jid"
)

// alone is a thing whose decider is at a domain that there is not.
func alone() error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	c, err := thing.Environment()
	if err != nil {
		return err
	}
	c.Registry = jid.MustParse("things.nowhere.test")
	c.Fields = []thing.Measure{{Name: "temperature", Unit: "Cel", Kind: thing.Numeric, Read: func(context.Context) (thing.Value, error) { return thing.Number(21.5), nil }}}
	c.Parameters = []thing.Parameter{{Name: "lamp", Kind: thing.Boolean, Set: func(context.Context, thing.Value) error { fmt.Println("lamp"); return nil }}}
	return thing.Run(ctx, c)
}

// TestNobodyDecides: a thing whose decider does not answer obeys its owner and refuses all others.
func TestNobodyDecides(t *testing.T) {
	s := start(t, options{more: "federation:\n  enabled: false\n"})
	owner, friend := s.person(s.account("owner")), s.person(s.account("friend"))
	own := s.account("meter")
	p := program(t, "alone", append(s.environment(own), "STONECHAT_OWNER="+owner.own.String())...)
	if err := owner.client.Subscribe(t.Context(), jid.MustParse(own)); err != nil {
		t.Fatal(err)
	}
	owner.hears(own, "^presence normal")
	fields, at, err := owner.reads(own)
	if err != nil || fields != "temperature" {
		t.Fatalf("the owner reads %q, %v", fields, err)
	}
	if err := owner.sets(at.String(), "lamp", true); err != nil {
		t.Error(err)
	}
	p.expect("^lamp")
	_, _, err = friend.reads(at.String())
	refused(t, "reading while nobody decides", err)
	refused(t, "control while nobody decides", friend.sets(at.String(), "lamp", true))
	friend.say(own, "set lamp on")
	owner.asks(own, "read", `temperature 21\.5`) // behind the friend's words
	count(t, "commands obeyed of others while nobody decides", p.said("^lamp")-1, 0)
}
