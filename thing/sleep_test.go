// SPDX-License-Identifier: Apache-2.0

package thing_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/internal/testserver"
	"github.com/stonechat-im/stonechat/thing"
)

// A thing that sleeps is there when it measures: it tells what it has, and does what it was told
// meanwhile, before it sleeps again.
func TestSleep(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		var n atomic.Int64
		var lamp atomic.Bool
		l.config.Every, l.config.Sleep, l.config.Stale = 5*time.Minute, true, time.Hour
		l.config.Read = func(context.Context) ([]thing.Field, error) {
			return []thing.Field{{Name: "n", Value: thing.Number(float64(n.Add(1)))}}, nil
		}
		l.config.Parameters = []thing.Parameter{{Name: "lamp", Kind: thing.Boolean, Set: func(_ context.Context, v thing.Value) error {
			lamp.Store(v.Bool())
			return nil
		}}}
		p := l.start(t)
		// until reads what the thing says, in whichever order, until all of it was heard; pings are answered.
		until := func(p *testserver.Peer, said ...string) (all string) {
			t.Helper()
			for slices.ContainsFunc(said, func(s string) bool { return !strings.Contains(all, s) }) {
				s := p.Expect("(<.*)")[1]
				if strings.Contains(s, "<ping") {
					p.Say("<iq id='%s' type='result'/>", between(s, "id='", "'"))
				}
				all += s
			}
			return all
		}
		asleep := "<sleep xmlns='urn:stonechat:sleep:0' until='2000-01-01T00:%02d:00Z'/>"
		until(p, "<body>n 1</body>", "<ping", fmt.Sprintf(asleep, 5))
		h := p.H
		if err := p.End(); err == nil {
			t.Error("the session is ended")
		}
		if d := time.Since(time.Unix(946684800, 0)); d > time.Minute {
			t.Errorf("it was awake for %s", d)
		}
		p = l.Accept()
		if d := time.Since(time.Unix(946684800, 0)).Round(time.Minute); d != 5*time.Minute {
			t.Errorf("it wakes after %s", d)
		}
		p.Resume("s1", 1, h)
		p.Say("<message from='%s/phone' type='chat'><body>set lamp on</body></message>", owner)
		until(p, "<c xmlns='http://jabber.org/protocol/caps'", "<body>n 2</body>", "done: lamp on", "<ping", fmt.Sprintf(asleep, 10))
		h = p.H
		if !lamp.Load() {
			t.Error("the lamp is not on")
		}
		_ = p.End()
		// Without a network it goes on measuring, and does not try for ever.
		for tries := 0; n.Load() < 4; tries++ {
			l.Refuse()
			if tries > 100 {
				t.Fatal("it does not sleep")
			}
		}
		p = l.Accept()
		p.Resume("s1", 3, h)
		told := ""
		for i := 3; i <= int(n.Load()); i++ {
			told += until(p, fmt.Sprintf("<body>n %d</body>", i))
		}
		if strings.Count(told, "<body>n ") != int(n.Load())-2 {
			t.Errorf("it told %s", told)
		}
		go func() { _ = p.End() }()
	})
}
