// SPDX-License-Identifier: Apache-2.0

package thing_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

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
		p.Expect("<message .*<body>n 1</body>.*")
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
		p.Resume("s1", 0, 2)
		p.Say("<message from='%s/phone' type='chat'><body>set lamp on</body></message>", owner)
		// In whichever order: what it tells, and that it has obeyed.
		told := p.Expect("(<message .*)")[1] + p.Expect("(<message .*)")[1]
		if !strings.Contains(told, "<body>n 2</body>") || !strings.Contains(told, "done: lamp on") || !lamp.Load() {
			t.Errorf("the lamp is on: %t, and it told %s", lamp.Load(), told)
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
		p.Resume("s1", 1, 4)
		for i := 3; i <= int(n.Load()); i++ {
			p.Expect(fmt.Sprintf("<message .*<body>n %d</body>.*", i))
		}
		go func() { _ = p.End() }()
	})
}
