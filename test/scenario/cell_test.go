// SPDX-License-Identifier: Apache-2.0

//go:build linux

package scenario

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/client"
	"github.com/stonechat-im/stonechat/thing"
	"github.com/stonechat-im/stonechat/xmpp/form"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/mam"
	"github.com/stonechat-im/stonechat/xmpp/muc"
	"github.com/stonechat-im/stonechat/xmpp/pubsub"
	"github.com/stonechat-im/stonechat/xmpp/rsm"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// position is what robots publish.
const position = "position"

// publish tells where a robot is, to whoever follows that. It does not wait for answers, but for at most eight of them.
func publish(ctx context.Context, c *client.Client, every time.Duration) {
	unanswered := make(chan struct{}, 8)
	for tick := time.NewTicker(every); ; {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			item := pubsub.Item{ID: "current", Payload: fmt.Appendf(nil,
				"<sensml xmlns='urn:ietf:params:xml:ns:senml'><senml n='position' u='m' v='%d'/></sensml>", now.Nanosecond()/1e6)}
			unanswered <- struct{}{}
			go func() {
				_, _ = c.IQ(ctx, jid.JID{}, stanza.Set, &pubsub.Request{Publish: &pubsub.Items{Node: thing.NodeOf(position), Items: []pubsub.Item{item}}})
				<-unanswered
			}()
		}
	}
}

// TestCell: twenty robots tell their state five times a second to whoever follows them, and nobody in the room about it; where a room shows
// who somebody is, a moderator needs the owner's consent as well; all twenty stop at a word; who ordered what is in the archive.
func TestCell(t *testing.T) {
	s := start(t, options{more: "limits: {unauthenticated_connections_per_address: 2000}\n"})
	boss := s.account("foreman")
	table := "name,password,owner,group\n"
	for i := range cell {
		table += fmt.Sprintf("r%d,%s,%s,cell 1\n", i+1, password, boss)
	}
	s.command("thing", "import", s.write("robots.csv", table))
	foreman, operator := s.person(boss, thing.NodeOf(position)+"+notify"), s.person(s.account("operator"))
	room := jid.MustParse("cell1@conference.home.test")
	foreman.enters(room)
	foreman.changes(room, &muc.OwnerQuery{Form: form.New(form.Submit, muc.FormConfig, form.Value("muc#roomconfig_whois", "anyone"),
		form.Bool("muc#roomconfig_persistentroom", true), form.Bool("muc#roomconfig_enablearchiving", true))})
	operator.enters(room)
	robots := program(t, "robots", append(s.environment(boss), "ROOM="+room.String(), fmt.Sprintf("ROBOTS=%d", cell), "ROBOTS_EVERY=200ms")...)
	until(t, "every robot in the room", func() bool { return foreman.sees(room) == cell+2 })

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
		return len(now) == cell
	})
	figure(t, fmt.Sprintf("%d states of each robot, five a second", states), took, 7500*time.Millisecond)
	talk := 0
	foreman.mu.Lock()
	for _, h := range foreman.heard {
		if !strings.HasPrefix(h.text, "presence") && !strings.HasPrefix(h.text, "<event ") && (strings.HasPrefix(h.from.Local(), "r") || h.from.Bare() == room && strings.Contains(h.text, position)) {
			talk++
		}
	}
	foreman.mu.Unlock()
	count(t, "messages in chats and the room about it", talk, 0)

	// A moderator whom the owner has not allowed to control a robot does not; the owner is asked.
	foreman.changes(room, &muc.AdminQuery{Items: []muc.Item{{Nick: "operator", Role: muc.Moderator}}})
	operator.says(room, "@r7 pause")
	question, _ := foreman.hears(service, `operator@home\.test wants to control .*r7.*Say "yes (\d+)"`)
	foreman.says(room, "@r8 pause")
	robots.expect("^r8 paused$")
	count(t, "commands obeyed of who may not", robots.said("^r7 paused$"), 0)
	foreman.asks(service, "yes "+question[1], "may control")
	until(t, "a command that is obeyed", func() bool { // as soon as the robot has heard that it may
		operator.says(room, "@r7 pause")
		<-time.After(200 * time.Millisecond)
		return robots.said("^r7 paused$") > 0
	})

	began := time.Now()
	operator.says(room, "stop")
	stopped := make(map[string]bool)
	var last time.Duration
	for range cell {
		m := robots.expect(`^(r\d+) stopped (\d+)$`)
		stopped[m[1]] = true
		last = max(last, nanoseconds(t, m[2]).Sub(began))
	}
	count(t, "robots that have stopped", len(stopped), cell)
	figure(t, "an emergency stop, while they tell their state", last, atOnce)

	// Who ordered what.
	if _, err := foreman.client.IQ(t.Context(), room, stanza.Set, &mam.Query{QueryID: "q", Set: &rsm.Set{}}); err != nil {
		t.Fatal(err)
	}
	for _, order := range []string{"operator.*@r7 pause", "foreman.*@r8 pause", "operator.*stop"} {
		re := regexp.MustCompile(room.String() + "/" + order)
		until(t, "from the archive "+order, func() bool {
			foreman.mu.Lock()
			defer foreman.mu.Unlock()
			return re.MatchString(foreman.pages)
		})
	}
}

// followed is how much was published, by whom.
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
