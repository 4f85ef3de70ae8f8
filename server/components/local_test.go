// SPDX-License-Identifier: Apache-2.0

package components

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/stonechat-im/stonechat/component"
	"github.com/stonechat-im/stonechat/internal/componenttest"
	"github.com/stonechat-im/stonechat/internal/servertest"
	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// What package component promises holds at a socket of ours and within the process.
func TestSuite(t *testing.T) {
	t.Run("socket", func(t *testing.T) {
		componenttest.Run(t, func(t *testing.T) (gateway, guest component.Config) {
			b := newBed(t, nil)
			return component.Config{Domain: jid.MustParse("sms.d"), Secret: "s1", Address: b.address},
				component.Config{Domain: jid.MustParse("irc.d"), Secret: "s2", Address: b.address}
		})
	})
	t.Run("process", func(t *testing.T) {
		componenttest.Run(t, func(t *testing.T) (gateway, guest component.Config) {
			local := Local{newBed(t, nil).Server}
			return component.Config{Domain: jid.MustParse("weather.d"), Host: local},
				component.Config{Domain: jid.MustParse("guest.d"), Host: local}
		})
	})
	t.Run("both", func(t *testing.T) {
		componenttest.Run(t, func(t *testing.T) (gateway, guest component.Config) {
			b := newBed(t, nil)
			return component.Config{Domain: jid.MustParse("weather.d"), Host: Local{b.Server}},
				component.Config{Domain: jid.MustParse("irc.d"), Secret: "s2", Address: b.address}
		})
	})
}

// A domain is served once; a component that has ended leaves it to the next.
func TestLocalTaken(t *testing.T) {
	local := Local{newBed(t, nil).Server}
	start := func(domain string) (*component.Component, error) {
		c, err := component.New(component.Config{Domain: jid.MustParse(domain), Host: local})
		if err != nil {
			t.Fatal(err)
		}
		return c, c.Connect(t.Context())
	}
	for _, domain := range []string{"d", "sms.d"} {
		if _, err := start(domain); err == nil {
			t.Errorf("%s: attached", domain)
		}
	}
	for range 2 {
		c, err := start("weather.d")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := start("weather.d"); err == nil {
			t.Error("attached twice")
		}
		if !slices.Contains(local.Server.Places("d"), jid.MustParse("weather.d")) {
			t.Error("not listed")
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
}

// teller is a module that has something to say to components.
type teller struct{}

func (teller) Name() string { return "teller" }

func (teller) Init(h *server.Host) error {
	h.Joined = func(t *server.Turn, place jid.JID) {
		s := stanza.Text(stanza.Normal, place, "you may")
		s.From = jid.MustParse("d")
		t.Route(s)
	}
	return nil
}

// Modules know when a component of the process is there, as they do of one with a socket: it is told its privileges then.
func TestLocalJoined(t *testing.T) {
	s := servertest.Start(t, servertest.Options{Modules: func() []server.Module { return []server.Module{teller{}} }})
	c, err := component.New(component.Config{Domain: jid.MustParse("weather.d"), Host: Local{s.Server}})
	if err != nil {
		t.Fatal(err)
	}
	told := make(chan string, 1)
	c.Handle(stanza.Message, xmlstream.Name{}, func(_ context.Context, s *stanza.Stanza) { told <- string(s.Append(nil, "")) })
	if err := c.Connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := <-told; !strings.Contains(got, "<body>you may</body>") {
		t.Error(got)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

// The server's limit of stanzas a second slows a component of the process, and its end ends the wait.
func TestLocalPace(t *testing.T) {
	b := newBed(t, nil)
	l := server.DefaultLimits()
	l.StanzasPerSecond = 1
	b.Server.SetLimits(l)
	c, err := component.New(component.Config{Domain: jid.MustParse("weather.d"), Host: Local{b.Server}, CloseTime: 1})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	const n = 5000
	outcome := make(chan error, n)
	for range n {
		if err := c.SendTaken(t.Context(), stanza.New(stanza.Message, stanza.Headline, jid.MustParse("d")), func(err error) { outcome <- err }); err != nil {
			t.Fatal(err)
		}
	}
	if err := <-outcome; err != nil {
		t.Errorf("the first: %v", err)
	}
	if err := c.Close(); err == nil {
		t.Error("all was taken")
	}
	var last error
	for range n - 1 {
		last = <-outcome
	}
	if !errors.Is(last, component.ErrClosed) || c.Flush(context.Background()) == nil {
		t.Errorf("the last: %v", last)
	}
}
