// SPDX-License-Identifier: Apache-2.0

package sensordata_test

import (
	"errors"
	"fmt"
	"reflect"
	"testing"

	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/sensordata"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// one is a message of one field.
func one(seq string, done bool, n sensordata.Node, when string, f sensordata.Field) *sensordata.Fields {
	return &sensordata.Fields{Seq: seq, Done: done, Nodes: []sensordata.NodeFields{{Node: n,
		Timestamps: []sensordata.Timestamp{{At: at(when), Fields: []sensordata.Field{f}}}}}}
}

func TestStates(t *testing.T) {
	const now = "2024-05-01T06:00:00Z"
	value := one("7", false, cellar, now, sensordata.Int("a", 1))
	last := one("7", true, cellar, now, sensordata.Int("b", 2))
	type p = stanza.Payload
	for name, c := range map[string]struct {
		answers []p
		want    []sensordata.State
	}{
		"at once":            {[]p{&sensordata.Accepted{Seq: "7"}, last}, []sensordata.State{sensordata.Reading, sensordata.Finished}},
		"without a word":     {[]p{value, last}, []sensordata.State{sensordata.Reading, sensordata.Finished}},
		"queued":             {[]p{&sensordata.Accepted{Seq: "7", Queued: true}, &sensordata.Started{Seq: "7"}, value, &sensordata.Done{Seq: "7"}}, []sensordata.State{sensordata.Queued, sensordata.Reading, sensordata.Reading, sensordata.Finished}},
		"fields are first":   {[]p{value, &sensordata.Accepted{Seq: "7", Queued: true}}, []sensordata.State{sensordata.Reading, sensordata.Reading}},
		"some fail":          {[]p{&sensordata.Failure{Seq: "7"}, last}, []sensordata.State{sensordata.Reading, sensordata.Finished}},
		"all fail":           {[]p{&sensordata.Failure{Seq: "7", Done: true}}, []sensordata.State{sensordata.Finished}},
		"cancelled":          {[]p{&sensordata.Accepted{Seq: "7"}, &sensordata.Cancelled{Seq: "7"}}, []sensordata.State{sensordata.Reading, sensordata.Withdrawn}},
		"refused":            {[]p{sensordata.Rejected(stanza.Forbidden, "no")}, []sensordata.State{sensordata.Refused}},
		"refused as of old":  {[]p{&sensordata.Rejection{Seq: "7", Text: "no"}}, []sensordata.State{sensordata.Refused}},
		"nothing to be read": {[]p{&sensordata.Fields{Seq: "7", Done: true}}, []sensordata.State{sensordata.Finished}},
	} {
		o := sensordata.NewReadout(sensordata.Request{Seq: "7"}, sensordata.Bounds{})
		if o.State() != sensordata.Asked || o.Seq() != "7" {
			t.Errorf("%s: begins as %d", name, o.State())
		}
		for i, answer := range c.answers {
			if err := o.Take(one("8", true, cellar, now, sensordata.Int("x", 1))); !errors.Is(err, sensordata.ErrUnknown) {
				t.Errorf("%s: of another: %v", name, err)
			}
			if err := o.Take(answer); err != nil || o.State() != c.want[i] {
				t.Errorf("%s: %d: %d, %v; want %d", name, i, o.State(), err, c.want[i])
			}
		}
		if !o.State().IsOver() {
			continue
		}
		before := len(o.Nodes())
		for _, late := range []p{value, &sensordata.Started{Seq: "7"}, stanza.Gone.Err("")} {
			if err := o.Take(late); !errors.Is(err, sensordata.ErrOver) || len(o.Nodes()) != before {
				t.Errorf("%s: late: %v", name, err)
			}
		}
		if (o.Err() != nil) != (o.State() == sensordata.Refused) {
			t.Errorf("%s: refused with %v", name, o.Err())
		}
	}
	if err := sensordata.NewReadout(sensordata.Request{}, sensordata.Bounds{}).Take(stanza.Body("x")); !errors.Is(err, sensordata.ErrUnknown) {
		t.Errorf("a body: %v", err)
	}
}

// A readout has what was asked for, in its order, and of two values the better one.
func TestReadout(t *testing.T) {
	const early, late = "2024-05-01T05:00:00Z", "2024-05-01T06:00:00Z"
	o := sensordata.NewReadout(sensordata.Request{Seq: "7", Names: []string{"a", "b"}, Categories: sensordata.Momentary}, sensordata.Bounds{})
	field := func(name string, v int32, c sensordata.Category, q sensordata.Quality) sensordata.Field {
		f := sensordata.Int(name, v)
		f.Categories, f.Quality = c, q
		return f
	}
	for _, f := range []*sensordata.Fields{
		one("7", false, roof, late, field("a", 1, 0, sensordata.ManualEstimate)),
		one("7", false, cellar, late, field("a", 2, 0, 0)),
		one("7", false, roof, early, field("a", 3, 0, 0)),
		one("7", false, roof, late, field("b", 4, 0, 0)),
		one("7", false, roof, late, field("c", 5, 0, 0)),                 // not asked for
		one("7", false, roof, late, field("b", 6, sensordata.Status, 0)), // nor this
		one("7", false, roof, late, field("a", 7, 0, sensordata.AutomaticReadout)),
		one("7", false, cellar, late, field("a", 8, 0, sensordata.AutomaticEstimate)), // worse
	} {
		if err := o.Take(f); err != nil {
			t.Fatal(err)
		}
	}
	if err := o.Take(&sensordata.Failure{Seq: "7", Done: true, Errors: []sensordata.NodeError{{Node: cellar, Text: "silent"}}}); err != nil {
		t.Fatal(err)
	}
	want := []sensordata.NodeFields{
		{Node: roof, Timestamps: []sensordata.Timestamp{
			{At: at(late), Fields: []sensordata.Field{field("a", 7, 0, sensordata.AutomaticReadout), field("b", 4, 0, 0)}},
			{At: at(early), Fields: []sensordata.Field{field("a", 3, 0, 0)}},
		}},
		{Node: cellar, Timestamps: []sensordata.Timestamp{{At: at(late), Fields: []sensordata.Field{field("a", 2, 0, 0)}}}},
	}
	if !reflect.DeepEqual(o.Nodes(), want) || len(o.Errors()) != 1 || o.State() != sensordata.Finished {
		t.Errorf("%+v\nwant %+v\n%+v %d", o.Nodes(), want, o.Errors(), o.State())
	}
}

func TestReadoutBounds(t *testing.T) {
	const now = "2024-05-01T06:00:00Z"
	for name, b := range map[string]sensordata.Bounds{"messages": {Messages: 3}, "fields": {Fields: 3}, "bytes": {Bytes: 30}} {
		o := sensordata.NewReadout(sensordata.Request{Seq: "7"}, b)
		for i := range 4 {
			err := o.Take(one("7", false, cellar, now, sensordata.Int(fmt.Sprint("f", i), 1)))
			if (err != nil) != (i == 3) || err != nil && !errors.Is(err, sensordata.ErrTooMuch) {
				t.Errorf("%s: %d: %v", name, i, err)
			}
		}
		if o.State() != sensordata.Broken || len(o.Nodes()[0].Timestamps[0].Fields) < 3 {
			t.Errorf("%s: %d, %+v", name, o.State(), o.Nodes())
		}
	}
	// Values that are sent again and again, and errors, count as well.
	o := sensordata.NewReadout(sensordata.Request{Seq: "7"}, sensordata.Bounds{Fields: 3})
	var err error
	for range 4 {
		err = o.Take(one("7", false, cellar, now, sensordata.Int("f", 1)))
	}
	if !errors.Is(err, sensordata.ErrTooMuch) {
		t.Errorf("the same value: %v", err)
	}
	o = sensordata.NewReadout(sensordata.Request{Seq: "7"}, sensordata.Bounds{Fields: 3})
	if err := o.Take(&sensordata.Failure{Seq: "7", Errors: make([]sensordata.NodeError, 4)}); !errors.Is(err, sensordata.ErrTooMuch) {
		t.Errorf("errors: %v", err)
	}
}

// A number is believed of who was asked, and of nobody else.
func TestReadouts(t *testing.T) {
	const now = "2024-05-01T06:00:00Z"
	meter, other := jid.MustParse("meter@example.org/a"), jid.MustParse("liar@example.net/a")
	var numbers sensordata.Sequence
	r := sensordata.NewReadouts(2)
	q := sensordata.Request{Seq: numbers.Next()}
	o := sensordata.NewReadout(q, sensordata.Bounds{})
	if err := r.Add(meter, o); err != nil {
		t.Fatal(err)
	}
	if err := r.Add(meter, sensordata.NewReadout(q, sensordata.Bounds{})); !errors.Is(err, sensordata.ErrNumbered) {
		t.Errorf("twice: %v", err)
	}
	if err := r.Add(other, sensordata.NewReadout(q, sensordata.Bounds{})); err != nil {
		t.Errorf("the same number, of another: %v", err)
	}
	if err := r.Add(meter, sensordata.NewReadout(sensordata.Request{Seq: numbers.Next()}, sensordata.Bounds{})); !errors.Is(err, sensordata.ErrTooMany) {
		t.Errorf("a third: %v", err)
	}
	if r.Drop(other, "1") == nil || r.Drop(other, "1") != nil {
		t.Error("what is dropped is gone once")
	}
	if _, err := r.Take(other, one("1", true, cellar, now, sensordata.Int("f", 1))); !errors.Is(err, sensordata.ErrUnknown) {
		t.Errorf("of a liar: %v", err)
	}
	if got, err := r.Take(meter, one("1", true, cellar, now, sensordata.Int("f", 1))); err != nil || got != o || r.Len() != 0 {
		t.Errorf("%v, %d left", err, r.Len())
	}
	if _, err := r.Take(meter, &sensordata.Done{Seq: "1"}); !errors.Is(err, sensordata.ErrUnknown) {
		t.Errorf("after the end: %v", err)
	}
}

// What was split is put together again, whatever the size of the messages.
func TestSplit(t *testing.T) {
	nodes := everyType().Nodes
	nodes[1].Timestamps = nodes[1].Timestamps[:1] // one of no fields is not sent
	for most := range 14 {
		o := sensordata.NewReadout(sensordata.Request{Seq: "7"}, sensordata.Bounds{})
		messages := sensordata.Split("7", nodes, most)
		for i, f := range messages {
			n := 0
			for _, node := range f.Nodes {
				for _, when := range node.Timestamps {
					n += len(when.Fields)
				}
			}
			if n == 0 || n > max(most, 1) || f.Done != (i == len(messages)-1) {
				t.Errorf("%d at most: message %d of %d has %d fields, done %t", most, i, len(messages), n, f.Done)
			}
			if err := o.Take(f); err != nil {
				t.Fatal(err)
			}
		}
		if !reflect.DeepEqual(o.Nodes(), nodes) || o.State() != sensordata.Finished {
			t.Errorf("%d at most: %+v", most, o.Nodes())
		}
	}
	if got := sensordata.Split("7", nil, 10); len(got) != 1 || !reflect.DeepEqual(got[0], &sensordata.Fields{Seq: "7", Done: true}) {
		t.Errorf("of nothing: %+v", got)
	}
}
