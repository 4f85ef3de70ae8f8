// SPDX-License-Identifier: Apache-2.0

//go:build linux

package scenario

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stonechat-im/stonechat/thing"
	"github.com/stonechat-im/stonechat/xmpp/pubsub"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// follower notes what somebody is told by the nodes that he follows, in order.
type follower struct {
	mu     sync.Mutex
	values []int
}

func (p *person) watches() *follower {
	f := new(follower)
	p.client.Handle(stanza.Message, (*pubsub.Event)(nil).XMLName(), func(_ context.Context, m *stanza.Stanza) {
		fields, err := thing.FieldsOf(m)
		if err != nil {
			p.t.Error(err)
		}
		f.mu.Lock()
		defer f.mu.Unlock()
		for _, x := range fields {
			f.values = append(f.values, int(x.Value.Number()))
		}
	})
	return f
}

// first are the values in the order in which each came first.
func (f *follower) first() (list []int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, v := range f.values {
		if !slices.Contains(list, v) {
			list = append(list, v)
		}
	}
	return list
}

// TestPublished: a thing that only publishes tells who follows it all that it has measured, also what it measured while the server did
// not answer and before its power was cut, and writes to nobody; whoever comes later sees how it is.
func TestPublished(t *testing.T) {
	const measured, own = 40, "meter@home.test"
	s := start(t, options{})
	name := s.account("owner")
	s.command("thing", "import", s.write("things.csv", "name,password,owner\nmeter,"+password+","+name+"\n"))
	notify := thing.NodeOf("temperature") + "+notify"
	owner := s.person(name, notify)
	heard := owner.watches()
	state := filepath.Join(s.folder, "meter")
	run := func() *process {
		return s.thing(own, "--owner", name, "--tell", "followers", "--stdin", "--field", "temperature", "--unit", "Cel", "--state", state)
	}
	tell := func(p *process, from, to int) {
		t.Helper()
		for i := from; i <= to; i++ {
			if _, err := fmt.Fprintln(p.in, i); err != nil {
				t.Fatal(err)
			}
		}
	}
	meter := run()
	tell(meter, 1, 10)
	until(t, "what was measured at first", func() bool { return len(heard.first()) == 10 })

	pause := func(signal syscall.Signal) {
		t.Helper()
		if err := s.process.cmd.Process.Signal(signal); err != nil {
			t.Fatal(err)
		}
	}
	pause(syscall.SIGSTOP)
	tell(meter, 11, measured-1)
	until(t, "what is kept", func() bool {
		kept, _ := os.ReadFile(filepath.Join(state, "readings"))
		return strings.Contains(string(kept), fmt.Sprintf(`"v":%d,`, measured-1))
	})
	meter.end(syscall.SIGKILL)
	pause(syscall.SIGCONT)
	meter = run()
	until(t, "what was measured meanwhile", func() bool { return len(heard.first()) == measured-1 })
	tell(meter, measured, measured)
	until(t, "what is measured now", func() bool { return len(heard.first()) == measured })
	if got := heard.first(); !slices.IsSorted(got) {
		t.Errorf("it comes out of order: %v", got)
	}
	count(t, "readings that were told", len(heard.first()), measured)
	owner.mu.Lock()
	count(t, "messages about them", len(owner.samples), 0)
	owner.mu.Unlock()

	late := s.person(name, notify).watches()
	until(t, "the latest for one who comes late", func() bool { return slices.Contains(late.first(), measured) })
}
