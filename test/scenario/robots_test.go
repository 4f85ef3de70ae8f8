// SPDX-License-Identifier: Apache-2.0

//go:build linux

package scenario

// How to read this file: TestRobots is the story, a hall and its foreman; the robots are the test's own program once more, which then
// is what a maker of robots would write with package thing (robots), a hundred in one process.

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/client"
	"github.com/stonechat-im/stonechat/thing"
	"github.com/stonechat-im/stonechat/xmpp/form"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/muc"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

const (
	hall   = 100 // robots of a hall, and one that is sent out of it
	cell   = 20  // those of one cell
	atOnce = 250 * time.Millisecond
)

// TestRobots: robots in a room obey its moderators and nobody else, by name, all, and all at once.
func TestRobots(t *testing.T) {
	s := start(t, options{more: "limits: {unauthenticated_connections_per_address: 2000}\n"})
	boss := s.account("foreman")
	foreman, worker := s.person(boss), s.person(s.account("worker"))
	file := new(strings.Builder)
	file.WriteString("name,password,owner\n")
	for i := range hall + 1 {
		fmt.Fprintf(file, "r%d,%s,%s\n", i+1, password, boss)
	}
	s.command("thing", "import", s.write("robots.csv", file.String()))

	room := jid.MustParse("cell1@conference.home.test")
	foreman.enters(room)
	foreman.opens(room)
	robots := program(t, "robots", append(s.environment(boss), "ROOM="+room.String(), fmt.Sprintf("ROBOTS=%d", hall+1))...)
	worker.enters(room)
	until(t, "every robot in the room", func() bool { return foreman.sees(room) == hall+3 && worker.sees(room) == hall+3 })
	worker.says(room, "@r7 pause")
	foreman.says(room, "@r7 pause")
	robots.expect("^r7 paused$")
	foreman.says(room, "@r8 pause")
	robots.expect("^r8 paused$")
	count(t, "what the worker has moved", robots.said("^r7 paused$")-1, 0)

	// To be sent out of the room ends it.
	foreman.changes(room, &muc.AdminQuery{Items: []muc.Item{{Nick: "r7", Role: muc.NoRole}}})
	foreman.says(room, "@r7 pause")
	foreman.says(room, "@r9 pause")
	robots.expect("^r9 paused$")
	count(t, "what a robot outside the room has heard", robots.said("^r7 paused$")-1, 0)

	// The worker stops nothing; the foreman stops all.
	worker.says(room, "stop")
	foreman.says(room, "@r9 pause")
	robots.expect("^r9 paused$")
	count(t, "stopped by the worker", robots.said("^r[0-9]+ stopped"), 0)
	began := time.Now()
	foreman.says(room, "stop")
	var last, lastOfCell time.Duration
	for range hall {
		m := robots.expect(`^r(\d+) stopped (\d+)$`)
		took := nanoseconds(t, m[2]).Sub(began)
		last = max(last, took)
		if n, _ := strconv.Atoi(m[1]); n <= cell+1 { // r7 is out
			lastOfCell = max(lastOfCell, took)
		}
	}
	figure(t, fmt.Sprintf("an emergency stop at %d robots", cell), lastOfCell, atOnce)
	figure(t, fmt.Sprintf("an emergency stop at %d robots", hall), last, atOnce)

	// Who comes later is told who has ordered what.
	late := s.person(s.account("inspector"))
	late.enters(room)
	for _, said := range []string{"worker: @r7 pause", "foreman: @r7 pause", "foreman: @r8 pause", "worker: stop", "foreman: stop"} {
		nick, words, _ := strings.Cut(said, ": ")
		late.hearsIn(room, nick, "^"+words+"$")
	}
}

// robots is the program: things r1 to r$ROBOTS, each with a connection of its own, in the room $ROOM. Each publishes where it is every
// $ROBOTS_EVERY, if that is given.
func robots() error {
	c, err := client.Environment()
	if err != nil {
		return err
	}
	number, err := strconv.Atoi(os.Getenv("ROBOTS"))
	if err != nil {
		return err
	}
	every, _ := time.ParseDuration(os.Getenv("ROBOTS_EVERY")) // 0: never
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	ended := make(chan error, number)
	for i := range number {
		name := fmt.Sprintf("r%d", i+1)
		own := c
		own.Account = jid.MustParse(name + "@" + c.Account.Domain())
		robot, err := thing.New(thing.Config{
			Client: own, Owner: c.Account, Rooms: []thing.Room{{JID: jid.MustParse(os.Getenv("ROOM"))}},
			Commands: []thing.Command{{Name: "pause", Do: func(context.Context, map[string]thing.Value) (string, error) {
				fmt.Println(name, "paused")
				return "paused", nil
			}}},
			Stop: func(context.Context) error {
				fmt.Println(name, "stopped", time.Now().UnixNano())
				return nil
			},
		})
		if err != nil {
			return err
		}
		go func() { ended <- robot.Run(ctx) }()
		if every > 0 {
			go publish(ctx, robot.Client(), every)
		}
	}
	for range number {
		err = errors.Join(err, <-ended)
	}
	return err
}

// nanoseconds is the time that a robot says.
func nanoseconds(t *testing.T, s string) time.Time {
	t.Helper()
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return time.Unix(0, n)
}

// enters goes into a room, under the name of the account.
func (p *person) enters(room jid.JID) {
	p.t.Helper()
	to, err := room.WithResource(p.own.Local())
	if err == nil {
		err = p.client.Send(p.t.Context(), stanza.New(stanza.Presence, stanza.Available, to, new(muc.Join)))
	}
	if err != nil {
		p.t.Fatal(err)
	}
	until(p.t, "entering the room", func() bool { return p.sees(room) > 0 })
}

// opens makes a new room one that others may enter, and that is kept.
func (p *person) opens(room jid.JID) {
	p.t.Helper()
	f := form.New(form.Submit, muc.FormConfig, form.Value("muc#roomconfig_persistentroom", "1"), form.Value("muc#roomconfig_enablelogging", "1"))
	p.changes(room, &muc.OwnerQuery{Form: f})
}

// changes asks a room for a change.
func (p *person) changes(room jid.JID, change stanza.Payload) {
	p.t.Helper()
	if _, err := p.client.IQ(p.t.Context(), room, stanza.Set, change); err != nil {
		p.t.Fatal(err)
	}
}

// sees is how many occupants of a room are there.
func (p *person) sees(room jid.JID) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	there := make(map[string]bool)
	for _, h := range p.heard {
		if h.from.Bare() == room && strings.HasPrefix(h.text, "presence ") {
			there[h.from.Resource()] = h.text == "presence "+stanza.Available.String()
		}
	}
	n := 0
	for _, is := range there {
		if is {
			n++
		}
	}
	return n
}

// says says something in a room, and waits until it is told.
func (p *person) says(room jid.JID, text string) {
	p.t.Helper()
	if err := p.client.Send(p.t.Context(), stanza.Text(stanza.Groupchat, room, text)); err != nil {
		p.t.Fatal(err)
	}
	p.hearsIn(room, p.own.Local(), "^"+text+"$")
}

// hearsIn waits for what an occupant says.
func (p *person) hearsIn(room jid.JID, nick, pattern string) {
	p.t.Helper()
	until(p.t, nick+" to say "+pattern, func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		for i := range p.heard {
			h := &p.heard[i]
			if !h.used && h.from.Bare() == room && h.from.Resource() == nick && regexp.MustCompile(pattern).MatchString(h.text) {
				h.used = true
				return true
			}
		}
		return false
	})
}
