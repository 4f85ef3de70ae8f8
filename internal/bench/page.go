// SPDX-License-Identifier: Apache-2.0

package bench

// The archive workload: one account is sent very many messages, and then reads
// pages of them (XEP-0313, XEP-0059). Each page must hold messages that were
// sent one after the other, and the next page those before them.

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"
)

// PageOptions shape the archive workload.
type PageOptions struct {
	Messages int // in the archive
	Page     int // messages
	Body     int
	Window   int           // messages under way while the archive is filled
	Duration time.Duration // of reading, per round
}

func (o *PageOptions) check() error {
	if o.Page < 1 || o.Messages < 4*o.Page || o.Window < 1 || o.Window > 1000 || o.Body < MinBody || o.Duration <= 0 {
		return fmt.Errorf("bench: page: needs four pages of messages with bodies of %d bytes or more, 1 to 1000 under way and a duration", MinBody)
	}
	return nil
}

func (o *PageOptions) String() string {
	return fmt.Sprintf("pages of %d from an archive of %d messages with bodies of %d bytes, one page at a time, %s per round",
		o.Page, o.Messages, o.Body, o.Duration)
}

// Page measures what storing a message and reading a page of an archive cost.
func (r *Run) Page(ctx context.Context, targets []Target, o PageOptions) (*Report, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	rep := r.report("page", o, o.String(), targets)
	var open []*archive
	defer func() {
		for _, a := range open {
			a.close()
		}
	}()
	subjects, err := each(ctx, r, rep, targets, func(t *Target) (*archive, error) {
		share := o
		share.Messages = max(4*o.Page, t.share(o.Messages))
		a := &archive{o: share, fan: fan{o: FanOptions{Place: Chat, Window: o.Window}, target: t, base: time.Now()}}
		open = append(open, a)
		return a, a.open(ctx, r)
	})
	if err != nil {
		return nil, err
	}
	if err := r.interleave(ctx, rep, subjects); err != nil {
		return nil, err
	}
	return rep, rep.finish()
}

// archive is the workload on one target. Of the fan it has the crowd and the
// one channel that fills it.
type archive struct {
	fan
	o      PageOptions
	filled Sample
	reader *wire
	began  time.Time // the archive was filled between these
	ended  time.Time
	asks   int

	first  string // the archive's id of the first message of the page read last
	lowest int    // and its sequence number
}

func (a *archive) open(ctx context.Context, r *Run) (err error) {
	if a.target.Kind != XMPP {
		return fmt.Errorf("bench: %s has no archive", a.target.Kind)
	}
	if _, err := r.ready(ctx, a.target, 2); err != nil {
		return err
	}
	if a.crowd, err = newCrowd(a.target, Session{Presence: true}, 0, 2); err != nil {
		return err
	}
	a.crowd.stanza, a.text, a.done = a.stanza, newBody(a.o.Body), make(chan struct{}, a.o.Window)
	always := func(w *wire) error {
		_, err := w.ask("prefs", "set", "<prefs xmlns='"+nsMAM+"' default='always'><always/><never/></prefs>")
		return err
	}
	if err := a.crowd.login(ctx, 1, 2, func(m *member, w *wire) error { m.next[0] = 0; return always(w) }); err != nil {
		return err
	}
	to := a.crowd.members[1].s.address
	if err := a.crowd.login(ctx, 0, 1, func(m *member, w *wire) error {
		a.channels = []*channel{newChannel(0, Chat, to, w.s, a.text, a.o.Window)}
		a.channels[0].fans = 1
		return always(w)
	}); err != nil {
		return err
	}
	if err := a.fill(ctx); err != nil {
		return err
	}
	return a.read(ctx)
}

// fill sends all messages.
func (a *archive) fill(ctx context.Context) error {
	a.began = time.Now()
	before, err := a.crowd.count(new(histogram))
	if err != nil {
		return err
	}
	for n := range a.o.Messages + a.o.Window {
		if n >= a.o.Window {
			if err := a.awaitCopies(ctx); err != nil {
				return errors.Join(err, errors.New(fmt.Sprint(a.settleUp())))
			}
		}
		if n < a.o.Messages {
			a.send(a.channels[0])
		}
	}
	a.ended = time.Now()
	if err := settle(ctx, a.target.PID, time.Minute); err != nil {
		return err
	}
	after, err := a.crowd.count(new(histogram))
	if err != nil {
		return err
	}
	a.filled.Faults = a.settleUp()
	n := float64(a.o.Messages)
	a.filled.set(Stored, "", n, false)
	a.filled.set(Storing, "/s", n/a.ended.Sub(a.began).Seconds(), false)
	if a.target.PID != 0 {
		a.filled.set(CPUPerStored, "µs", micros(after.server-before.server)/n, false)
	}
	return nil
}

// read logs the account in once more, for asking one page after the other.
func (a *archive) read(ctx context.Context) error {
	d := newDialer(*a.target, Session{Timeout: crowdTimeout})
	w, err := d.connect(ctx, 1)
	if err != nil {
		return err
	}
	a.reader = w
	return d.setUp(w)
}

func (a *archive) close() {
	if a.reader != nil {
		_ = a.reader.s.sock.Close() // nothing is measured any more
	}
	a.fan.close()
}

// The kinds of questions, which take turns.
var questions = [...]string{LatestP50, DeeperP50, ByTimeP50}

func (a *archive) round(ctx context.Context) (sample Sample, err error) {
	sample = a.filled
	a.filled = Sample{}
	if err := a.reader.s.sock.SetDeadline(time.Now().Add(a.o.Duration + crowdTimeout)); err != nil {
		return sample, err
	}
	before, err := a.crowd.count(new(histogram))
	if err != nil {
		return sample, err
	}
	var all histogram
	var kinds [len(questions)]histogram
	pages := 0
	for began := time.Now(); pages < len(questions) || time.Since(began) < a.o.Duration; pages++ {
		kind := pages % len(questions)
		at := time.Now()
		if err := a.page(kind); err != nil {
			return sample, fmt.Errorf("bench: %s: %s: %w", a.target, questions[kind], err)
		}
		took := time.Since(at)
		all.add(took)
		kinds[kind].add(took)
		if ctx.Err() != nil {
			return sample, ctx.Err()
		}
	}
	after, err := a.crowd.count(new(histogram))
	if err != nil {
		return sample, err
	}
	if a.target.PID != 0 {
		sample.set(CPUPerPage, "ms", micros(after.server-before.server)/1000/float64(pages), false)
	}
	for kind, name := range questions {
		sample.set(name, "ms", micros(kinds[kind].quantile(.5))/1000, false)
	}
	sample.set(LatencyP99, "ms", micros(all.quantile(.99))/1000, false)
	sample.set(LatencyMax, "ms", micros(all.max)/1000, false)
	return sample, nil
}

// page asks for one page and checks it.
func (a *archive) page(kind int) error {
	filter, set := "", "<before/>"
	switch kind {
	case 1:
		set = "<before>" + a.first + "</before>"
	case 2:
		at := a.began.Add(time.Duration(rand.Int64N(max(1, int64(a.ended.Sub(a.began)/2)))))
		filter = form([]string{"FORM_TYPE", nsMAM, "start", at.UTC().Format("2006-01-02T15:04:05.000Z")})
		set = ""
	}
	a.asks++
	id := "page" + strconv.Itoa(a.asks)
	if err := a.reader.request("", id, "set", "<query xmlns='"+nsMAM+"' queryid='"+id+"'>"+filter+
		"<set xmlns='http://jabber.org/protocol/rsm'><max>"+strconv.Itoa(a.o.Page)+"</max>"+set+"</set></query>"); err != nil {
		return err
	}
	var seqs []int
	first := ""
	var wrong error
	answer, err := a.reader.await(func(unit []byte) bool {
		switch string(localName(unit)) {
		case "iq":
			return string(attr(unit, "id")) == id
		case "message":
			i := bytes.Index(unit, []byte("<result "))
			p, ok := readProof(inner(unit, "body"), a.text)
			if i < 0 {
				return false
			}
			if !ok {
				wrong = fmt.Errorf("not one of ours: %.500s", unit)
			}
			if seqs = append(seqs, int(p.seq)); first == "" {
				first = string(attr(unit[i:], "id"))
			}
		}
		return false
	})
	switch {
	case err != nil:
		return err
	case string(attr(answer, "type")) != "result":
		return fmt.Errorf("refused: %.300s", answer)
	case wrong != nil:
		return wrong
	case len(seqs) != a.o.Page:
		return fmt.Errorf("%d messages in a page of %d", len(seqs), a.o.Page)
	}
	for i, seq := range seqs {
		if seq != seqs[0]+i {
			return fmt.Errorf("message %d follows %d", seq, seqs[i-1])
		}
	}
	last := seqs[len(seqs)-1]
	if kind == 0 && last != a.o.Messages-1 || kind == 1 && last != a.lowest-1 {
		return fmt.Errorf("the page ends with message %d; %d are stored, the page before began with %d", last, a.o.Messages, a.lowest)
	}
	if kind != 2 || seqs[0] >= a.o.Page {
		a.first, a.lowest = first, seqs[0]
	}
	return nil
}
