// SPDX-License-Identifier: Apache-2.0

package s2s

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// What was on the disk when the server ended is sent after the next start, once, those first that have waited longest.
func TestRouteRestart(t *testing.T) {
	eachWay(t, func(l *routeLimits) { l.Dials = 1 }, func(t *testing.T, d *depot, managed bool) {
		for _, to := range []string{"y", "x"} {
			for range 150 {
				d.send(chat("a@"+to, to))
			}
		}
		d.restart()
		if got := strings.Join(d.dialing(), " "); got != "y" {
			t.Fatalf("dialed: %s", got)
		}
		d.send(chat("a@x", "live"))
		for _, to := range []string{"y", "x"} {
			l := d.connect(to, managed)
			var got []string
			for range 30 {
				for _, s := range l.read() {
					if s != "<r>" {
						got = append(got, s)
					}
				}
				l.confirm()
				d.pass(60 * time.Millisecond)
			}
			want := strings.Repeat(to+" late ", 150)
			if to == "x" {
				want += "live "
			}
			if all := strings.Join(got, " ") + " "; all != want {
				t.Errorf("%d: %s", len(got), all)
			}
		}
		d.pass(time.Second)
		if n := d.rows(); n != 0 {
			t.Errorf("%d on the disk", n)
		}
		d.restart()
		if got := d.dialing(); len(got) > 0 {
			t.Errorf("%q are dialed", got)
		}
	})
}

// What is too old after a start is answered, without a connection.
func TestRouteTooOld(t *testing.T) {
	bubble(t, nil, func(t *testing.T, d *depot) {
		for range 100 {
			d.send(chat("a@x", "1"))
		}
		d.pass(14 * time.Minute)
		d.send(chat("a@x", "2"))
		d.pass(time.Second)
		d.restart()
		d.mustCall("x").failed(*timeout(""))
		d.pass(2 * time.Minute)
		want := make([]string, 100)
		for i := range want {
			want[i] = "1 remote-server-timeout"
		}
		d.returned(want...)
		if n := d.rows(); n != 1 {
			t.Errorf("%d on the disk", n)
		}
		d.restart()
		d.mustCall("x").failed(outage{Err: stanza.RemoteServerNotFound.Err(""), Permanent: true})
		d.returned("2 remote-server-not-found")
		d.pass(time.Second)
		if n := d.rows(); n != 0 {
			t.Errorf("%d on the disk", n)
		}
	})
}

// A disk that refuses holds acks, no more; when it takes again all is kept.
func TestRouteDisk(t *testing.T) {
	bubble(t, nil, func(t *testing.T, d *depot) {
		c := d.caller()
		d.store.failing.Store(true)
		c.send("b@x", "1", "2")
		d.pass(5 * time.Second)
		l := d.connect("x", true)
		l.gets("1 late", "2 late", "<r>")
		d.pass(5 * time.Second)
		if n := c.safe(); n != 0 {
			t.Errorf("%d are safe", n)
		}
		d.store.failing.Store(false)
		d.pass(3 * time.Second)
		if n, rows := c.safe(), d.rows(); n != 2 || rows != 2 {
			t.Errorf("%d are safe, %d on the disk", n, rows)
		}
		d.store.failing.Store(true)
		l.ack()
		d.pass(3 * time.Second)
		d.store.failing.Store(false)
		d.pass(3 * time.Second)
		if n := d.rows(); n != 0 {
			t.Errorf("%d on the disk", n)
		}
	})
}

// A connection that breaks while the disk is read gives back what it had, ahead of the rest of the disk and of what came since.
func TestRouteBrokenAmid(t *testing.T) {
	eachWay(t, nil, func(t *testing.T, d *depot, managed bool) {
		var want []string
		for i := range 300 {
			id := fmt.Sprint(i)
			d.send(chat("a@x", id))
			want = append(want, id)
		}
		d.restart()
		d.send(chat("a@x", "live"))
		want = append(want, "live")
		first := d.connect("x", managed)
		got := first.read()
		if len(got) < page || len(got) > 3*page || got[0] != "0 late" {
			t.Fatalf("%d came at once: %q", len(got), got)
		}
		first.breaks()
		d.send(chat("a@x", "last"))
		want = append(want, "last")
		if d.dialing() == nil {
			d.pass(2 * time.Second)
		}
		second := d.connect("x", managed)
		var all []string
		for range 40 {
			for _, s := range second.read() {
				if s != "<r>" {
					all = append(all, strings.TrimSuffix(s, " late"))
				}
			}
			second.confirm()
			d.pass(60 * time.Millisecond)
		}
		if !slices.Equal(all, want) {
			t.Errorf("%d came, want %d: %q", len(all), len(want), all)
		}
		d.counts("resent_total", float64(len(got)-strings.Count(strings.Join(got, " "), "<r>")))
	})
}

// At the end what is kept is on the disk, and nobody waits for an answer that cannot come.
func TestRouteDrain(t *testing.T) {
	eachWay(t, nil, func(t *testing.T, d *depot, managed bool) {
		c := d.caller()
		c.send("b@x", "1")
		l := d.connect("x", managed)
		d.send(chat("a@x", "2"), "<iq from='m@p.d/r' to='y' type='get' id='3'><q xmlns='u:q'/></iq>")
		l.read()
		d.stops()
		d.returned("3 remote-server-timeout")
		if n := d.rows(); n != 2 {
			t.Errorf("%d on the disk", n)
		}
		c.send("b@x", "4")
		d.send("<iq from='m@p.d/r' to='y' type='get' id='5'><q xmlns='u:q'/></iq>", "<presence from='m@p.d/r' to='a@x'/>")
		d.returned("5 remote-server-timeout")
		if n, rows := c.safe(), d.rows(); n != 2 || rows != 3 {
			t.Errorf("%d are safe, %d on the disk", n, rows)
		}
		if got := d.dialing(); len(got) != 2 { // those before the end
			t.Errorf("%q are dialed", got)
		}
	})
}

// Who watches an account sees where its messages wait, and when they are there.
func TestRouteTrace(t *testing.T) {
	bubble(t, nil, func(t *testing.T, d *depot) {
		tr, err := d.server.Tracers().Begin(jid.MustParse("a@d"), false)
		if err != nil {
			t.Fatal(err)
		}
		defer d.server.Tracers().End(tr)
		c := d.caller()
		c.send("b@x", "1")
		d.pass(time.Second)
		l := d.connect("x", true)
		l.read()
		l.ack()
		c.send("b@none", "2")
		d.mustCall("none").failed(outage{Err: stanza.RemoteServerNotFound.Err(""), Permanent: true})
		var got []string
		for len(tr.Events()) > 0 {
			if e := <-tr.Events(); e.Way < 3 && e.Session == "" {
				got = append(got, strings.TrimSpace(e.Event+" "+e.Detail))
			}
		}
		want := []string{
			"received", "queued until x is connected", "queued for x", "spooling x", "spooled", "acked",
			"received", "queued until none is connected", "queued for none", "returned remote-server-not-found",
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q", got)
		}
	})
}
