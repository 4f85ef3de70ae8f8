// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"
)

// The ways in which messages can go wrong, each by the order in which the
// sent ones (by their number) arrive.
func TestCheck(t *testing.T) {
	tests := []struct {
		name    string
		arrive  []int
		ok      int
		faults  []string
		pending int // in flight after all this
	}{
		{"in order", []int{0, 1, 2, 3}, 4, nil, 0},
		{"one still under way", []int{0, 1, 2}, 3, []string{"1 messages lost"}, 1},
		{"a gap", []int{0, 2, 3}, 3, []string{"1 messages lost"}, 0},
		{"swapped", []int{1, 0, 2, 3}, 4, []string{"1 messages out of order"}, 0},
		{"twice", []int{0, 1, 1, 2, 3}, 4, []string{"1 messages duplicate"}, 0},
		{"late and then again", []int{1, 0, 0, 2, 3}, 4, []string{"1 messages duplicate", "1 messages out of order"}, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			from, to := &session{}, &session{address: "b@c/d"}
			p := newPair(7, from, to, 64)
			var sent [][]byte
			for i := range 4 {
				sent = append(sent, bytes.Clone(p.message(time.Duration(i+1)*time.Second, false)))
			}
			ok := 0
			for _, i := range tt.arrive {
				if stamp, fine := p.check(to, inner(sent[i], "body")); fine {
					ok++
					if stamp != time.Duration(i+1)*time.Second {
						t.Errorf("message %d: stamp %s", i, stamp)
					}
				}
			}
			if ok != tt.ok || p.inFlight() != tt.pending {
				t.Errorf("%d delivered, %d in flight; want %d and %d", ok, p.inFlight(), tt.ok, tt.pending)
			}
			got := p.settleUp().list()
			slices.Sort(got)
			if !slices.Equal(got, tt.faults) {
				t.Errorf("faults %q; want %q", got, tt.faults)
			}
			if again := p.settleUp().list(); again != nil {
				t.Errorf("faults %q of a round that was not", again)
			}
		})
	}
}

func TestCheckRefuses(t *testing.T) {
	from, to := &session{}, &session{address: "b@c/d"}
	p := newPair(7, from, to, 64)
	other := newPair(8, &session{}, &session{address: "b@c/d"}, 64)
	good := bytes.Clone(inner(p.message(1, false), "body"))
	foreign := bytes.Clone(inner(other.message(1, false), "body"))
	for name, tt := range map[string]struct {
		at   *session
		body []byte
		want faults
	}{
		"short":           {to, good[:40], faults{corrupt: 1}},
		"empty":           {to, nil, faults{corrupt: 1}},
		"other filler":    {to, append(bytes.Clone(good[:63]), '!'), faults{corrupt: 1}},
		"no number":       {to, append([]byte("zzzz"), good[4:]...), faults{corrupt: 1}},
		"of another pair": {to, foreign, faults{misrouted: 1}},
		"at the sender":   {from, good, faults{misrouted: 1}},
	} {
		if _, ok := p.check(tt.at, tt.body); ok {
			t.Errorf("%s: delivered", name)
		}
		got := p.faults
		got.stray = ""
		if got != tt.want {
			t.Errorf("%s: %+v; want %+v", name, got, tt.want)
		}
		p.faults = faults{}
	}
}

func TestTemplates(t *testing.T) {
	sm := &session{sm: true}
	p := newPair(1, sm, &session{address: "b@c/d"}, MinBody)
	plain := string(p.message(0, false))
	asking := string(p.message(0, true))
	want := strings.Replace(strings.Replace(plain, "id='0000'", "id='0001'", 1), " 00000000 ", " 00000001 ", 1) + smRequest
	if asking != want {
		t.Errorf("plain %s\nasking %s", plain, asking)
	}
	if sm.sent != 2 {
		t.Errorf("%d stanzas counted", sm.sent)
	}
	mq := newPair(1, &session{kind: MQTT, qos: 1}, &session{kind: MQTT, address: "t/1"}, 64)
	for want := range 3 {
		packet := mq.message(0, false)
		to := &session{kind: MQTT, qos: 1}
		err := to.packet(packet, time.Time{}, func(_ *session, body []byte, _ time.Time) {
			if _, ok := mq.check(mq.to, body); !ok {
				t.Errorf("message %d: %q", want, body)
			}
		})
		if err != nil || !bytes.Equal(to.answers, []byte{mqttPubAck, 2, 0, byte(want + 1)}) {
			t.Errorf("message %d: %v, answers % x", want, err, to.answers)
		}
	}
}
