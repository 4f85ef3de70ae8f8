// SPDX-License-Identifier: Apache-2.0

package command

import (
	"slices"
	"time"

	"github.com/stonechat-im/stonechat/xmpp/form"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// Execution is a command under way: what was asked, what was answered, and what comes next. Whoever carries the command
// out is called for each stage that there is something new to do at, looks at Stage and Forms, and says how to go on by
// one of Ask and Done, or by an error, after which the requester may try the stage again. Going back is not its
// business: what was asked before is asked again.
//
// It belongs to one goroutine at a time.
type Execution struct {
	Node   string
	By, At jid.JID // who wants it, and of whom
	// Forms are what the requester has filled in, one of each stage that is behind it; each is checked against what
	// was asked. An empty one is in the place of what was not sent.
	Forms []*form.Form
	// Action is what led here: Execute to the first stage, then Next, or Complete where the requester wants no more
	// of what could be left to the defaults.
	Action Action

	id      string
	lang    string
	stages  []stage // that were asked, the present one last
	result  *form.Form
	payload []stanza.Raw
	notes   []Note
	then    []func()
	said    bool // Ask or Done was called
	over    bool
	told    bool // the requester knows of it
	busy    bool // somebody carries it out now
	used    time.Time
}

// stage is what was asked at one stage.
type stage struct {
	form    *form.Form
	actions Actions
}

// Stage is how many stages are behind it: 0 at first.
func (x *Execution) Stage() int { return len(x.Forms) }

// Answer is what was filled in for a field, at the latest stage that had it, or "".
func (x *Execution) Answer(name string) string {
	for _, f := range slices.Backward(x.Forms) {
		if field := f.Field(name); field != nil {
			return field.First()
		}
	}
	return ""
}

// Ask asks the requester to fill in a form. allowed are the actions that lead on, Next or Complete or both, the
// default first; Complete without one. Whether there is a way back is known.
func (x *Execution) Ask(f *form.Form, allowed ...Action) {
	if len(allowed) == 0 {
		allowed = []Action{Complete}
	}
	s := stage{f, *Allow(allowed...)}
	s.actions.Prev = len(x.Forms) > 0
	x.stages = append(x.stages[:len(x.Forms)], s)
	x.said = true
}

// Done ends the command, with a form of type Result or nil.
func (x *Execution) Done(result *form.Form) { x.result, x.over, x.said = result, true, true }

// Fail ends a command that completes without success: text says why. XEP-0050 §3.6
func (x *Execution) Fail(text string) {
	x.Note(Error, text)
	x.Done(nil)
}

// Note adds a note to the answer.
func (x *Execution) Note(s Severity, text string) { x.notes = append(x.notes, Note{s, text}) }

// Add adds to the payload of the answer, behind its form.
func (x *Execution) Add(p stanza.Payload) {
	x.payload = append(x.payload, stanza.Raw{Name: p.XMLName(), Bytes: p.AppendXML(nil)})
}

// Then has f run when the answer is on its way: what others are told of the command comes behind it.
func (x *Execution) Then(f func()) { x.then = append(x.then, f) }

// Answered runs what was left for after the answer. Whoever sends the answer calls it.
func (x *Execution) Answered() {
	then := x.then
	x.then = nil
	for _, f := range then {
		f()
	}
}

// Impatient reports whether the first request brought what its form would have asked for: the requester knows the command,
// and is not asked.
func (x *Execution) Impatient(c *Command) bool {
	return c.Session == "" && c.Form != nil && !x.over && len(x.Forms) == 0 && len(x.stages) == 1
}

// Submit takes the requester's next step from the present stage: it checks what was sent. again is true
// where there is nothing to be carried out: the stage before is asked again. The error is a *stanza.Error.
func (x *Execution) Submit(c *Command) (again bool, err error) {
	now := &x.stages[len(x.stages)-1]
	action, ok := now.actions.Resolve(c.Action)
	if !ok {
		return false, Err(BadAction, "that is not possible at this stage")
	}
	if action == Prev {
		last := x.Forms[len(x.Forms)-1]
		x.Forms = x.Forms[:len(x.Forms)-1]
		x.stages = x.stages[:len(x.stages)-1]
		x.stages[len(x.stages)-1].remember(last)
		x.said = true
		return true, nil
	}
	f := c.Form
	if f == nil {
		f = &form.Form{Type: form.Submit}
	} else if f.Type == form.Cancel { // XEP-0050 §3.5.1
		f.Type = form.Submit
	}
	if now.form != nil {
		if err := now.form.Validate(f); err != nil {
			e, _ := stanza.AsError(err)
			return false, Err(BadPayload, e.Text)
		}
	}
	x.Forms, x.Action, x.said = append(x.Forms, f), action, false
	return false, nil
}

// remember puts what was filled in into the form that asks for it once more. XEP-0050 §2.4.2
func (s *stage) remember(filled *form.Form) {
	if s.form == nil {
		return
	}
	f := *s.form
	f.Fields = slices.Clone(f.Fields)
	for i := range f.Fields {
		field := &f.Fields[i]
		if field.Type == form.Fixed || field.Type == form.Hidden || field.Type == form.TextPrivate {
			continue
		}
		if was := filled.Field(field.Var); was != nil && field.Var != "" {
			field.Values = was.Values
		}
	}
	s.form = &f
}

// retry takes back a step that could not be carried out, so that the requester can take it again.
func (x *Execution) retry() {
	if len(x.Forms) > 0 && len(x.Forms) == len(x.stages) {
		x.Forms = x.Forms[:len(x.Forms)-1]
	}
}

// answer is what the requester is told.
func (x *Execution) answer() *Command {
	c := &Command{Node: x.Node, Session: x.id, Lang: x.lang, Notes: x.notes, Payload: x.payload}
	x.notes, x.payload, x.told = nil, nil, true
	if x.over {
		c.Status, c.Form = Completed, x.result
		return c
	}
	now := x.stages[len(x.stages)-1]
	c.Status, c.Form, c.Actions = Executing, now.form, &now.actions
	return c
}
