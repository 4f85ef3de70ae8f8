// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"errors"
	"fmt"
	"strconv"
)

const (
	registerStreams = 4 // accounts are made on so many streams at once
	registerBatch   = 50
)

// Register makes the accounts numbered from first on, by in-band registration
// before login (XEP-0077 §3.1). One that exists is left as it is; that its
// password is the one given is seen when it logs in. Targets without accounts
// need nothing.
func Register(ctx context.Context, t Target, first, count int) error {
	if t.Kind != XMPP {
		return nil
	}
	d := newDialer(t, Session{})
	batches := (count + registerBatch - 1) / registerBatch
	return parallel(ctx, batches, registerStreams, func(i int) error {
		from := first + i*registerBatch
		return d.register(ctx, from, min(from+registerBatch, first+count))
	})
}

// register makes the accounts [from, to) on as few streams as the server
// allows: some take only one registration per stream.
func (d *dialer) register(ctx context.Context, from, to int) error {
	for from < to {
		done, err := d.registerSome(ctx, from, to)
		if err != nil && (done == 0 || errors.Is(err, errRefused)) {
			return fmt.Errorf("bench: %s: registering %s: %w", d.target, d.target.Accounts.name(from+done), err)
		}
		from += done
	}
	return nil
}

var errRefused = errors.New("registration refused")

// registerSome makes accounts until the server ends the stream, and returns how many.
func (d *dialer) registerSome(ctx context.Context, from, to int) (int, error) {
	w, err := d.connect(ctx, from)
	if err != nil {
		return 0, err
	}
	defer func() { _ = w.s.sock.Close() }() // all answers have been read
	features, err := w.open(d.target.Domain)
	if err == nil && d.target.Security == StartTLS {
		_, err = w.startTLS(d.tls, d.target.Domain, features)
	}
	if err != nil {
		return 0, err
	}
	for i := from; i < to; i++ {
		id := "reg" + strconv.Itoa(i)
		if err := w.s.write([]byte("<iq type='set' id='" + id + "' to='" + d.target.Domain + "'><query xmlns='jabber:iq:register'><username>" +
			d.target.Accounts.name(i) + "</username><password>" + d.target.Accounts.Password + "</password></query></iq>")); err != nil {
			return i - from, err
		}
		answer, err := w.expect("iq")
		if err != nil {
			return i - from, err
		}
		if string(attr(answer, "type")) != "result" && after(answer, "<conflict") == 0 {
			return i - from, fmt.Errorf("%w: %.300s", errRefused, answer)
		}
	}
	w.s.leave()
	return to - from, nil
}
