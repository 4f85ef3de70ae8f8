// SPDX-License-Identifier: Apache-2.0

package thing_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stonechat-im/stonechat/internal/testserver"
	"github.com/stonechat-im/stonechat/thing"
	"github.com/stonechat-im/stonechat/xmpp/muc"
)

const noRoom = "<iq id='%s' type='error'><error type='wait'><resource-constraint xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"

// A field for which the server has no room keeps the others from being published for a time only, once, and is published when there is room.
func TestPublishNoRoom(t *testing.T) {
	for name, tell := range map[string]thing.Telling{"alone": thing.ToFollowers, "beside messages": thing.ToOwner | thing.ToFollowers} {
		t.Run(name, func(t *testing.T) {
			inLab(t, func(t *testing.T, l *lab) {
				l.config.Client.Keepalive, l.config.Client.AnswerTime = 100*time.Hour, 100*time.Hour
				l.config.Tell = tell
				p := l.start(t)
				full := true
				// until answers what is published until a value is, and says how often temperature was refused meanwhile, and how long it took.
				until := func(field, value string) (refused int, took time.Duration) {
					t.Helper()
					begun := time.Now()
					for time.Since(begun) < 3*time.Hour {
						s := next(p)
						if strings.HasPrefix(s, "<message") {
							continue
						}
						id, node, values := published(t, s)
						if full && node == thing.NodeOf("temperature") {
							refused++
							p.Say(noRoom, id)
							continue
						}
						p.Say("<iq id='%s' type='result'/>", id)
						if node == thing.NodeOf(field) && slices.Contains(values, value) {
							return refused, time.Since(begun)
						}
					}
					t.Fatalf("%s is not %s for hours", field, value)
					return 0, 0
				}
				report := func(fields ...thing.Field) {
					t.Helper()
					if err := l.thing.Report(fields...); err != nil {
						t.Fatal(err)
					}
					synctest.Wait()
				}
				level := func(n float64) thing.Field { return thing.Field{Name: "level", Value: thing.Number(n)} }
				report(temperature(1), level(1))
				report(temperature(2), level(2))
				if refused, took := until("level", "2"); refused < 3 || took < 10*time.Minute || took > 20*time.Minute {
					t.Errorf("the other is published after %s, this one refused %d times", took, refused)
				}
				report(temperature(3), level(3))
				report(temperature(4), level(4))
				if _, took := until("level", "4"); took > time.Minute {
					t.Errorf("the other is published after %s, when it is known that there is no room", took)
				}
				full = false
				report(temperature(5))
				if _, took := until("temperature", "5"); took > time.Minute {
					t.Errorf("where there is room it is published after %s", took)
				}
				full = true
				report(temperature(6))
				publishes := func() (id string, values []string) {
					t.Helper()
					s := next(p)
					for strings.HasPrefix(s, "<message") {
						s = next(p)
					}
					id, _, values = published(t, s)
					return id, values
				}
				id, _ := publishes()
				p.Say(noRoom, id)
				<-time.After(time.Minute)
				p.Say("<iq %s id='fence' type='get'><ping xmlns='urn:xmpp:ping'/></iq>", fromOwner)
				again, values := publishes() // it is tried again, since there was room
				if !slices.Equal(values, []string{"6"}) {
					t.Errorf("published %v", values)
				}
				p.Say("<iq id='%s' type='result'/>", again)
				go func() { _ = p.End() }()
				if err := l.thing.Sync(t.Context()); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// What was published for one owner is deleted also where the thing ends before that, and once.
func TestPublishedAndGivenOutlivesPowerCut(t *testing.T) {
	folder, whole := t.TempDir(), t
	lists := func(p *testserver.Peer, id, items string) {
		p.Say("<iq id='%s' from='juliet@example.org' type='result'><query xmlns='http://jabber.org/protocol/disco#items'>%s</query></iq>", id, items)
	}
	for i, step := range []func(t *testing.T, l *lab, p *testserver.Peer){
		func(t *testing.T, l *lab, p *testserver.Peer) {
			if err := l.thing.Report(temperature(37)); err != nil {
				t.Fatal(err)
			}
			id, _, _ := published(t, next(p))
			p.Say("<iq id='%s' type='result'/>", id)
			p.Say("<iq from='things.example.org' id='n' type='set'><claimed xmlns='urn:xmpp:iot:discovery' jid='romeo@example.org'/></iq>")
			passed(p) // and the power goes
		},
		func(t *testing.T, _ *lab, p *testserver.Peer) {
			synctest.Wait()
			p.Say("<iq from='romeo@example.org/x' id='fence' type='get'><ping xmlns='urn:xmpp:ping'/></iq>")
			id := p.Expect(asksItems)[1]
			p.Expect("<iq .*id='fence'.*")
			lists(p, id, "<item jid='juliet@example.org' node='"+thing.NodeOf("temperature")+"'/>")
			id = p.Expect("<iq id='([^']+)' type='set'><pubsub xmlns='http://jabber.org/protocol/pubsub#owner'><delete node='urn:ietf:params:xml:ns:senml#temperature'/></pubsub></iq>")[1]
			p.Say("<iq id='%s' type='result'/>", id)
			lists(p, p.Expect(asksItems)[1], "")
			synctest.Wait()
		},
		func(t *testing.T, l *lab, p *testserver.Peer) {
			if err := l.thing.Report(temperature(20)); err != nil {
				t.Fatal(err)
			}
			id, _, values := published(t, next(p))
			if !slices.Equal(values, []string{"20"}) {
				t.Errorf("published %v", values)
			}
			p.Say("<iq id='%s' type='result'/>", id)
		},
	} {
		t.Run(fmt.Sprint("start ", i), func(t *testing.T) {
			inLab(t, func(t *testing.T, l *lab) {
				l.config.Tell, l.config.State = thing.ToFollowers, folder
				p := l.start(t)
				step(t, l, p)
				folder = powerCut(whole, folder)
				p.Drop()
			})
		})
	}
}

// What could not be published before the end, and is tried once more then, is told in rooms once.
func TestPublishedInRoomsOnce(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.config.Tell = thing.ToFollowers
		l.config.Rooms = []thing.Room{{JID: roomAddress, Role: muc.Moderator, Report: true}}
		p := l.start(t)
		inHome(p)
		synctest.Wait()
		if err := l.thing.Report(temperature(37)); err != nil {
			t.Fatal(err)
		}
		p.Expect("<message to='robots@rooms.example.org' .*<body>temperature 37 °C</body>.*")
		published(t, next(p)) // of which there is no answer
		l.cancel()
		id, _, values := published(t, next(p))
		if !slices.Equal(values, []string{"37"}) {
			t.Errorf("published %v", values)
		}
		p.Say("<iq id='%s' type='result'/>", id)
		go func() { _ = p.End() }()
	})
}

// What was being measured for one owner when the thing became another's is told to neither.
func TestMeasuredForFormer(t *testing.T) {
	for _, tell := range []thing.Telling{thing.ToOwner, thing.ToFollowers, thing.ToOwner | thing.ToFollowers} {
		inLab(t, func(t *testing.T, l *lab) {
			l.config.Tell = tell
			l.config.Client.Keepalive, l.config.Client.AnswerTime = 10*time.Hour, 10*time.Hour
			measured := make(chan float64)
			l.config.Every = time.Minute
			l.config.Read = func(ctx context.Context) ([]thing.Field, error) {
				select {
				case n := <-measured:
					return []thing.Field{temperature(n)}, nil
				case <-ctx.Done():
					return nil, ctx.Err()
				}
			}
			p := l.start(t)
			synctest.Wait()
			p.Say("<iq from='things.example.org' id='n' type='set'><claimed xmlns='urn:xmpp:iot:discovery' jid='romeo@example.org'/></iq>")
			if tell == thing.ToOwner {
				p.Expect("<iq to='things.example.org' id='n' type='result'/>")
			} else {
				p.Say("<iq id='%s' from='juliet@example.org' type='result'><query xmlns='http://jabber.org/protocol/disco#items'/></iq>", passed(p))
			}
			synctest.Wait()
			measured <- 98989 // digits that are in no id
			measured <- 90909
			told := 1
			if tell == thing.ToOwner|thing.ToFollowers {
				told = 2
			}
			for range told {
				s := next(p)
				if strings.Contains(s, "98989") || !strings.Contains(s, "90909") {
					t.Errorf("the next owner is told %s", s)
				}
				if strings.HasPrefix(s, "<iq") {
					p.Say("<iq id='%s' type='result'/>", between(s, "id='", "'"))
				}
			}
			p.Say("<iq from='romeo@example.org/x' id='q' type='get'><req xmlns='urn:xmpp:iot:sensordata' seqnr='1' historical='true'/></iq>")
			p.Expect("<iq .*<accepted .*")
			if s := next(p); strings.Contains(s, "98989") {
				t.Errorf("the next owner reads %s", s)
			}
			go func() { _ = p.End() }()
		})
	}
}
