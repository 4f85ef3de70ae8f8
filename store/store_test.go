// SPDX-License-Identifier: Apache-2.0

package store_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/sasl"
)

func TestPending(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		failure := errors.New("the disk is on fire")
		for _, outcome := range []error{nil, failure} {
			var p store.Pending
			var order []string
			p.OnDone(func(err error) { order = append(order, "first") })
			p.OnDone(func(err error) {
				if err != outcome {
					t.Errorf("callback: %v, want %v", err, outcome)
				}
				order = append(order, "second")
			})
			go func() {
				time.Sleep(time.Second) // of the bubble's clock
				p.Resolve(outcome)
			}()
			ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			defer cancel()
			if err := p.Wait(ctx); !errors.Is(err, context.DeadlineExceeded) || p.Done() {
				t.Errorf("too early: %v, done %v", err, p.Done())
			}
			if err := p.Wait(t.Context()); err != outcome || !p.Done() {
				t.Errorf("%v, done %v; want %v", err, p.Done(), outcome)
			}
			synctest.Wait()
			p.OnDone(func(error) { order = append(order, "late") })
			if want := []string{"first", "second", "late"}; !slices.Equal(order, want) {
				t.Errorf("callbacks %q, want %q", order, want)
			}
			if err := p.Wait(ctx); err != outcome {
				t.Errorf("done and an ended context: %v, want %v", err, outcome)
			}
		}
	})
}

func TestPendingIsResolvedOnce(t *testing.T) {
	p := store.Resolved(store.ErrClosed)
	if !p.Done() || !errors.Is(p.Wait(t.Context()), store.ErrClosed) {
		t.Error("Resolved is not done")
	}
	defer func() {
		if recover() == nil {
			t.Error("a second outcome was accepted")
		}
	}()
	p.Resolve(nil)
}

func TestPendingCallbackMayUseThePending(t *testing.T) {
	var p store.Pending
	calls := 0
	p.OnDone(func(error) {
		if !p.Done() {
			t.Error("not done in its callback")
		}
		p.OnDone(func(error) { calls++ })
	})
	p.Resolve(nil)
	if calls != 1 {
		t.Errorf("%d calls, want 1", calls)
	}
}

func TestCheckCall(t *testing.T) {
	juliet := jid.MustParse("juliet@capulet.example")
	set := func(hash string, salt int) store.Op {
		return store.SetKeys{User: juliet, Keys: []sasl.Key{{Hash: hash, Salt: make([]byte, salt)}}}
	}
	size, err := store.CheckCall([]store.Op{set("a", 1000), set("b", 2000), store.DeleteAccount{User: juliet}})
	if err != nil || size < 3100 || size > 3600 {
		t.Errorf("size %d, %v; want about 3,300", size, err)
	}
	for name, test := range map[string]struct {
		ops  []store.Op
		want error
	}{
		"nothing":        {nil, nil},
		"the most":       {slices.Repeat([]store.Op{set("a", 1)}, store.MaxCallOps), nil},
		"one too many":   {slices.Repeat([]store.Op{set("a", 1)}, store.MaxCallOps+1), store.ErrTooLarge},
		"too large":      {[]store.Op{set("a", 1), set("a", store.MaxOpBytes)}, store.ErrTooLarge},
		"one is invalid": {[]store.Op{set("a", 1), set("", 1)}, store.ErrInvalid},
	} {
		if _, err := store.CheckCall(test.ops); !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", name, err, test.want)
		}
	}
}

func TestPageLimit(t *testing.T) {
	for limit, want := range map[int]int{-1: store.MaxPage, 0: store.MaxPage, 1: 1, store.MaxPage: store.MaxPage, store.MaxPage + 1: store.MaxPage} {
		if got := store.PageLimit(limit); got != want {
			t.Errorf("limit %d: %d, want %d", limit, got, want)
		}
	}
}
