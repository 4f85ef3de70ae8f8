// SPDX-License-Identifier: Apache-2.0

//go:build linux

package scenario

// How to read this file: robots is the program that a maker of robots would write: many of them in one process. The scenarios are
// its cell: a foreman's room, in which he commands; and stopping all of them.

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/client"
	"github.com/stonechat-im/stonechat/thing"
	"github.com/stonechat-im/stonechat/xmpp/form"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/muc"
	"github.com/stonechat-im/stonechat/xmpp/pubsub"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

const (
	cell     = "cell1@conference.home.test"
	position = "position" // that a robot publishes
)

// robots runs robots r1 to rN in a room. Whose they are the registry tells them. Each says what it is told to do in a line, and publishes where it is so many times a second.
func robots() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	base, err := client.Environment()
	must(err)
	number, err := strconv.Atoi(os.Getenv("ROBOTS"))
	must(err)
	every, err := time.ParseDuration(os.Getenv("ROBOTS_EVERY"))
	must(err)
	var work sync.WaitGroup
	for i := range number {
		name := fmt.Sprintf("r%d", i+1)
		c := base
		c.Account = jid.MustParse(name + "@" + base.Account.Domain())
		says := func(word string) func(context.Context, map[string]thing.Value) (string, error) {
			return func(context.Context, map[string]thing.Value) (string, error) {
				fmt.Println(name, word)
				return word + "d", nil
			}
		}
		robot, err := thing.New(thing.Config{
			Client: c, Name: name, Rooms: []thing.Room{{JID: jid.MustParse(cell)}},
			Commands: []thing.Command{{Name: "pause", Title: "Pause", Do: says("pause")}, {Name: "resume", Title: "Go on", Do: says("resume")}},
			Stop: func(context.Context) error {
				fmt.Println(name, "stop", time.Now().UnixNano())
				return nil
			},
		})
		must(err)
		work.Go(func() { must(robot.Run(ctx)) })
		work.Go(func() { publish(ctx, robot.Client(), every) })
		<-time.After(20 * time.Millisecond) // they are switched on one after the other
	}
	work.Wait()
}

// publish tells where a robot is, to whoever follows that. It does not wait for answers, but for at most eight of them.
func publish(ctx context.Context, c *client.Client, every time.Duration) {
	unanswered := make(chan struct{}, 8)
	for tick := time.NewTicker(every); ; {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			item := pubsub.Item{ID: "current", Payload: fmt.Appendf(nil, "<sensml xmlns='urn:ietf:params:xml:ns:senml'><senml n='position' u='m' v='%d'/></sensml>", now.Nanosecond()/1e6)}
			unanswered <- struct{}{}
			go func() {
				_, _ = c.IQ(ctx, jid.JID{}, stanza.Set, &pubsub.Request{Publish: &pubsub.Items{Node: thing.NodeOf(position), Items: []pubsub.Item{item}}})
				<-unanswered
			}()
		}
	}
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// manufacture makes a cell of so many robots: accounts by a table, a room of the foreman's, the robots in it.
func (s *server) manufacture(number int, every time.Duration) (foreman *person, r *process) {
	s.t.Helper()
	own := s.account("foreman")
	table := "name,password,owner,group\n"
	for i := range number {
		table += fmt.Sprintf("r%d,%s,%s,cell 1\n", i+1, password, own)
	}
	s.command("thing", "import", s.write("robots.csv", table))
	foreman = s.person(own, thing.NodeOf(position)+"+notify")
	foreman.enters(cell)
	if _, err := foreman.client.IQ(s.t.Context(), jid.MustParse(cell), stanza.Set, &muc.OwnerQuery{Form: form.New(form.Submit, muc.FormConfig,
		form.Value("muc#roomconfig_whois", "anyone"), form.Bool("muc#roomconfig_persistentroom", true), form.Bool("muc#roomconfig_enablearchiving", true))}); err != nil {
		s.t.Fatal(err)
	}
	r = runProgram(s.t, "robots", append(s.environment(own), fmt.Sprintf("ROBOTS=%d", number), "ROBOTS_EVERY="+every.String())...)
	until(s.t, "the last robot", func() bool { return foreman.occupants(cell) == number+1 })
	return foreman, r
}

// enters has somebody enter a room by his name.
func (p *person) enters(room string) {
	p.t.Helper()
	if err := p.client.Send(p.t.Context(), stanza.New(stanza.Presence, stanza.Available, jid.MustParse(room+"/"+p.own.Local()), &muc.Join{})); err != nil {
		p.t.Fatal(err)
	}
	p.hears(room, "^presence normal")
}

// shouts says something in a room, and returns when.
func (p *person) shouts(room, text string) time.Time {
	p.t.Helper()
	began := time.Now()
	if err := p.client.Send(p.t.Context(), stanza.Text(stanza.Groupchat, jid.MustParse(room), text)); err != nil {
		p.t.Fatal(err)
	}
	return began
}

// occupants is how many were seen in a room.
func (p *person) occupants(room string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	seen := make(map[string]bool)
	for _, h := range p.heard {
		if h.from.Bare().String() == room && h.from.Resource() != "" && strings.HasPrefix(h.text, "presence") {
			seen[h.from.Resource()] = true
		}
	}
	return len(seen)
}

// said is how many lines of a process are so.
func (p *process) said(pattern string) (n int) {
	re := regexp.MustCompile(pattern)
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, line := range p.lines {
		if re.MatchString(line) {
			n++
		}
	}
	return n
}

// stops has the foreman stop everything, and tells how long it took until the last robot had begun to.
func (p *person) stops(r *process, number int) {
	p.t.Helper()
	began := p.shouts(cell, "stop")
	until(p.t, "the stop of all", func() bool { return r.said(`^r\d+ stop`) >= number })
	var last time.Time
	r.mu.Lock()
	names := make(map[string]bool)
	for _, line := range r.lines {
		if words := strings.Fields(line); len(words) == 3 && words[1] == "stop" {
			n, _ := strconv.ParseInt(words[2], 10, 64)
			names[words[0]] = true
			if at := time.Unix(0, n); at.After(last) {
				last = at
			}
		}
	}
	r.mu.Unlock()
	count(p.t, "robots that have stopped", len(names), number)
	figure(p.t, "from the word to the last of them", last.Sub(began), 250*time.Millisecond)
}

// TestCell: twenty robots in a room obey whoever is moderator and may, and nobody else; they publish where they are; who ordered what is
// in the room's archive; and all of them stop at a word.
func TestCell(t *testing.T) {
	const number = 20
	s := start(t, options{})
	operator := s.person(s.account("operator"))
	foreman, r := s.manufacture(number, 200*time.Millisecond)
	operator.enters(cell)

	// State is published, not said.
	const states = 25 // in 5 s
	before := foreman.followed()
	took := until(t, "the states", func() bool {
		<-time.After(20 * time.Millisecond)
		now := foreman.followed()
		for who := range now {
			if now[who]-before[who] < states {
				return false
			}
		}
		return len(now) == number
	})
	figure(t, fmt.Sprintf("%d states of each robot, five a second", states), took, 7500*time.Millisecond)
	talk := 0
	foreman.mu.Lock()
	for _, h := range foreman.heard {
		if strings.HasPrefix(h.from.Local(), "r") && !strings.HasPrefix(h.text, "presence") || h.from.Bare().String() == cell && strings.Contains(h.text, position) {
			talk++
		}
	}
	foreman.mu.Unlock()
	count(t, "messages in chats and the room about it", talk, 0)

	// Whoever is no moderator is not obeyed; who is, and may, is.
	operator.shouts(cell, "@r7 resume")
	foreman.shouts(cell, "@r7 pause")
	r.expect("^r7 pause")
	role := func(nick string, to muc.Role) {
		t.Helper()
		if _, err := foreman.client.IQ(t.Context(), jid.MustParse(cell), stanza.Set, &muc.AdminQuery{Items: []muc.Item{{Nick: nick, Role: to}}}); err != nil {
			t.Fatal(err)
		}
	}
	role("operator", muc.Moderator)
	operator.shouts(cell, "@r7 resume") // no participant any more, but the owner has not allowed it
	question, _ := foreman.hears(voice, `operator@home\.test wants to control .*r7.*Say "yes (\d+)"`)
	count(t, "commands obeyed of who may not", r.said("resume"), 0)
	foreman.asks(service, "yes "+question[1], "may control")
	until(t, "a command that is obeyed", func() bool { // when the robot has heard that it may
		operator.shouts(cell, "@r7 resume")
		<-time.After(500 * time.Millisecond)
		return r.said("^r7 resume") > 0
	})
	count(t, "others that have obeyed", r.said("pause|resume")-r.said("^r7 (pause|resume)"), 0)

	foreman.stops(r, number)

	// Sent out of the room, a robot is commanded no more.
	role("r7", muc.NoRole)
	foreman.hears(cell, "^presence unavailable")
	foreman.shouts(cell, "all pause")
	until(t, "the others' pause", func() bool { return r.said(`^r\d+ pause`) == 1+number-1 })
	count(t, "commands obeyed by one who was sent out", r.said("^r7 pause")-1, 0)

	// Who ordered what.
	orders := []string{"foreman: @r7 pause", "operator: @r7 resume", "foreman: stop", "foreman: all pause"}
	var kept []string
	for _, m := range foreman.finds(cell) {
		kept = append(kept, m.From.Resource()+": "+stanza.BodyOf(m))
	}
	count(t, "orders in the archive, each with who gave it", inOrder(orders, kept), len(orders))

	// Who comes later is told that as he enters, and how it goes on.
	inspector := s.person(s.account("inspector"))
	inspector.enters(cell)
	for _, order := range orders {
		who, words, _ := strings.Cut(order, ": ")
		inspector.hears(cell+"/"+who, "^"+words+"$")
	}
	fmt.Printf("%s: orders that who comes later is told: %d (%[2]d)\n", t.Name(), len(orders))
	foreman.shouts(cell, "@r8 resume")
	inspector.hears(cell+"/foreman", "^@r8 resume$")
	r.expect("^r8 resume")

	// Given away, a robot in the room obeys its former owner no more, moderator or not, and the next one it does.
	foreman.asks(service, "give r9 to operator@home.test", "operator@home.test has a message")
	words, _ := operator.hears(voice, `(?s)gives you .*(claim IoTDisco;\S+)`)
	operator.asks(service, words[1], "is yours")
	obeys := func(p *person, word string) bool {
		before, fence := r.said("^r9 "+word), r.said("^r10 resume")
		p.shouts(cell, "@r9 "+word)
		foreman.shouts(cell, "@r10 resume")
		until(t, "what comes behind it", func() bool { <-time.After(10 * time.Millisecond); return r.said("^r10 resume") > fence })
		<-time.After(300 * time.Millisecond) // it asks first
		return r.said("^r9 "+word) > before
	}
	figure(t, "given away in the room: its former owner's orders end after", until(t, "their end", func() bool { return !obeys(foreman, "resume") }), 5*time.Second)
	if obeys(foreman, "pause") {
		t.Error("a robot that was given away obeys whom it should not")
	}
	until(t, "what is obeyed of its owner", func() bool { return obeys(operator, "pause") })
}

// inOrder is how many of what is wanted are there, in this order; others may be between.
func inOrder(want, got []string) (n int) {
	for _, line := range got {
		if n < len(want) && line == want[n] {
			n++
		}
	}
	return n
}

// followed is how much was published by whom.
func (p *person) followed() map[jid.JID]int {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := make(map[jid.JID]int)
	for who, n := range p.events {
		if strings.HasPrefix(who.Local(), "r") {
			all[who] = n
		}
	}
	return all
}

// TestStop: a hundred robots that tell their state stop at a word.
func TestStop(t *testing.T) {
	s := start(t, options{})
	foreman, r := s.manufacture(100, time.Second)
	foreman.stops(r, 100)
}
