// SPDX-License-Identifier: Apache-2.0

package client_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stonechat-im/stonechat/client"
	"github.com/stonechat-im/stonechat/internal/testserver"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// A client that sleeps has no connection, and its session all the same.
func TestSleep(t *testing.T) {
	inLab(t, testserver.Options{}, func(t *testing.T, l *lab) {
		p := l.start()
		p.Say("<message><body>one</body></message>")
		<-l.heard
		l.send("before")
		ended := make(chan error, 1)
		go func(p *testserver.Peer) { ended <- p.End() }(p)
		l.Sleep()
		if err := <-ended; err == nil {
			t.Error("the stream was ended, and the session with it")
		}
		if l.Online() || l.Err() != nil || l.Unacked() != 0 {
			t.Errorf("asleep: online %t, %v, %d unacknowledged", l.Online(), l.Err(), l.Unacked())
		}
		l.send("asleep")
		l.Sleep() // it does already
		<-time.After(time.Hour)
		synctest.Wait()
		l.Wake()
		p = l.Accept()
		p.Resume("s1", 1, 1)
		p.Expect(delayed("asleep"))
		p.Say("<message><body>two</body></message>")
		if s := <-l.heard; stanza.BodyOf(s) != "two" {
			t.Errorf("heard %s", stanza.BodyOf(s))
		}
		l.Wake() // it is already
		l.send("awake")
		p.Expect(message("awake"))
		go func() { _ = p.End() }()
		if err := l.Sync(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// Sleep before the first session, and while a login is under way; an end while it sleeps.
func TestSleepEarly(t *testing.T) {
	inLab(t, testserver.Options{}, func(t *testing.T, l *lab) {
		l.make()
		l.Sleep()
		if err := l.Client.Start(); err != nil {
			t.Fatal(err)
		}
		<-time.After(time.Hour)
		l.Wake()
		p := l.Accept()
		l.Sleep() // a login is under way
		p.Session("s1")
		if err := p.End(); err == nil {
			t.Error("the stream was ended, and the session with it")
		}
		synctest.Wait()
		if l.Online() {
			t.Error("it is awake")
		}
		if err := l.Client.Close(); err != nil {
			t.Error(err)
		}
		l.Wake()
		<-time.After(time.Hour)
		if !errors.Is(l.Err(), client.ErrClosed) {
			t.Errorf("it lives on: %v", l.Err())
		}
	})
	inLab(t, testserver.Options{NoSM: true}, func(t *testing.T, l *lab) { // there is nothing to resume
		p := l.start()
		ended := make(chan error, 1)
		go func() { ended <- p.End() }()
		l.Sleep()
		if err := <-ended; err != nil {
			t.Errorf("the stream is not ended: %v", err)
		}
		l.Wake()
		p = l.Accept()
		p.Session("")
		go func() { _ = p.End() }()
	})
}
