// SPDX-License-Identifier: Apache-2.0

package storetest

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/stonechat-im/stonechat/store"
)

var settings = topic{
	name: "settings",
	test: testSettings,
}

func testSettings(t *testing.T, e Engine) {
	s := e.open(t)
	want := func(s store.Store, name string, value []byte) {
		t.Helper()
		got, err := s.Setting(t.Context(), name)
		if value == nil {
			if !errors.Is(err, store.ErrNotFound) {
				t.Errorf("setting %q: %q, %v; want %v", name, got, err, store.ErrNotFound)
			}
			return
		}
		if err != nil || !bytes.Equal(got, value) {
			t.Errorf("setting %q: %q, %v; want %q", name, got, err, value)
		}
	}
	want(s, "secret", nil)
	values := [][]byte{[]byte("one"), {}, []byte("\x00\xff two"), nil, nil, bytes.Repeat([]byte("x"), 64<<10)}
	for _, value := range values {
		commit(t, s, store.SetSetting{Name: "secret", Value: value}, store.SetSetting{Name: "ж", Value: []byte("other")})
		want(s, "secret", value)
		want(s, "ж", []byte("other"))
	}
	again := e.reopen(t, s)
	want(again, "secret", values[len(values)-1])
	want(again, "ж", []byte("other"))

	for _, test := range []struct {
		op   store.SetSetting
		want error
	}{
		{store.SetSetting{Value: []byte("x")}, store.ErrInvalid},
		{store.SetSetting{Name: strings.Repeat("x", 256)}, store.ErrInvalid},
		{store.SetSetting{Name: "x", Value: make([]byte, 64<<10+1)}, store.ErrTooLarge},
	} {
		if err := outcome(t, again.Commit(test.op)); !errors.Is(err, test.want) {
			t.Errorf("name of %d, value of %d bytes: %v, want %v", len(test.op.Name), len(test.op.Value), err, test.want)
		}
	}
}
