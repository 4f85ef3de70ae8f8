// SPDX-License-Identifier: Apache-2.0

package command_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/xmpp/command"
	"github.com/stonechat-im/stonechat/xmpp/form"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// How to read this file: entity is a thing of one command with two stages, which bears no connection; the tests are
// dialogues with it, a line each.

// entity answers requests as whoever has a connection does.
type entity struct {
	command.Sessions
	now   time.Time
	done  []string // what was carried out
	after int      // what ran behind answers
	ended int
}

func newEntity() *entity {
	e := &entity{Sessions: command.Sessions{Most: 10, OfOne: 3, Life: time.Minute, Lang: "en"}, now: time.Unix(1e9, 0)}
	e.Ended = func(n int) { e.ended += n }
	return e
}

const romeo, juliet, lamp = "romeo@d/orchard", "juliet@d/balcony", "lamp@d"

// ask is one request, by whom and to whom; c.Node is "set" unless it is said.
func (e *entity) ask(by, at string, c command.Command) (*command.Command, error) {
	if c.Node == "" {
		c.Node = "set"
	}
	x, answer, err := e.Take(e.now, jid.MustParse(by), jid.MustParse(at), &c)
	if x == nil {
		return answer, err
	}
	err = e.run(x)
	if err == nil && x.Impatient(&c) {
		if _, err = x.Submit(&c); err == nil {
			err = e.run(x)
		}
	}
	if answer, err = e.Put(x, err); err == nil {
		x.Answered()
	}
	return answer, err
}

// run carries a stage out: which lamp, how bright, then it is so.
func (e *entity) run(x *command.Execution) error {
	switch {
	case x.Node == "silent":
		return nil
	case x.Node == "forbidden":
		return stanza.Forbidden.Err("")
	case x.Stage() == 0:
		x.Ask(lamps(), command.Next, command.Complete)
	case x.Stage() == 1 && x.Action == command.Next:
		x.Note(command.Info, "the "+x.Answer("lamp"))
		f := form.New(form.Ask, "", form.Field{Var: "level", Type: form.TextSingle}, form.Field{Var: "pin", Type: form.TextPrivate})
		x.Ask(f)
	case x.Answer("level") == "200":
		return stanza.NotAcceptable.Err("too bright")
	case x.Answer("level") == "0":
		x.Fail("it is broken")
	default:
		e.done = append(e.done, x.Answer("lamp")+" "+x.Answer("level"))
		x.Then(func() { e.after++ })
		x.Add(&form.Form{Type: form.Cancel})
		x.Done(form.New(form.Result, "", form.Value("lamp", x.Answer("lamp"))))
	}
	return nil
}

// words is an answer, or an error, in short.
func words(c *command.Command, err error) string {
	if err != nil {
		e, _ := stanza.AsError(err)
		return strings.TrimSpace(string(e.Condition) + " " + string(conditionOf(e)))
	}
	s := string(c.Status)
	if c.Actions != nil {
		for _, a := range []command.Action{command.Prev, command.Next, command.Complete} {
			if c.Actions.Allows(a) {
				s += " " + string(a)
			}
		}
	}
	for _, n := range c.Notes {
		s += " (" + n.Text + ")"
	}
	if c.Form != nil {
		for _, f := range c.Form.Fields {
			s += " " + f.Var + "=" + f.First()
		}
	}
	return s
}

// dialogue is what one requester says, a request a line, and what is answered.
type dialogue []struct {
	ask  command.Command
	want string
}

func TestDialogues(t *testing.T) {
	lampForm := " lamp="
	first := "executing next complete" + lampForm
	for name, d := range map[string]dialogue{
		"both stages": {
			{command.Command{}, first},
			{command.Command{Form: filled("lamp", "hall")}, "executing prev complete (the hall) level= pin="},
			{command.Command{Form: filled("level", "5")}, "completed lamp=hall"},
			{command.Command{Form: filled("level", "5")}, "not-allowed session-expired"},
		},
		"back": {
			{command.Command{Action: command.Execute}, first},
			{command.Command{Action: command.Next, Form: filled("lamp", "hall")}, "executing prev complete (the hall) level= pin="},
			{command.Command{Action: command.Prev, Form: filled("level", "7")}, first + "hall"},
			{command.Command{Action: command.Prev}, "bad-request bad-action"},
			{command.Command{Action: command.Next, Form: filled("lamp", "stairs")}, "executing prev complete (the stairs) level= pin="},
			{command.Command{Action: command.Complete, Form: filled("level", "9")}, "completed lamp=stairs"},
		},
		"completed early": {
			{command.Command{}, first},
			{command.Command{Action: command.Complete, Form: filled("lamp", "hall")}, "completed lamp=hall"},
		},
		"bad payload, then better": {
			{command.Command{}, first},
			{command.Command{Form: filled("lamp", "cellar")}, "bad-request bad-payload"},
			{command.Command{}, "bad-request bad-payload"},
			{command.Command{Form: &form.Form{Type: form.Cancel}}, "bad-request bad-payload"},
			{command.Command{Form: filled("lamp", "hall")}, "executing prev complete (the hall) level= pin="},
			{command.Command{Form: filled("level", "200")}, "not-acceptable"},
			{command.Command{Form: filled("level", "100")}, "completed lamp=hall"},
		},
		"bad action": {
			{command.Command{Action: command.Prev}, "bad-request bad-action"},
		},
		"bad action later": {
			{command.Command{}, first},
			{command.Command{Form: filled("lamp", "hall")}, "executing prev complete (the hall) level= pin="},
			{command.Command{Action: command.Next}, "bad-request bad-action"},
		},
		"nothing to cancel": {
			{command.Command{Action: command.Cancel}, "bad-request bad-action"},
		},
		"cancelled": {
			{command.Command{}, first},
			{command.Command{Action: command.Cancel}, "canceled"},
			{command.Command{Action: command.Cancel}, "not-allowed session-expired"},
		},
		"impatient": {
			{command.Command{Action: command.Complete, Form: filled("lamp", "hall")}, "completed lamp=hall"},
		},
		"impatient in part": {
			{command.Command{Form: filled("lamp", "hall")}, "executing prev complete (the hall) level= pin="},
			{command.Command{Form: filled("level", "1")}, "completed lamp=hall"},
		},
		"impatient and wrong": {
			{command.Command{Form: filled("lamp", "cellar")}, "bad-request bad-payload"},
		},
		"completed without success": {
			{command.Command{}, first},
			{command.Command{Form: filled("lamp", "hall")}, "executing prev complete (the hall) level= pin="},
			{command.Command{Form: filled("level", "0")}, "completed (it is broken)"},
		},
		"refused":         {{command.Command{Node: "forbidden"}, "forbidden"}},
		"not carried out": {{command.Command{Node: "silent"}, "internal-server-error"}},
		"no session":      {{command.Command{Session: "x"}, "bad-request bad-sessionid"}},
		"another language": {
			{command.Command{Lang: "fr-ca"}, "bad-request bad-locale"},
		},
		"our language": {
			{command.Command{Lang: "EN-us", Action: command.Next, Form: filled("lamp", "hall")}, "executing prev complete (the hall) level= pin="},
		},
	} {
		t.Run(name, func(t *testing.T) {
			e := newEntity()
			session := ""
			for i, l := range d {
				if l.ask.Session == "" {
					l.ask.Session = session
				}
				c, err := e.ask(romeo, lamp, l.ask)
				if got := words(c, err); got != l.want {
					t.Fatalf("request %d is answered %q, want %q", i, got, l.want)
				}
				if err == nil {
					if c.Session == "" || session != "" && c.Session != session || c.Node != "set" {
						t.Fatalf("request %d is answered in the session %q of %q", i, c.Session, c.Node)
					}
					session = c.Session
				}
			}
			last := d[len(d)-1].want
			if under := strings.HasPrefix(last, "exec") || strings.Contains(last, "bad-action") && len(d) > 1; (e.Len() == 1) != under {
				t.Errorf("%d sessions are under way after %q", e.Len(), last)
			}
			if e.after != len(e.done) {
				t.Errorf("%d ran behind %d answers", e.after, len(e.done))
			}
		})
	}
}

// A session is of one requester, one responder and one command.
func TestStrangers(t *testing.T) {
	e := newEntity()
	c, err := e.ask(romeo, lamp, command.Command{})
	if err != nil {
		t.Fatal(err)
	}
	for name, ask := range map[string]func() (*command.Command, error){
		"another person":    func() (*command.Command, error) { return e.ask(juliet, lamp, command.Command{Session: c.Session}) },
		"another resource":  func() (*command.Command, error) { return e.ask("romeo@d/b", lamp, command.Command{Session: c.Session}) },
		"another responder": func() (*command.Command, error) { return e.ask(romeo, "door@d", command.Command{Session: c.Session}) },
		"another command": func() (*command.Command, error) {
			return e.ask(romeo, lamp, command.Command{Session: c.Session, Node: "get", Action: command.Cancel})
		},
		"a longer id": func() (*command.Command, error) {
			return e.ask(romeo, lamp, command.Command{Session: c.Session + "00"})
		},
	} {
		if got := words(ask()); got != "bad-request bad-sessionid" {
			t.Errorf("%s is answered %q", name, got)
		}
	}
	if got := words(e.ask(romeo, lamp, command.Command{Session: c.Session, Action: command.Cancel})); got != "canceled" {
		t.Errorf("its own is answered %q", got)
	}
}

func TestBounds(t *testing.T) {
	e := newEntity()
	begin := func(by string) (string, string) {
		c, err := e.ask(by, lamp, command.Command{})
		if err != nil {
			return "", words(nil, err)
		}
		return c.Session, ""
	}
	var of []string
	for i := range e.OfOne {
		id, _ := begin(fmt.Sprintf("romeo@d/%d", i))
		of = append(of, id)
	}
	if id, refused := begin("romeo@d/9"); refused != "" || slices.Contains(of, id) {
		t.Errorf("one more is refused with %q", refused)
	}
	if got := words(e.ask("romeo@d/0", lamp, command.Command{Session: of[0], Form: filled("lamp", "hall")})); got != "not-allowed session-expired" || e.ended != 1 {
		t.Errorf("the oldest is answered %q, %d have ended", got, e.ended)
	}
	for i := range e.Most - e.OfOne {
		if _, refused := begin(fmt.Sprintf("j%d@d/a", i)); refused != "" {
			t.Fatalf("number %d is refused with %s", i, refused)
		}
	}
	if _, refused := begin(juliet); refused != "resource-constraint" || e.ended != 2 || e.Len() != e.Most {
		t.Errorf("too many are refused with %q, %d have ended, %d are left", refused, e.ended, e.Len())
	}
	// Those that are forgotten make room; those that are used live on.
	e.now = e.now.Add(e.Life - 1)
	if got := words(e.ask("romeo@d/2", lamp, command.Command{Session: of[2], Form: filled("lamp", "cellar")})); got != "bad-request bad-payload" {
		t.Errorf("in its time: %q", got)
	}
	e.now = e.now.Add(1)
	if _, refused := begin(juliet); refused != "" || e.Len() != 2 {
		t.Errorf("after their time: %q, %d are left", refused, e.Len())
	}
	e.now = e.now.Add(e.Life)
	if got := words(e.ask("romeo@d/2", lamp, command.Command{Session: of[2]})); got != "not-allowed session-expired" || e.Len() != 0 {
		t.Errorf("after its time: %q, %d are left", got, e.Len())
	}
}

// A request that comes while the one before is carried out waits for its turn; it may cancel.
func TestBusy(t *testing.T) {
	e := newEntity()
	c, err := e.ask(romeo, lamp, command.Command{})
	if err != nil {
		t.Fatal(err)
	}
	take := func(c command.Command) (*command.Execution, string) {
		x, answer, err := e.Take(e.now, jid.MustParse(romeo), jid.MustParse(lamp), &c)
		if x != nil {
			return x, ""
		}
		return nil, words(answer, err)
	}
	x, refused := take(command.Command{Node: "set", Session: c.Session, Form: filled("lamp", "hall")})
	if x == nil {
		t.Fatal(refused)
	}
	if _, got := take(command.Command{Node: "set", Session: c.Session, Form: filled("lamp", "hall")}); got != "unexpected-request" {
		t.Errorf("another is answered %q", got)
	}
	if _, got := take(command.Command{Node: "set", Session: c.Session, Action: command.Cancel}); got != "canceled" {
		t.Errorf("its end is answered %q", got)
	}
	x.Done(nil)
	if got := words(e.Put(x, nil)); got != "completed" || e.Len() != 0 {
		t.Errorf("what was under way is answered %q, %d are left", got, e.Len())
	}
}
