// SPDX-License-Identifier: Apache-2.0

package drive_test

import (
	"io"
	"sync"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/internal/drive"
)

// longest is the longest of what was observed.
type longest struct {
	mu    sync.Mutex
	value float64
	each  chan struct{}
}

func (l *longest) Observe(value float64) {
	l.mu.Lock()
	l.value = max(l.value, value)
	l.mu.Unlock()
	select {
	case l.each <- struct{}{}:
	default:
	}
}

// A batch is told with all the time that its machine took, and again for the next.
func TestTime(t *testing.T) {
	const slow = 30 * time.Millisecond
	onEach(t, drive.Patience{}, func(b *bed) {
		l := &longest{each: make(chan struct{}, 1)}
		_, p := b.pair(machine{input: func(m *machine, data []byte) {
			if string(data) == "slow" {
				<-time.After(slow)
			}
			echo(m, data)
		}})
		for _, word := range []string{"fast", "slow"} {
			b.driver.Time(l) // whenever
			if _, err := io.WriteString(p, word); err != nil {
				b.Fatal(err)
			}
			if _, err := io.ReadFull(p, make([]byte, len(word))); err != nil {
				b.Fatal(err)
			}
			for told := false; !told; {
				b.wait(l.each, "the time of "+word)
				l.mu.Lock()
				told = l.value > 0 && (word == "fast" || l.value >= slow.Seconds())
				l.mu.Unlock()
			}
		}
	})
}
