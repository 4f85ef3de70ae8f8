// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

func smallFan(place Place) FanOptions {
	return FanOptions{Place: place, Receivers: 7, Window: 3, Body: 150, Warmup: 20 * time.Millisecond, Duration: 600 * time.Millisecond}
}

// fakeWithPlaces is a server and its target, with figures of this process in the place of the server's.
func fakeWithPlaces(t *testing.T, security Security) (*fakeXMPP, Target) {
	f := startFakeXMPP(t, security, map[string]string{})
	f.places = newFakePlaces()
	target := f.target(security)
	target.PID = os.Getpid()
	return f, target
}

func TestFan(t *testing.T) {
	tests := []struct {
		name   string
		change func(*FanOptions)
		want   []string // figures
	}{
		{"a room", func(o *FanOptions) { o.Place = Room }, nil},
		{"a node", nil, nil},
		{"one at a time", func(o *FanOptions) { o.Window = 1 }, nil},
		{"nodes", func(o *FanOptions) { o.Channels, o.Subscriptions, o.Kept = 10, 33, true }, []string{Channels, Subscriptions}},
		{"bystanders", func(o *FanOptions) { o.Live = smallRelay(); o.Live.Duration = 300 * time.Millisecond }, []string{BystanderCalm, BystanderP99}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f, target := fakeWithPlaces(t, StartTLS)
			o := smallFan(Node)
			if tt.change != nil {
				tt.change(&o)
			}
			rep, err := testRun(t, 2).Fan(t.Context(), []Target{target}, o)
			if err != nil {
				t.Fatalf("%v: %+v", err, rep)
			}
			positive(t, rep, append(tt.want, Copies, LatencyP50, WirePerCopy, Receivers)...)
			if rep.Results[0].Figure(CPUPerCopy) == nil || o.Kept && rep.Results[0].Figure(CPUPerKept) == nil {
				t.Errorf("no CPU time in %+v", rep.Results[0].Figures)
			}
			if o.Kept && (f.places.made != 10 || !slices.Contains([]int{4, 5, 6}, trueOf(f.places.kept))) {
				t.Errorf("%d nodes made, %d kept", f.places.made, trueOf(f.places.kept))
			}
			subscriptions := 0
			for _, who := range f.places.nodes {
				subscriptions += len(who)
			}
			if o.Kept && subscriptions != 33 {
				t.Errorf("%d subscriptions", subscriptions)
			}
		})
	}
}

func trueOf(m map[string]bool) (n int) {
	for _, v := range m {
		if v {
			n++
		}
	}
	return n
}

// A broker's topic is a node with other words.
func TestFanOfTopic(t *testing.T) {
	m := startFakeMQTT(t)
	o := smallFan(Node)
	o.Receivers = 1 // as much as the fake can
	rep, err := testRun(t, 1).Fan(t.Context(), []Target{m.target()}, o)
	if err != nil {
		t.Fatalf("%v: %+v", err, rep)
	}
	positive(t, rep, Copies)
}

func TestFanOfShare(t *testing.T) {
	_, target := fakeWithPlaces(t, Plain)
	target.Share = 3
	o := smallFan(Node)
	o.Receivers = 9
	rep, err := testRun(t, 1).Fan(t.Context(), []Target{target}, o)
	if err != nil {
		t.Fatalf("%v: %+v", err, rep)
	}
	if n := rep.Results[0].Figure(Receivers).Median; n != 3 {
		t.Errorf("%v receivers; want a third of 9", n)
	}
}

// What a fan-out is for is to notice what a server does wrong.
func TestFanNotices(t *testing.T) {
	tests := []struct {
		name  string
		place Place
		order func(*fakeXMPP)
		fault string
	}{
		{"twice", Node, func(f *fakeXMPP) { f.places.copies = func(n int) int { return 1 + (n%50)/49 } }, "duplicate"},
		{"refused", Node, func(f *fakeXMPP) { f.places.refuse = true }, "forbidden"},
		{"not let in", Room, func(f *fakeXMPP) { f.places.refuse = true }, "registration-required"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f, target := fakeWithPlaces(t, Plain)
			tt.order(f)
			rep, err := testRun(t, 1).Fan(t.Context(), []Target{target}, smallFan(tt.place))
			if !errors.Is(err, ErrFaults) || !strings.Contains(strings.Join(rep.Results[0].Faults, " "), tt.fault) {
				t.Errorf("error %v, faults %q; want %q", err, rep.Results[0].Faults, tt.fault)
			}
		})
	}
}

// What arrives is judged member by member.
func TestArrived(t *testing.T) {
	const lost, twice, strange, foreign = "lost", "duplicate", "changed", "to a wrong session"
	tests := []struct {
		name  string
		seqs  []int // that arrive of channel 0, of which 0 to 2 were sent
		fault string
	}{
		{"all", []int{0, 1, 2}, ""},
		{"a gap", []int{0, 2}, lost},
		{"the end is missing", []int{0, 1}, lost},
		{"again", []int{0, 1, 1, 2}, twice},
		{"not ours", []int{0, 1, 2, -1}, strange},
		{"of a node that is not subscribed to", []int{0, 1, 2, -2}, foreign},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := &lane{}
			m := &member{lane: l, next: map[uint16]uint32{0: 0}}
			f := &fan{text: newBody(60), done: make(chan struct{}, 10), crowd: &crowd{lanes: []*lane{l}, members: []*member{m}}}
			for n := range 2 {
				ch := newChannel(n, Room, "room@conference.fake.test", &session{kind: XMPP}, f.text, 4)
				ch.fans = 1
				f.channels = append(f.channels, ch)
			}
			f.channels[0].sent = 3
			for _, seq := range tt.seqs {
				ch := f.channels[0]
				if seq == -2 {
					ch = f.channels[1]
				}
				ch.out.stamp(uint32(max(seq, 0)), 0)
				body := slices.Clone(inner(ch.out.bytes, "body"))
				if seq == -1 {
					body[len(body)-1] = '!'
				}
				f.arrived(m, body, time.Now())
			}
			got := strings.Join(f.settleUp(), " ")
			if tt.fault == "" && got != "" || !strings.Contains(got, tt.fault) {
				t.Errorf("faults %q; want %q", got, tt.fault)
			}
		})
	}
}

func TestJoin(t *testing.T) {
	_, target := fakeWithPlaces(t, StartTLS)
	o := JoinOptions{Occupants: 70, Patience: time.Minute, Live: smallRelay()}
	o.Live.Duration = 300 * time.Millisecond
	rep, err := testRun(t, 2).Join(t.Context(), []Target{target}, o)
	if err != nil {
		t.Fatalf("%v: %+v", err, rep)
	}
	positive(t, rep, JoinSpan, ToldSpan, Copies, Occupants, BystanderP99)
}

// Who is told to wait tries again.
func TestJoinTriesAgain(t *testing.T) {
	f, target := fakeWithPlaces(t, Plain)
	f.places.busy = 3
	rep, err := testRun(t, 1).Join(t.Context(), []Target{target}, JoinOptions{Occupants: 10, Patience: time.Minute})
	if err != nil {
		t.Fatalf("%v: %+v", err, rep)
	}
	if n := rep.Results[0].Figure(Retries).Median; n != 3 {
		t.Errorf("%v retries; want 3", n)
	}
}

func TestJoinNotices(t *testing.T) {
	tests := []struct {
		name     string
		copies   func(n int) int
		patience time.Duration
		fault    string
	}{
		{"a presence is lost", func(n int) int { return min(1, max(0, n-40)+max(0, 40-n)) }, time.Second, "presences of 100 have not come"},
		{"a presence comes twice", func(n int) int { return 1 + (n%30)/29 }, time.Minute, "duplicate"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f, target := fakeWithPlaces(t, Plain)
			f.places.copies = tt.copies
			rep, err := testRun(t, 1).Join(t.Context(), []Target{target}, JoinOptions{Occupants: 10, Patience: tt.patience})
			if !errors.Is(err, ErrFaults) || !strings.Contains(strings.Join(rep.Results[0].Faults, " "), tt.fault) {
				t.Errorf("error %v, faults %q; want %q", err, rep.Results[0].Faults, tt.fault)
			}
		})
	}
}

func smallArchive() PageOptions {
	return PageOptions{Messages: 400, Page: 50, Body: 100, Window: 16, Duration: 300 * time.Millisecond}
}

func TestPage(t *testing.T) {
	_, target := fakeWithPlaces(t, StartTLS)
	rep, err := testRun(t, 2).Page(t.Context(), []Target{target}, smallArchive())
	if err != nil {
		t.Fatalf("%v: %+v", err, rep)
	}
	positive(t, rep, LatestP50, DeeperP50, ByTimeP50, LatencyP99)
	if f := rep.Results[0].Figure(Stored); f == nil || f.Median != 400 || len(f.Rounds) != 1 {
		t.Errorf("stored: %+v", f)
	}
}

func TestPageNotices(t *testing.T) {
	tests := []struct {
		name  string
		order func(*fakePlaces)
		fault string
	}{
		{"one is missing", func(p *fakePlaces) { p.page = func(m []string) []string { return m[1:] } }, "49 messages in a page of 50"},
		{"the order", func(p *fakePlaces) { p.page = func(m []string) []string { slices.Reverse(m); return m } }, "message 398 follows 399"},
		{"of another", func(p *fakePlaces) { p.page = func(m []string) []string { m[7] = "hello"; return m } }, "not one of ours"},
		{"refused", func(p *fakePlaces) { p.refuse = true }, "service-unavailable"},
		{"the latest is not there", func(p *fakePlaces) {
			n := 0
			p.page = func(m []string) []string {
				if n++; n == 1 {
					return p.archives["bench1@fake.test"][340:390]
				}
				return m
			}
		}, "the page ends with message 389"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f, target := fakeWithPlaces(t, Plain)
			tt.order(f.places)
			rep, err := testRun(t, 1).Page(t.Context(), []Target{target}, smallArchive())
			if !errors.Is(err, ErrFaults) || !strings.Contains(strings.Join(rep.Results[0].Faults, " "), tt.fault) {
				t.Errorf("error %v, faults %q; want %q", err, rep.Results[0].Faults, tt.fault)
			}
		})
	}
}

func TestRest(t *testing.T) {
	for _, place := range []Place{Room, Node} {
		f, target := fakeWithPlaces(t, StartTLS)
		rep, err := testRun(t, 1).Rest(t.Context(), []Target{target}, RestOptions{Place: place, Count: 40})
		if err != nil {
			t.Fatalf("%v: %+v", err, rep)
		}
		positive(t, rep, Resting)
		for room, in := range f.places.rooms {
			if len(in) > 0 {
				t.Errorf("%s is in use", room)
			}
		}
		if n := len(f.places.rooms) + f.places.made; n != 60 {
			t.Errorf("%d %ss; want 40 and those that warm", n, place)
		}
	}
}

// What has neither rooms nor an archive says so.
func TestPlacesNeedXMPP(t *testing.T) {
	raw := []Target{{Name: "raw", Kind: Raw, Security: Plain}}
	r := testRun(t, 1)
	for name, do := range map[string]func() (*Report, error){
		"fan": func() (*Report, error) { return r.Fan(t.Context(), raw, smallFan(Room)) },
		"join": func() (*Report, error) {
			return r.Join(t.Context(), raw, JoinOptions{Occupants: 2, Patience: time.Second})
		},
		"page": func() (*Report, error) { return r.Page(t.Context(), raw, smallArchive()) },
		"rest": func() (*Report, error) { return r.Rest(t.Context(), raw, RestOptions{Place: Room, Count: 1}) },
	} {
		if rep, err := do(); !errors.Is(err, ErrFaults) || !strings.Contains(strings.Join(rep.Results[0].Faults, " "), "has n") {
			t.Errorf("%s: error %v, report %+v", name, err, rep)
		}
	}
}

func TestPlacesRefuseOptions(t *testing.T) {
	r := testRun(t, 1)
	for name, err := range map[string]error{
		"fan":   second(r.Fan(t.Context(), nil, FanOptions{})),
		"place": second(r.Fan(t.Context(), nil, smallFan(Chat))),
		"rooms": second(r.Fan(t.Context(), nil, FanOptions{Place: Room, Channels: 2, Receivers: 2, Window: 1, Body: 50, Duration: 1})),
		"more":  second(r.Fan(t.Context(), nil, FanOptions{Place: Node, Receivers: 2, Subscriptions: 3, Window: 1, Body: 50, Duration: 1})),
		"join":  second(r.Join(t.Context(), nil, JoinOptions{})),
		"page":  second(r.Page(t.Context(), nil, PageOptions{})),
		"rest":  second(r.Rest(t.Context(), nil, RestOptions{Place: Chat, Count: 1})),
	} {
		if err == nil || errors.Is(err, ErrFaults) {
			t.Errorf("%s: error %v; want one about the options", name, err)
		}
	}
}
