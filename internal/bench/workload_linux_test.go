// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"bytes"
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func testRun(t *testing.T, rounds int) *Run {
	return &Run{Rounds: rounds, Self: []string{os.Args[0]}, Log: t.Logf}
}

func smallRelay() RelayOptions {
	return RelayOptions{Pairs: 3, Window: 4, Body: 150, AckEvery: 8, Warmup: 100 * time.Millisecond, Duration: time.Second}
}

func positive(t *testing.T, rep *Report, names ...string) {
	t.Helper()
	for i := range rep.Results {
		for _, name := range names {
			f := rep.Results[i].Figure(name)
			if f == nil || f.Median <= 0 || len(f.Rounds) != rep.Rounds {
				t.Errorf("%s: %s is %+v; want a positive figure of %d rounds", rep.Results[i].Target, name, f, rep.Rounds)
			}
		}
	}
}

func TestRelay(t *testing.T) {
	tests := []struct {
		name     string
		security Security
		change   func(*RelayOptions, *fakeXMPP)
	}{
		{"plain", Plain, nil},
		{"starttls", StartTLS, nil},
		{"direct tls", DirectTLS, nil},
		{"stream management", StartTLS, func(o *RelayOptions, f *fakeXMPP) { o.SM, f.ask = true, true }},
		{"one in flight", Plain, func(o *RelayOptions, _ *fakeXMPP) { o.Window = 1 }},
		{"open loop", Plain, func(o *RelayOptions, _ *fakeXMPP) { o.Rate, o.Window = 500, 0 }},
		{"large bodies", StartTLS, func(o *RelayOptions, _ *fakeXMPP) { o.Body = 40_000 }},
		{"least bodies", Plain, func(o *RelayOptions, _ *fakeXMPP) { o.Body = MinBody }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := startFakeXMPP(t, tt.security, map[string]string{})
			o := smallRelay()
			if tt.change != nil {
				tt.change(&o, f)
			}
			target := f.target(tt.security)
			target.PID = os.Getpid()
			rep, err := testRun(t, 2).Relay(t.Context(), []Target{target}, o)
			if err != nil {
				t.Fatalf("%v: %+v", err, rep)
			}
			positive(t, rep, Messages, LatencyP50, LatencyP99, WirePerMessage)
			if rep.Results[0].Figure(CPUPerMessage) == nil { // may be 0: its unit is 10 ms
				t.Error("no CPU time")
			}
			if v := rep.Results[0].Version; v != "Fake 1" {
				t.Errorf("version %q", v)
			}
			if o.SM && f.acks.Load() == 0 {
				t.Error("no <r/> was answered")
			}
		})
	}
}

// An open loop sends what is due, no matter how late it looks.
func TestPacer(t *testing.T) {
	start := time.Now()
	p := &pacer{start: start, rate: 100}
	for _, step := range []struct {
		at  time.Duration
		due int
	}{{0, 1}, {5 * time.Millisecond, 0}, {10 * time.Millisecond, 1}, {100 * time.Millisecond, 9}, {100 * time.Millisecond, 0}} {
		n := 0
		for at, ok := p.next(start.Add(step.at)); ok; at, ok = p.next(start.Add(step.at)) {
			if late := start.Add(step.at).Sub(at); late < 0 || late > 90*time.Millisecond {
				t.Errorf("at %s: due %s ago", step.at, late)
			}
			n++
		}
		if n != step.due {
			t.Errorf("at %s: %d due; want %d", step.at, n, step.due)
		}
	}
	if _, ok := (&pacer{start: start}).next(start.Add(time.Hour)); ok {
		t.Error("something is due in a closed loop")
	}
}

// What the generator is for is to notice what a server does wrong.
func TestRelayNotices(t *testing.T) {
	once := func(n, at, times int) int {
		if n == at {
			return times
		}
		return 1
	}
	var kept atomic.Pointer[[]byte]
	tests := []struct {
		name  string
		order func(*fakeXMPP)
		fault string
	}{
		{"lost", func(f *fakeXMPP) { f.relay = func(n int) int { return once(n, 40, 0) } }, "1 messages lost"},
		{"duplicate", func(f *fakeXMPP) { f.relay = func(n int) int { return once(n, 40, 2) } }, "1 messages duplicate"},
		{"changed", func(f *fakeXMPP) {
			f.edit = func(n int, b []byte) []byte {
				if n == 40 {
					return bytes.Replace(b, []byte("xyzabc"), []byte("xyzab_"), 1)
				}
				return b
			}
		}, "1 messages changed"},
		{"replaced by an old one", func(f *fakeXMPP) {
			f.edit = func(n int, b []byte) []byte {
				if n == 0 {
					c := bytes.Clone(b)
					kept.Store(&c)
				}
				if n == 40 {
					return *kept.Load()
				}
				return b
			}
		}, "messages"},
		{"not acked", func(f *fakeXMPP) { f.deaf = true }, "messages not acked"},
		{"stream error", func(f *fakeXMPP) {
			f.edit = func(n int, b []byte) []byte {
				if n == 40 {
					return []byte("<stream:error><reset xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>")
				}
				return b
			}
		}, "session 1: bench: the server ended the stream"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := startFakeXMPP(t, Plain, map[string]string{})
			tt.order(f)
			o := smallRelay()
			o.SM = true
			o.Pairs, o.Duration, o.Drain = 1, time.Second, 3*time.Second
			run := testRun(t, 1)
			rep, err := run.Relay(t.Context(), []Target{f.target(Plain)}, o)
			if !errors.Is(err, ErrFaults) {
				t.Fatalf("error %v; want ErrFaults", err)
			}
			if !slices.ContainsFunc(rep.Results[0].Faults, func(s string) bool { return strings.Contains(s, tt.fault) }) {
				t.Errorf("faults %q; want %q among them", rep.Results[0].Faults, tt.fault)
			}
			var table bytes.Buffer
			if err := rep.WriteText(&table); err != nil || !strings.Contains(table.String(), "FAULT fake: round 1: ") {
				t.Errorf("the table hides the fault (%v):\n%s", err, table.String())
			}
		})
	}
}

func TestRelayInterleaves(t *testing.T) {
	f, m := startFakeXMPP(t, Plain, map[string]string{}), startFakeMQTT(t)
	targets := []Target{f.target(Plain), m.target(), {Name: "raw", Kind: Raw, Security: Plain}}
	targets[0].PID, targets[1].PID = os.Getpid(), os.Getpid()
	o := smallRelay()
	o.QoS, o.Duration = 1, time.Second // the raw relay needs a few ticks of CPU time
	rep, err := testRun(t, 3).Relay(t.Context(), targets, o)
	if err != nil {
		t.Fatalf("%v: %+v", err, rep)
	}
	positive(t, rep, Messages, CPUPerMessage)
	if m.acks.Load() == 0 {
		t.Error("no PUBACK for messages of QoS 1")
	}
	if v := rep.Results[1].Version; v != "fake broker 1" {
		t.Errorf("broker's version %q", v)
	}
	ratios := rep.Results[0].Figure(CPUPerMessage).Ratios
	if len(ratios) != 2 || ratios[0].To != "raw" || ratios[1].To != "fake-mqtt" || ratios[0].Median <= 0 {
		t.Errorf("ratios %+v; want to raw and to fake-mqtt", ratios)
	}
	if wire := rep.Results[2].Figure(WirePerMessage).Median; wire != 2*float64(len(newTemplate(&session{kind: Raw}, "bench1@raw.invalid/abc", make([]byte, 150)).bytes)) {
		t.Errorf("the raw relay moved %v bytes per message", wire)
	}
}

// A target that is not there is reported; the others are measured.
func TestRelayWithoutServer(t *testing.T) {
	f := startFakeXMPP(t, Plain, map[string]string{})
	gone := f.target(Plain)
	gone.Name, gone.Addr = "gone", "127.0.0.1:1"
	rep, err := testRun(t, 1).Relay(t.Context(), []Target{gone, f.target(Plain)}, smallRelay())
	if !errors.Is(err, ErrFaults) {
		t.Fatalf("error %v; want ErrFaults", err)
	}
	if len(rep.Results[0].Faults) != 1 || rep.Results[1].Figure(Messages) == nil || len(rep.Results[1].Faults) != 0 {
		t.Errorf("results %+v", rep.Results)
	}
}

func TestWrongPassword(t *testing.T) {
	f := startFakeXMPP(t, StartTLS, map[string]string{"bench0": "other", "bench1": "other"})
	o := smallRelay()
	o.Pairs = 1
	rep, err := testRun(t, 1).Relay(t.Context(), []Target{f.target(StartTLS)}, o)
	if !errors.Is(err, ErrFaults) || !strings.Contains(strings.Join(rep.Results[0].Faults, " "), "not-authorized") {
		t.Errorf("error %v, report %+v; want not-authorized", err, rep)
	}
}

func TestIdle(t *testing.T) {
	f, m := startFakeXMPP(t, StartTLS, map[string]string{}), startFakeMQTT(t)
	targets := []Target{f.target(StartTLS), m.target(), {Name: "raw", Kind: Raw, Security: Plain}}
	targets[0].PID, targets[1].PID = os.Getpid(), os.Getpid()
	o := IdleOptions{Sessions: 30, Session: Session{SM: true, Roster: true, Presence: true}, Record: 16_300, Rest: time.Millisecond}
	rep, err := testRun(t, 1).Idle(t.Context(), targets, o)
	if err != nil {
		t.Fatalf("%v: %+v", err, rep)
	}
	for i := range rep.Results {
		if rep.Results[i].Figure(BytesPerIdle) == nil {
			t.Errorf("%s has no resident bytes", rep.Results[i].Target)
		}
	}
	if rep.Results[0].Figure(BytesAfterRecord) == nil {
		t.Error("no figure after the long message")
	}
	if m, r := f.messages.Load(), f.rosters.Load(); m != 30 || r < 30 {
		t.Errorf("%d long messages, %d rosters; want 30 and 30 or more", m, r)
	}
}

func TestIdleNeedsProcess(t *testing.T) {
	f := startFakeXMPP(t, Plain, map[string]string{})
	rep, err := testRun(t, 1).Idle(t.Context(), []Target{f.target(Plain)}, IdleOptions{Sessions: 1})
	if !errors.Is(err, ErrFaults) || !strings.Contains(rep.Results[0].Faults[0], "process number") {
		t.Errorf("error %v, report %+v", err, rep)
	}
}

func TestLogin(t *testing.T) {
	f := startFakeXMPP(t, StartTLS, map[string]string{})
	target := f.target(StartTLS)
	target.PID = os.Getpid()
	o := LoginOptions{Parallel: 2, Accounts: 5, Duration: 600 * time.Millisecond}
	rep, err := testRun(t, 2).Login(t.Context(), []Target{target}, o)
	if err != nil {
		t.Fatalf("%v: %+v", err, rep)
	}
	positive(t, rep, CPUPerLogin, Logins, LatencyP50)
}

func TestGrowth(t *testing.T) {
	f := startFakeXMPP(t, Plain, map[string]string{})
	target := f.target(Plain)
	target.PID = os.Getpid()
	o := GrowthOptions{Relay: smallRelay(), Idle: 20, Session: Session{SM: true}, Rest: time.Millisecond}
	rep, err := testRun(t, 2).Growth(t.Context(), []Target{target}, o)
	if err != nil {
		t.Fatalf("%v: %+v", err, rep)
	}
	positive(t, rep, CPUPerMessage, GrownCPU, Growth)
	if rep.Results[0].Figure(BytesPerIdle) == nil {
		t.Error("no resident bytes")
	}
}

func TestStorm(t *testing.T) {
	f := startFakeXMPP(t, StartTLS, map[string]string{})
	target := f.target(StartTLS)
	o := StormOptions{Sessions: 25, Session: Session{SM: true}, Patience: time.Minute}
	rep, err := testRun(t, 2).Storm(t.Context(), []Target{target}, o)
	if err != nil {
		t.Fatalf("%v: %+v", err, rep)
	}
	positive(t, rep, RecoverySpan, LatencyP50)
	if n := f.logins.Load(); n < 3*25 {
		t.Errorf("%d logins; want the first 25 and two storms", n)
	}
}

// Those that are there first talk while the others come back; a message that is lost meanwhile is
// a fault.
func TestStormBesideLiveTraffic(t *testing.T) {
	for _, lose := range []bool{false, true} {
		f := startFakeXMPP(t, StartTLS, map[string]string{})
		if lose {
			f.relay = func(n int) int { return min(n%20, 1) }
		}
		o := StormOptions{Sessions: 10, Session: Session{SM: true}, Patience: time.Minute, Live: smallRelay()}
		o.Live.Rate, o.Live.Window, o.Live.Warmup = 200, 0, 0
		r := testRun(t, 1)
		restarted := 0
		r.Restart = func(context.Context, *Target) error { restarted++; return nil }
		rep, err := r.Storm(t.Context(), []Target{f.target(StartTLS)}, o)
		if lose != errors.Is(err, ErrFaults) {
			t.Fatalf("messages are lost: %v; error %v", lose, err)
		}
		positive(t, rep, RecoverySpan, BystanderP99, BystanderMax)
		if restarted != 1 {
			t.Errorf("%d restarts", restarted)
		}
	}
}

// A session that the server ends while it should rest is a fault.
func TestLostSessionIsNoticed(t *testing.T) {
	f := startFakeXMPP(t, Plain, map[string]string{})
	r := testRun(t, 1)
	target := f.target(Plain)
	if err := Register(t.Context(), target, 0, 3); err != nil {
		t.Fatal(err)
	}
	fleet, err := r.newFleet(t.Context(), target, Session{}, 0, 3)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fleet.connect(2, 0); err != nil {
		t.Fatal(err)
	}
	f.mu.Lock()
	var ended *fakeSession
	for _, ended = range f.sessions {
		break
	}
	f.mu.Unlock()
	ended.send("<stream:error><system-shutdown xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error></stream:stream>")
	for err == nil {
		err = fleet.missing()
		if t.Context().Err() != nil {
			t.Fatal("the lost session was not noticed")
		}
	}
	if !strings.Contains(err.Error(), "1 of 3 sessions were lost") || !strings.Contains(err.Error(), "system-shutdown") {
		t.Error(err)
	}
	if err := fleet.close(); err != nil {
		t.Error(err)
	}
}

func TestRefusesOptions(t *testing.T) {
	r := testRun(t, 1)
	relay := smallRelay()
	relay.Body = MinBody - 1
	for name, err := range map[string]error{
		"relay":  second(r.Relay(t.Context(), nil, relay)),
		"growth": second(r.Growth(t.Context(), nil, GrowthOptions{Relay: smallRelay()})),
		"idle":   second(r.Idle(t.Context(), nil, IdleOptions{})),
		"login":  second(r.Login(t.Context(), nil, LoginOptions{})),
		"storm":  second(r.Storm(t.Context(), nil, StormOptions{})),
	} {
		if err == nil || errors.Is(err, ErrFaults) {
			t.Errorf("%s: error %v; want one about the options", name, err)
		}
	}
}

func second(_ *Report, err error) error { return err }
