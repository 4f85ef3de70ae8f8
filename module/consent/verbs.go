// SPDX-License-Identifier: Apache-2.0

package consent

// How to read this file: the verbs, each a function that is told the words behind it; then what words mean: a thing, a subject,
// names.

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/server/chat"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// verb is what one does, for its owner.
type verb func(ctx context.Context, owner jid.JID, args []string) (string, error)

func (m *Module) addVerbs() {
	for _, v := range []struct {
		name, usage, help string
		do                verb
	}{
		{"questions", "", "lists what you are asked about your things", m.sayQuestions},
		{"yes", "N [NAME…] [for caller|domain|group:NAME|token:TOKEN|all]", "allows what question N asks", m.sayYes},
		{"no", "N [NAME…] [for caller|domain|group:NAME|all]", "forbids what question N asks", m.sayNo},
		{"rules", "[THING|N]", "lists what you have decided, about a thing or by its number", m.sayRules},
		{"allow", "ADDRESS|DOMAIN|group:NAME|token:TOKEN|all to see|read|control|use THING [NAME…]", "lets somebody see, read or control a thing, or use it, which is to read and to control it", m.sayAllow},
		{"forbid", "ADDRESS|DOMAIN|group:NAME|all to see|read|control|use THING [NAME…]", "the same, forbidden", m.sayForbid},
		{"revoke", "N", "takes rule N back", m.sayRevoke},
		{"refusals", "[THING]", "lists who was refused what", m.sayRefusals},
	} {
		m.service.Verb(chat.Verb{Name: v.name, Usage: v.usage, Help: v.help, Do: func(_ *server.Turn, msg *chat.Message, args []string) (string, error) {
			return v.do(context.Background(), msg.Who(), args)
		}})
	}
}

// listed is how many lines an answer has.
const listed = 50

func (m *Module) sayQuestions(ctx context.Context, owner jid.JID, args []string) (string, error) {
	if len(args) > 0 {
		return "", chat.ErrUsage
	}
	list, err := m.store.Questions(ctx, owner, 0, listed)
	if err != nil {
		return "", err
	}
	if len(list) == 0 {
		return "Nobody asks.", nil
	}
	b := new(strings.Builder)
	for i := range list {
		q := &list[i]
		fmt.Fprintf(b, "%d: %s wants to %s (%s)\n", q.Number, q.Caller, does(q.Right, q.Names, m.name(ctx, q.Thing)), stamp(q.Asked))
	}
	b.WriteString("Say \"yes N\" or \"no N\".")
	return b.String(), nil
}

func (m *Module) sayYes(ctx context.Context, owner jid.JID, args []string) (string, error) {
	return m.sayAnswer(ctx, owner, args, true)
}

func (m *Module) sayNo(ctx context.Context, owner jid.JID, args []string) (string, error) {
	return m.sayAnswer(ctx, owner, args, false)
}

// sayAnswer is yes and no.
func (m *Module) sayAnswer(ctx context.Context, owner jid.JID, args []string, allow bool) (string, error) {
	n, ok := number(args)
	if !ok {
		return "", chat.ErrUsage
	}
	names := args[1:]
	var subject *store.Subject
	if i := slices.Index(names, "for"); i >= 0 {
		if len(names) != i+2 {
			return "", chat.ErrUsage
		}
		q, err := m.store.Question(ctx, owner, n)
		if errors.Is(err, store.ErrNotFound) {
			return "", stanza.ItemNotFound.Err(fmt.Sprintf("there is no question %d", n))
		}
		if err != nil {
			return "", err
		}
		if subject, ok = subjectOf(names[i+1], q.Caller); !ok {
			return "", chat.ErrUsage
		}
		names = names[:i]
	}
	r, shadow, err := m.answer(ctx, owner, n, allow, names, subject)
	if err != nil {
		return "", err
	}
	return m.said(ctx, &r, shadow), nil
}

// subjectOf is whom an answer is for.
func subjectOf(word string, caller jid.JID) (*store.Subject, bool) {
	switch word {
	case "caller":
		return &store.Subject{Kind: store.SubjectCaller, Name: caller.String()}, true
	case "domain":
		return &store.Subject{Kind: store.SubjectDomain, Name: caller.Domain()}, true
	}
	if s, err := subject(word); err == nil && (s.Kind == store.SubjectAll || s.Kind == store.SubjectGroup || s.Kind == store.SubjectToken) {
		return &s, true
	}
	return nil, false
}

// said is a rule that was made, in words.
func (m *Module) said(ctx context.Context, r *store.Rule, shadow int64) string {
	text := fmt.Sprintf("%s. \"revoke %d\" takes that back.", m.inWords(ctx, r), r.Number)
	if shadow != 0 {
		text += fmt.Sprintf(" But rule %d forbids all of it to the same, and goes before: \"revoke %d\" first.", shadow, shadow)
	}
	return text
}

// inWords is a rule as people read it.
func (m *Module) inWords(ctx context.Context, r *store.Rule) string {
	may := " may "
	if !r.Allow {
		may = " may not "
	}
	who := whom(r.Subject)
	if r.Subject.Kind == store.SubjectToken {
		who = m.holder(ctx, r.Subject.Name)
	}
	return who + may + does(r.Right, r.Names, m.name(ctx, r.Thing))
}

func whom(s store.Subject) string {
	switch s.Kind {
	case store.SubjectGroup:
		return "Your group \"" + s.Name + "\""
	case store.SubjectDomain:
		return "Everybody at " + s.Name
	case store.SubjectAll:
		return "Everybody"
	default:
		return s.Name
	}
}

// name is what a thing is called, its address where that cannot be read.
func (m *Module) name(ctx context.Context, n store.ThingName) string {
	return called(n, m.label(ctx, n))
}

// label is what its owner calls a thing, "" where that cannot be read.
func (m *Module) label(ctx context.Context, n store.ThingName) string {
	_, label, err := m.things.Thing(ctx, n.JID, n.ThingNode)
	if err != nil {
		return ""
	}
	return label
}

func (m *Module) sayRules(ctx context.Context, owner jid.JID, args []string) (string, error) {
	var of *store.ThingName
	switch len(args) {
	case 0:
	case 1:
		n, err := m.find(ctx, owner, args[0])
		if number, is := number(args); err != nil && is {
			return m.sayNumber(ctx, owner, number)
		}
		if err != nil {
			return "", err
		}
		of = &n
	default:
		return "", chat.ErrUsage
	}
	list, err := m.rulesOf(ctx, owner, of)
	if err != nil {
		return "", err
	}
	if len(list) == 0 {
		return "There are no rules: nobody but you may do anything.", nil
	}
	b := new(strings.Builder)
	for i := range list {
		if i == listed {
			b.WriteString("There are more: \"rules THING\" lists those about a thing.\n")
			break
		}
		fmt.Fprintf(b, "%d: %s\n", list[i].Number, m.inWords(ctx, &list[i]))
	}
	b.WriteString("All else is refused, and you are asked.")
	return b.String(), nil
}

// sayNumber says what a number stands for: rules and questions have one row of them.
func (m *Module) sayNumber(ctx context.Context, owner jid.JID, n int64) (string, error) {
	list, err := m.store.OwnerRules(ctx, owner, n-1, 1)
	if err != nil {
		return "", err
	}
	if len(list) > 0 && list[0].Number == n {
		r := &list[0]
		return fmt.Sprintf("%d: %s. You said so at %s. \"revoke %d\" takes that back.", n, m.inWords(ctx, r), stamp(r.Created), n), nil
	}
	switch q, err := m.store.Question(ctx, owner, n); {
	case err == nil:
		return fmt.Sprintf("%d is a question. %s", n, m.asks(&q, m.label(ctx, q.Thing))), nil
	case !errors.Is(err, store.ErrNotFound):
		return "", err
	}
	return "", stanza.ItemNotFound.Err(fmt.Sprintf("there is no rule, nor a question, %d", n))
}

// rulesOf are the owner's, all of them or of one thing.
func (m *Module) rulesOf(ctx context.Context, owner jid.JID, of *store.ThingName) (list []store.Rule, err error) {
	if of == nil {
		return m.store.OwnerRules(ctx, owner, 0, listed+1)
	}
	all, _, err := m.store.ThingRules(ctx, of.JID)
	for _, r := range all {
		if r.Owner == owner && (r.Thing == *of || of.ThingNode == store.ThingNode{}) {
			list = append(list, r)
		}
	}
	return list, err
}

func (m *Module) sayAllow(ctx context.Context, owner jid.JID, args []string) (string, error) {
	return m.sayRule(ctx, owner, args, true)
}

func (m *Module) sayForbid(ctx context.Context, owner jid.JID, args []string) (string, error) {
	return m.sayRule(ctx, owner, args, false)
}

// sayRule is allow and forbid.
func (m *Module) sayRule(ctx context.Context, owner jid.JID, args []string, allow bool) (string, error) {
	if len(args) > 2 && strings.EqualFold(args[1], "to") {
		args = slices.Delete(slices.Clone(args), 1, 2)
	}
	if len(args) < 3 {
		return "", chat.ErrUsage
	}
	r := store.Rule{Owner: owner, Allow: allow, Names: args[3:]}
	var err error
	if r.Subject, err = subject(args[0]); err != nil {
		return "", err
	}
	switch strings.ToLower(args[1]) {
	case "see", "friend":
		r.Right, r.Names = store.RightFriend, nil
	case "read":
		r.Right = store.RightRead
	case "control", "set":
		r.Right = store.RightControl
	case "use":
		r.Right = store.RightUse
	default:
		return "", chat.ErrUsage
	}
	if r.Thing, err = m.find(ctx, owner, args[2]); err != nil {
		return "", err
	}
	made, shadow, err := m.decree(ctx, r, 0)
	if err != nil {
		return "", err
	}
	return m.said(ctx, &made, shadow), nil
}

func (m *Module) sayRevoke(ctx context.Context, owner jid.JID, args []string) (string, error) {
	n, ok := number(args)
	if !ok || len(args) != 1 {
		return "", chat.ErrUsage
	}
	r, err := m.revoke(ctx, owner, n)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("Rule %d is gone: %s.", n, m.inWords(ctx, &r)), nil
}

func (m *Module) sayRefusals(ctx context.Context, owner jid.JID, args []string) (string, error) {
	if len(args) > 1 {
		return "", chat.ErrUsage
	}
	var list []store.Refusal
	var err error
	if len(args) == 1 {
		var n store.ThingName
		if n, err = m.find(ctx, owner, args[0]); err == nil {
			list, err = m.refusalsOf(ctx, owner, n.JID, listed)
		}
	} else {
		list, err = m.allRefusals(ctx, owner)
	}
	if err != nil {
		return "", err
	}
	if len(list) == 0 {
		return "Nobody was refused anything.", nil
	}
	b := new(strings.Builder)
	for i := range list {
		b.WriteString(m.refused(ctx, &list[i]) + "\n")
	}
	return strings.TrimSuffix(b.String(), "\n"), nil
}

// refused is a refusal in words.
func (m *Module) refused(ctx context.Context, r *store.Refusal) string {
	names := ""
	for i, x := range r.Names {
		names += [2]string{", ", ": "}[b2i(i == 0)] + printable(x)
	}
	times := ""
	if r.Count > 1 {
		times = fmt.Sprintf(", %d times", r.Count)
	}
	return fmt.Sprintf("%s: %s at %s by %s%s%s", stamp(r.Last), r.Caller, m.name(ctx, r.Thing), r.Way, names, times)
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// refusalsOf are the latest of an account's, as far as what they are about is the owner's.
func (m *Module) refusalsOf(ctx context.Context, owner, thing jid.JID, most int) (list []store.Refusal, err error) {
	page, err := m.store.Refusals(ctx, thing, 0, most)
	if err != nil {
		return nil, err
	}
	mine := make(map[store.ThingNode]bool)
	for _, r := range page {
		is, known := mine[r.Thing.ThingNode]
		if !known {
			of, _, err := m.things.Thing(ctx, thing, r.Thing.ThingNode)
			if err != nil && !errors.Is(err, store.ErrNotFound) {
				return nil, err
			}
			is = err == nil && of == owner
			mine[r.Thing.ThingNode] = is
		}
		if is {
			list = append(list, r)
		}
	}
	return list, nil
}

// allRefusals are the latest of all things of the owner's.
func (m *Module) allRefusals(ctx context.Context, owner jid.JID) (list []store.Refusal, err error) {
	seen := make(map[jid.JID]bool)
	err = m.each(ctx, owner, func(x *store.Thing) error {
		if seen[x.JID] {
			return nil
		}
		seen[x.JID] = true
		some, err := m.refusalsOf(ctx, owner, x.JID, listed)
		list = append(list, some...)
		return err
	})
	slices.SortFunc(list, func(a, b store.Refusal) int { return b.Last.Compare(a.Last) })
	return list[:min(len(list), listed)], err
}

func stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }

// number is the first word.
func number(args []string) (int64, bool) {
	if len(args) == 0 {
		return 0, false
	}
	n, err := strconv.ParseInt(args[0], 10, 64)
	return n, err == nil && n > 0
}

// subject is for whom a rule is: all, group:NAME, token:TOKEN, an address or a domain.
func subject(word string) (store.Subject, error) {
	if word == "all" {
		return store.Subject{Kind: store.SubjectAll}, nil
	}
	if name, ok := strings.CutPrefix(word, "group:"); ok {
		if name == "" || len(name) > store.MaxConsentName {
			return store.Subject{}, stanza.BadRequest.Err("a group has a name")
		}
		return store.Subject{Kind: store.SubjectGroup, Name: name}, nil
	}
	if token, ok := strings.CutPrefix(word, "token:"); ok {
		if token == "" || len(token) > store.MaxKeyToken {
			return store.Subject{}, stanza.BadRequest.Err("that is no token")
		}
		return store.Subject{Kind: store.SubjectToken, Name: token}, nil
	}
	j, err := jid.Parse(strings.TrimPrefix(word, "xmpp:"))
	switch {
	case err != nil:
		return store.Subject{}, stanza.JIDMalformed.Err(printable(word) + " is no address")
	case j.IsDomain():
		return store.Subject{Kind: store.SubjectDomain, Name: j.Domain()}, nil
	}
	return store.Subject{Kind: store.SubjectCaller, Name: j.Bare().String()}, nil
}

// each calls f for the owner's things.
func (m *Module) each(ctx context.Context, owner jid.JID, f func(*store.Thing) error) error {
	for after := int64(0); ; {
		page, err := m.store.ListThings(ctx, store.ThingFilter{Owner: owner, After: after})
		if err != nil || len(page) == 0 {
			return err
		}
		for i := range page {
			if err := f(&page[i]); err != nil {
				return err
			}
			after = page[i].Row
		}
	}
}

// find is the thing of the owner's that a word means: its address, NODE@ADDRESS of a node written with a slash before it, or what
// the owner calls it, if only one is called so.
func (m *Module) find(ctx context.Context, owner jid.JID, word string) (store.ThingName, error) {
	var exact, named []store.ThingName
	err := m.each(ctx, owner, func(x *store.Thing) error {
		_, label, err := m.things.Thing(ctx, x.JID, x.ThingNode)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		address := x.JID.String()
		if x.ID != "" {
			address += "#" + x.ID
		}
		switch {
		case word == address:
			exact = append(exact, x.ThingName)
		case strings.EqualFold(word, label), x.ID == "" && word == x.JID.Local():
			named = append(named, x.ThingName)
		}
		return nil
	})
	list := exact
	if len(list) == 0 {
		list = named
	}
	switch {
	case err != nil:
		return store.ThingName{}, err
	case len(list) == 0:
		return store.ThingName{}, stanza.ItemNotFound.Err("you have no thing called " + printable(word))
	case len(list) > 1:
		return store.ThingName{}, stanza.ItemNotFound.Err("several of your things are called " + printable(word) + ": say the address")
	}
	return list[0], nil
}
