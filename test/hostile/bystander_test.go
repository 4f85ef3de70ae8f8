// SPDX-License-Identifier: Apache-2.0

//go:build linux

package hostile

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// bystanders are two clients that exchange numbered messages, one at a time, from when they are made to the
// test's end.
type bystanders struct {
	a, b *peer
	stop chan struct{}
	done chan struct{}

	mu    sync.Mutex
	took  []time.Duration // there and back, since the last look
	err   error
	round chan struct{} // closed at the end of the next round
}

// mayTake is how long a message may be on its way and back, whatever happens beside it: seconds, for
// the machine may be busy with other things. The figures that are printed tell more.
const mayTake = 5 * time.Second

func (s *server) bystanders(t *testing.T) *bystanders {
	t.Helper()
	s.register(t, "romeo")
	s.register(t, "juliet")
	by := &bystanders{
		a: s.session(t, "romeo"), b: s.session(t, "juliet"),
		stop: make(chan struct{}), done: make(chan struct{}), round: make(chan struct{}),
	}
	go by.run()
	t.Cleanup(func() {
		close(by.stop)
		<-by.done
		if by.err != nil {
			t.Errorf("the bystanders: %v", by.err)
			return
		}
		by.a.close() // their streams have never ended
		by.b.close()
	})
	return by
}

func (by *bystanders) run() {
	defer close(by.done)
	pace := time.NewTicker(5 * time.Millisecond)
	defer pace.Stop()
	for n := 1; ; n++ {
		began := time.Now()
		err := by.give(by.a, by.b, n)
		if err == nil {
			err = by.give(by.b, by.a, n)
		}
		by.mu.Lock()
		by.took = append(by.took, time.Since(began))
		by.err = err
		close(by.round)
		by.round = make(chan struct{})
		by.mu.Unlock()
		if err != nil {
			return
		}
		select {
		case <-by.stop:
			return
		case <-pace.C:
		}
	}
}

// give sends one message and waits until it has arrived, and nothing before it.
func (by *bystanders) give(from, to *peer, n int) error {
	from.send(fmt.Sprintf("<message to='%s' type='chat' id='n%d'><body>hello</body></message>", to.full, n))
	e, ended, err := to.next()
	switch {
	case err != nil:
		return fmt.Errorf("message %d from %s: %w", n, from.full, err)
	case ended:
		return fmt.Errorf("the stream of %s has ended", to.full)
	case !strings.Contains(e.raw, fmt.Sprintf("'n%d'", n)):
		return fmt.Errorf("%s got, instead of message %d, %s", to.full, n, e.raw)
	}
	return nil
}

// unharmed waits for one message more, there and back, and tells how long all took since the last look.
func (by *bystanders) unharmed(t *testing.T) {
	t.Helper()
	for range 2 { // the first may have begun before the end of the attack
		by.mu.Lock()
		round := by.round
		by.mu.Unlock()
		select {
		case <-round:
		case <-by.done:
		}
	}
	by.mu.Lock()
	took, err := by.took, by.err
	by.took = nil
	by.mu.Unlock()
	if err != nil {
		t.Fatalf("the bystanders: %v", err)
	}
	slices.Sort(took)
	at := func(p float64) time.Duration { return took[int(p*float64(len(took)-1))].Round(10 * time.Microsecond) }
	t.Logf("bystanders: %d messages there and back, median %v, 99%% %v, longest %v", len(took), at(.5), at(.99), at(1))
	if longest := at(1); longest > mayTake {
		t.Errorf("a bystander's message took %v", longest)
	}
}
