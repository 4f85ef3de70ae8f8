// SPDX-License-Identifier: Apache-2.0

//go:build linux

package crash

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"
)

// tracedLoad is what servers do while their system calls are recorded: n messages from three senders with stream
// management to receivers of all kinds, roster sets and registrations, all without TLS, so that a trace is readable.
// What is acknowledged is in the trace; nothing but errors is judged here.
func tracedLoad(t *testing.T, c chance, srv *server, n int) {
	t.Helper()
	to := []string{"offline", "offline", "away", "silent", "acks", "acks", "plain"}
	for _, name := range []string{"offline", "away", "silent", "acks", "plain", "s0", "s1", "s2", "s3", "s4", "s5"} {
		if err := register(srv.plain, false, name); err != nil {
			t.Fatal(err)
		}
	}
	var receivers []*session
	for name, h := range map[string]habits{
		"away": {managed: true}, "silent": {managed: true, silent: true}, "acks": {managed: true, ackEvery: 3}, "plain": {},
	} {
		s := newSession(name, "r", h)
		s.taken = func(message, bool) {}
		if _, err := s.connect(srv); err != nil {
			t.Fatal(err)
		}
		if err := s.available(); err != nil {
			t.Fatal(err)
		}
		if err := s.drained(); err != nil {
			t.Fatal(err)
		}
		if name == "away" {
			s.drop()
			continue
		}
		receivers = append(receivers, s)
	}
	var all sync.WaitGroup
	for i := range 3 {
		all.Go(func() {
			if err := tracedSender(c, srv, fmt.Sprintf("s%d", i), to, n/3); err != nil {
				t.Error(err)
			}
		})
	}
	for _, changes := range []func(*server, int) error{tracedChanges, tracedState, tracedArchive} {
		all.Go(func() {
			if err := changes(srv, n/20); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	for _, s := range receivers {
		if err := s.ping(); err != nil {
			t.Error(err)
		}
		if e := s.trouble(); e != "" {
			t.Error(e)
		}
	}
}

func tracedSender(c chance, srv *server, name string, to []string, n int) error {
	r := c.of("traced", name)
	s := newSession(name, "r", habits{managed: true})
	if _, err := s.connect(srv); err != nil {
		return err
	}
	next := map[string]int{}
	for range n {
		m := message{name, to[r.IntN(len(to))], 0}
		m.n = next[m.to]
		next[m.to]++
		if err := s.send(m.xml(m.to+"@"+domain, r.IntN(4000)), nil); err != nil {
			return err
		}
		if r.IntN(5) == 0 {
			if err := s.demand(); err != nil {
				return err
			}
		}
		if s.unacked() > 60 {
			if err := s.await("acks", func() bool { return len(s.out) < 30 }); err != nil {
				return err
			}
		}
		pause(time.Duration(r.IntN(2000))*time.Microsecond, nil)
	}
	if err := s.allAcked(); err != nil {
		return err
	}
	return s.close()
}

func tracedChanges(srv *server, n int) error {
	s := newSession("s3", "r", habits{})
	if _, err := s.connect(srv); err != nil {
		return err
	}
	for i := range n {
		if err := s.setRoster(fmt.Sprintf("c%d@example.org", i), mark("r", "s3", i)); err != nil {
			return err
		}
		if i%10 == 0 {
			if err := register(srv.plain, false, mark("n", "new", i)); err != nil {
				return err
			}
		}
	}
	if e := s.trouble(); e != "" {
		return errors.New(e)
	}
	return s.close()
}

// tracedState changes what rooms, nodes and accounts keep, each time something new: what a room's people are (a), items
// (i), private XML (x), bookmarks (b). What is kept as one, a room's configuration (c) and an account's preferences (p),
// has all that was said of it so far.
func tracedState(srv *server, n int) error {
	const room = "traced@" + rooms
	s := newSession("s4", "r", habits{})
	s.other = func(e *element) bool { return !e.is(nsClient, "message") || e.attr("type") != "error" }
	if _, err := s.connect(srv); err != nil {
		return err
	}
	if err := s.send("<presence to='"+room+"/s4'><x xmlns='"+nsMUC+"'/></presence>", nil); err != nil {
		return err
	}
	pubsubs := func(payload string) string { return "<pubsub xmlns='" + nsPubSub + "'>" + payload + "</pubsub>" }
	ask := func(to, payload string) (err error) {
		_, err = s.ask(to, "set", payload)
		return err
	}
	config := form(nsPubSub+"#node_config", "pubsub#persist_items", "1", "pubsub#max_items", "1000")
	err := ask(room, "<query xmlns='"+nsMUC+"#owner'>"+form(nsMUC+"#roomconfig", "muc#roomconfig_persistentroom", "1")+"</query>")
	if err == nil {
		err = ask(pubsub, pubsubs("<create node='traced'/><configure>"+config+"</configure>"))
	}
	described, preferred := "", ""
	for i := 0; err == nil && i < n; i++ {
		switch i % 6 {
		case 0:
			err = ask(room, "<query xmlns='"+nsMUC+"#admin'><item affiliation='member' jid='"+mark("a", "s4", i)+"@example.org'/></query>")
		case 1:
			err = ask(pubsub, pubsubs("<publish node='traced'><item id='i"+fmt.Sprint(i)+"'>"+entry(mark("i", "s4", i))+"</item></publish>"))
		case 2:
			err = ask("", "<query xmlns='"+nsPrivate+"'><data xmlns='urn:stonechat:n"+fmt.Sprint(i)+"'>"+mark("x", "s4", i)+"</data></query>")
		case 3:
			err = ask("", pubsubs("<publish node='"+bookmark+"'><item id='"+fmt.Sprint(i)+"@example.org'><conference xmlns='"+bookmark+"' name='"+mark("b", "s4", i)+"'/></item></publish>"+bookmarkOptions()))
		case 4:
			described += mark("c", "s4", i) + " "
			err = ask(room, "<query xmlns='"+nsMUC+"#owner'>"+form(nsMUC+"#roomconfig", "muc#roomconfig_persistentroom", "1", "muc#roomconfig_roomdesc", described)+"</query>")
		case 5:
			preferred += "<jid>" + mark("p", "s4", i) + "@example.org</jid>"
			err = ask("", "<prefs xmlns='"+nsMAM+"' default='never'><always>"+preferred+"</always><never/></prefs>")
		}
	}
	if err != nil {
		return err
	}
	if e := s.trouble(); e != "" {
		return errors.New(e)
	}
	return s.close()
}

// tracedArchive sends messages that the sender's archive has to keep (k), or that of a room (g).
func tracedArchive(srv *server, n int) error {
	const room = "said@" + rooms
	s := newSession("s5", "r", habits{managed: true})
	s.other = func(e *element) bool { return !e.is(nsClient, "message") || e.attr("type") != "error" }
	if _, err := s.connect(srv); err != nil {
		return err
	}
	if _, err := s.ask("", "set", "<prefs xmlns='"+nsMAM+"' default='always'><always/><never/></prefs>"); err != nil {
		return err
	}
	if err := s.send("<presence to='"+room+"/s5'><x xmlns='"+nsMUC+"'/></presence>", nil); err != nil {
		return err
	}
	archiving := form(nsMUC+"#roomconfig", "muc#roomconfig_persistentroom", "1", "muc#roomconfig_enablearchiving", "1")
	if _, err := s.ask(room, "set", "<query xmlns='"+nsMUC+"#owner'>"+archiving+"</query>"); err != nil {
		return err
	}
	for i := range n {
		id := fmt.Sprintf("s5.offline.%d", i)
		xml := "<message type='chat' to='offline@" + domain + "' id='" + id + "'><body>" + id + " " + mark("k", "s5", i) + "</body></message>"
		if i%3 == 2 {
			xml = "<message type='groupchat' to='" + room + "' id='said" + fmt.Sprint(i) + "'><body>" + mark("g", "s5", i) + "</body></message>"
		}
		if err := s.send(xml, nil); err != nil {
			return err
		}
		if i%5 == 4 {
			if err := s.allAcked(); err != nil {
				return err
			}
		}
	}
	if err := s.allAcked(); err != nil {
		return err
	}
	return s.close()
}
