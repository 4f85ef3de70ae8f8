// SPDX-License-Identifier: Apache-2.0

//go:build linux

package scenario

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/test/space"
	"github.com/stonechat-im/stonechat/thing"
	"github.com/stonechat-im/stonechat/xmpp/jid"
)

// What the link is like: a day with outages of ten minutes, a hundred times as fast.
const (
	linkLoss   = 0.3
	linkDelay  = 20 * time.Millisecond
	linkOutage = 6 * time.Second
	samples    = 120
	sampling   = 500 * time.Millisecond
)

// TestBadLink: a sensor is reached by a link that loses three packets of ten, and is gone from time to time. All samples come, once each, in
// order, with the time at which they were taken.
func TestBadLink(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED: needs root, to make network namespaces")
	}
	wire := space.NewWire(linkDelay, linkLoss)
	var ends [2]*space.Space
	for i, address := range []string{"10.78.0.1", "10.78.0.2"} {
		var err error
		if ends[i], err = wire.Attach(address); err != nil {
			t.Skipf("SKIPPED: needs a network namespace: %v", err)
		}
		t.Cleanup(ends[i].Close)
	}
	s := start(t, options{at: "10.78.0.1", within: ends[0]})
	owner := s.person(s.account("owner"))
	have := func() int {
		owner.mu.Lock()
		defer owner.mu.Unlock()
		return len(owner.samples)
	}
	rows := new(strings.Builder)
	rows.WriteString("sample\n")
	for i := range samples {
		fmt.Fprintln(rows, i)
	}
	own := s.account("sensor")
	if err := owner.client.SetContact(t.Context(), jid.MustParse(own), "sensor"); err != nil { // what contacts say is archived
		t.Fatal(err)
	}
	sensor := launch(t, own, s.environment(own), ends[1].Enter(exec.Command(stonechat.MustPath(t), "thing", "run", "--owner", owner.own.String(),
		"--csv", s.write("samples.csv", rows.String()), "--every", sampling.String(), "--state", filepath.Join(s.folder, "sensor"))))
	for range 3 {
		some := have() + 5
		awaitLong(t, "samples", func() bool { return have() >= some })
		ends[1].Silence(true)
		<-time.After(linkOutage)
		ends[1].Silence(false)
	}
	select {
	case <-sensor.ended: // all is acknowledged
	case <-time.After(3 * time.Minute):
		t.Error("the sensor has not told everything")
	}
	awaitLong(t, "the last sample", func() bool { return have() >= samples })

	// Who comes later finds all of it, the outages too.
	kept := make(map[float64]bool)
	for _, m := range s.person(owner.own.String()).finds("") {
		fields, err := thing.FieldsOf(m)
		if err != nil {
			t.Error(err)
		}
		for _, f := range fields {
			kept[f.Value.Number()] = true
		}
	}
	count(t, "samples that who comes later finds", len(kept), samples)

	owner.mu.Lock()
	defer owner.mu.Unlock()
	got := owner.samples
	times := make(map[float64]int)
	var gap, step time.Duration
	disordered := 0
	for i, x := range got {
		times[x.value]++
		if i == 0 {
			continue
		}
		gap, step = max(gap, x.at.Sub(got[i-1].at)), max(step, x.taken.Sub(got[i-1].taken))
		if !x.taken.After(got[i-1].taken) {
			disordered++
		}
	}
	fmt.Printf("%s: %d packets carried, %d lost, %d in outages of %s\n", t.Name(), wire.Carried.Load(), wire.Lost.Load(), wire.Cut.Load(), linkOutage)
	count(t, "samples lost", samples-len(times), 0)
	count(t, "samples doubled", len(got)-len(times), 0)
	count(t, "samples out of order", disordered, 0)
	fmt.Printf("%s: longest time in which nothing came: %s (at least %s)\n", t.Name(), gap.Round(time.Millisecond), linkOutage-time.Second)
	if gap < linkOutage-time.Second {
		t.Errorf("nothing came for %s at most: the link was not bad", gap)
	}
	figure(t, "longest time between samples as they were taken", step, 4*sampling)
	if wire.Lost.Load() == 0 || wire.Cut.Load() == 0 {
		t.Error("the wire has not been as bad as it should")
	}
}

// awaitLong waits for something that a bad link delays.
func awaitLong(t *testing.T, what string, f func() bool) {
	t.Helper()
	for began := time.Now(); !f(); <-time.After(50 * time.Millisecond) {
		if time.Since(began) > 2*time.Minute {
			t.Fatalf("%s do not come", what)
		}
	}
}
