// SPDX-License-Identifier: Apache-2.0

package registry

// How to read this file: the verbs in one list, then a function for each; what commands do as well has a function of its own
// (claimCode, rename, regroup, hand). How things are named in words comes last.

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/server/chat"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/registry"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

func (m *Module) addVerbs() {
	for _, v := range []chat.Verb{
		{Name: "claim", Usage: "CODE", Help: "makes a thing yours, by the code on it (IoTDisco;…)", Do: m.sayClaim},
		{Name: "things", Usage: "[GROUP]", Help: "lists your things", Do: m.sayThings},
		{Name: "about", Usage: "THING", Help: "says what is known of a thing of yours", Do: m.sayAbout},
		{Name: "name", Usage: "THING NAME", Help: "gives it a name", Do: m.sayName},
		{Name: "group", Usage: "THING [GROUP…]", Help: "puts it into groups, or into none", Do: m.sayGroup},
		{Name: "show", Usage: "THING", Help: "lets everybody find it", Do: m.sayShow(true)},
		{Name: "hide", Usage: "THING", Help: "lets nobody find it", Do: m.sayShow(false)},
		{Name: "give", Usage: "THING to ADDRESS", Help: "gives it to somebody, who has to claim it", Do: m.sayGive},
		{Name: "keep", Usage: "THING", Help: "takes back what you gave and nobody has claimed yet", Do: m.sayKeep},
		{Name: "disown", Usage: "THING", Help: "gives it up: it is nobody's then", Do: m.sayDisown},
		{Name: "find", Usage: "TAG=VALUE…", Help: "finds things that everybody may find; * stands for anything", Do: m.sayFind},
	} {
		m.Verb(v)
	}
}

func (m *Module) sayClaim(_ *server.Turn, q *chat.Message, args []string) (string, error) {
	if len(args) == 0 {
		return "", chat.ErrUsage
	}
	code, err := registry.ParseURI(q.Rest)
	if err != nil {
		return "", err
	}
	x, err := m.claimCode(context.Background(), q.Who(), q.To, code, true)
	if err != nil {
		return "", failedClaim(err)
	}
	return words(&x) + " is yours.", nil
}

// claimCode claims by what a code says.
func (m *Module) claimCode(ctx context.Context, who, at jid.JID, code registry.URI, private bool) (x store.Thing, err error) {
	if r := code.Registry; !r.IsZero() && (r.Domain() != at.Domain() || !m.Speaks(r)) {
		return x, stanza.ItemNotFound.Err("that thing is registered at " + r.String() + ": tell that")
	}
	mine, ok := code.Claim()
	if !ok {
		return x, stanza.NotAcceptable.Err("there is no KEY in that code, by which things are claimed")
	}
	mine.Private = private
	return m.claim(ctx, who, m.domainOf(at), mine)
}

// failedClaim says why a claim failed, which is no more than that it did.
func failedClaim(err error) error {
	if e, ok := stanza.AsError(err); ok && e.Condition == stanza.ItemNotFound && e.Text == "" {
		return stanza.ItemNotFound.Err("nothing can be claimed by that code")
	}
	return err
}

func (m *Module) sayThings(_ *server.Turn, q *chat.Message, args []string) (string, error) {
	list, err := m.owned(context.Background(), q.Who(), strings.Join(args, " "))
	if err != nil {
		return "", err
	}
	group := ""
	if len(args) > 0 {
		group = " in that group"
	}
	switch len(list) {
	case 0:
		return "You have no things" + group + ".", nil
	case 1:
		return "You have one thing" + group + ":\n" + lines(list), nil
	}
	return fmt.Sprintf("You have %d things%s:\n%s", len(list), group, lines(list)), nil
}

func lines(list []store.Thing) string {
	b := new(strings.Builder)
	for i := range list {
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString("• " + words(&list[i]))
		if g := list[i].Groups; len(g) > 0 {
			b.WriteString(", in " + strings.Join(g, ", "))
		}
	}
	return b.String()
}

func (m *Module) sayAbout(_ *server.Turn, q *chat.Message, args []string) (string, error) {
	x, err := m.named(q, args, 1, 1)
	if err != nil {
		return "", err
	}
	b := new(strings.Builder)
	b.WriteString(words(&x))
	for _, t := range told(x.Tags) {
		fmt.Fprintf(b, "\n• %s: %s", t.Name, t.Value())
	}
	fmt.Fprintf(b, "\nIt is yours since %s.", x.Claimed.Format("2 January 2006"))
	if len(x.Groups) > 0 {
		b.WriteString(" It is in " + strings.Join(x.Groups, ", ") + ".")
	}
	if x.Public {
		b.WriteString(" Everybody can find it.")
	}
	if x.Offer != nil && x.OfferUntil.After(time.Now()) {
		b.WriteString(" It is given to " + x.OfferTo.String() + ", who has not claimed it.")
	}
	return b.String(), nil
}

func (m *Module) sayName(_ *server.Turn, q *chat.Message, args []string) (string, error) {
	x, err := m.named(q, args, 2, 0)
	if err != nil {
		return "", err
	}
	name := strings.Join(args[1:], " ")
	if err := m.rename(context.Background(), q.Who(), x.ThingName, name); err != nil {
		return "", err
	}
	return fmt.Sprintf("%s is called %s now.", x.JID, plain(name)), nil
}

// rename gives a thing of who's a name.
func (m *Module) rename(ctx context.Context, who jid.JID, thing store.ThingName, name string) error {
	if len(name) > int(m.config.Load().NameBytes) {
		return m.limited("name_bytes", stanza.NotAcceptable.Err("the name is too long"))
	}
	return m.change(ctx, who, thing, func(x *store.Thing) error {
		x.Label = name
		return nil
	})
}

func (m *Module) sayGroup(_ *server.Turn, q *chat.Message, args []string) (string, error) {
	x, err := m.named(q, args, 1, 0)
	if err != nil {
		return "", err
	}
	if err := m.regroup(context.Background(), q.Who(), x.ThingName, args[1:]); err != nil {
		return "", err
	}
	if len(args) == 1 {
		return words(&x) + " is in no group now.", nil
	}
	return fmt.Sprintf("%s is in %s now.", words(&x), strings.Join(args[1:], ", ")), nil
}

// regroup puts a thing of who's into groups.
func (m *Module) regroup(ctx context.Context, who jid.JID, thing store.ThingName, groups []string) error {
	c := m.config.Load()
	groups = slices.DeleteFunc(slices.Clone(groups), func(g string) bool { return strings.TrimSpace(g) == "" })
	slices.Sort(groups)
	groups = slices.Compact(groups)
	if len(groups) > c.Groups {
		return m.limited("groups", stanza.NotAcceptable.Err(fmt.Sprintf("a thing is in up to %d groups", c.Groups)))
	}
	for _, g := range groups {
		if len(g) > int(c.NameBytes) {
			return m.limited("name_bytes", stanza.NotAcceptable.Err("the name of a group is too long"))
		}
	}
	return m.change(ctx, who, thing, func(x *store.Thing) error {
		x.Groups = groups
		return nil
	})
}

func (m *Module) sayShow(public bool) func(*server.Turn, *chat.Message, []string) (string, error) {
	return func(_ *server.Turn, q *chat.Message, args []string) (string, error) {
		x, err := m.named(q, args, 1, 1)
		if err != nil {
			return "", err
		}
		err = m.change(context.Background(), q.Who(), x.ThingName, func(x *store.Thing) error {
			x.Public = public
			x.Removed = x.Removed && !public
			return nil
		})
		if err != nil {
			return "", err
		}
		if public {
			return "Everybody can find " + words(&x) + " now.", nil
		}
		return "Nobody can find " + words(&x) + " now.", nil
	}
}

func (m *Module) sayGive(t *server.Turn, q *chat.Message, args []string) (string, error) {
	if len(args) == 3 && strings.EqualFold(args[1], "to") {
		args = slices.Delete(args, 1, 2)
	}
	x, err := m.named(q, args, 2, 2)
	if err != nil {
		return "", err
	}
	to, err := jid.Parse(strings.TrimPrefix(args[1], "xmpp:"))
	if err != nil || to.IsDomain() {
		return "", stanza.JIDMalformed.Err(args[1] + " is no address")
	}
	if err := m.hand(context.Background(), t, q.Who(), q.To, &x, to.Bare()); err != nil {
		return "", err
	}
	return fmt.Sprintf("%s has a message with what %s is claimed by. It is yours until that is done.", to.Bare(), words(&x)), nil
}

// hand gives a thing of who's to somebody, and tells him.
func (m *Module) hand(ctx context.Context, t *server.Turn, who, at jid.JID, x *store.Thing, to jid.JID) error {
	if to == who || to == x.JID {
		return stanza.NotAcceptable.Err("it is given to somebody else")
	}
	key, err := m.give(ctx, who, x.ThingName, to)
	if err != nil {
		return err
	}
	code, voice := registry.URI{Tags: registry.Tags{registry.Str(registry.KEY, key)}}, voiceOf(at.Host())
	s := stanza.Text(stanza.Chat, to, fmt.Sprintf("%s gives you %s. It is yours when you have said this to %s:\n\nclaim %s",
		who, called(x), voice, code))
	s.From, s.ID = voice, messageID()
	t.Route(s)
	return nil
}

func (m *Module) sayKeep(_ *server.Turn, q *chat.Message, args []string) (string, error) {
	x, err := m.named(q, args, 1, 1)
	if err != nil {
		return "", err
	}
	take := store.OfferThing{Name: x.ThingName, Owner: q.Who()}
	if err := notYours(m.store.Commit(take).Wait(context.Background())); err != nil {
		return "", err
	}
	return words(&x) + " stays yours.", nil
}

func (m *Module) sayDisown(_ *server.Turn, q *chat.Message, args []string) (string, error) {
	x, err := m.named(q, args, 1, 1)
	if err != nil {
		return "", err
	}
	if err := m.disown(context.Background(), q.Who(), x.ThingName); err != nil {
		return "", err
	}
	return words(&x) + " is not yours any more.", nil
}

func (m *Module) sayFind(_ *server.Turn, q *chat.Message, args []string) (string, error) {
	if len(args) == 0 {
		return "", chat.ErrUsage
	}
	ask := &registry.Search{Max: 50}
	for _, arg := range args {
		o, ok := condition(arg)
		if !ok {
			return "", chat.ErrUsage
		}
		if err := o.Check(); err != nil {
			return "", err
		}
		ask.Operators = append(ask.Operators, o)
	}
	if len(ask.Operators) > registry.MaxOperators {
		return "", stanza.PolicyViolation.Err("")
	}
	found, more, err := m.search(context.Background(), m.domainOf(q.To), ask)
	if err != nil {
		return "", err
	}
	if len(found) == 0 {
		return "There is none that you can find.", nil
	}
	b := new(strings.Builder)
	for i := range found {
		x := &found[i]
		x.Label = "" // that is between its owner and us
		fmt.Fprintf(b, "• %s", words(x))
		for _, t := range told(x.Tags) {
			fmt.Fprintf(b, " %s=%s", t.Name, chat.Quote(t.Value()))
		}
		b.WriteByte('\n')
	}
	if more {
		b.WriteString("There are more.\n")
	}
	return strings.TrimSuffix(b.String(), "\n"), nil
}

// condition is TAG=VALUE as an operator.
func condition(word string) (o registry.Operator, ok bool) {
	name, value, ok := strings.Cut(word, "=")
	name, number := strings.CutPrefix(name, "#")
	o = registry.Operator{Op: registry.StrEq, Name: registry.FoldName(name), Text: value}
	numeric, _ := registry.Reserved(o.Name)
	if number || numeric {
		n, err := strconv.ParseFloat(value, 64)
		return registry.Operator{Op: registry.NumEq, Name: o.Name, Number: n}, ok && err == nil
	}
	if strings.Contains(value, "*") {
		o.Op, o.Wildcard = registry.StrMask, "*"
	}
	return o, ok
}

// words is a thing as people are told of it: what it is called, and its address.
func words(x *store.Thing) string { return fmt.Sprintf("%s (%s)", called(x), address(x.ThingName)) }

// address is what a thing is named by: the address of its account and, behind a hash sign, its node.
func address(n store.ThingName) string {
	if n.ID == "" {
		return n.JID.String()
	}
	return n.JID.String() + "#" + n.ID
}

// parseAddress reads what address writes, however people write it.
func parseAddress(word string) (account jid.JID, node string, ok bool) {
	word = strings.TrimPrefix(word, "xmpp:")
	if at := strings.LastIndexByte(word, '@'); at >= 0 {
		domain, id, _ := strings.Cut(word[at:], "#")
		word, node = word[:at]+domain, id
	}
	account, err := jid.Parse(word)
	return account.Bare(), node, err == nil && account.Local() != ""
}

// owned lists what somebody owns, in a group or "" for all.
func (m *Module) owned(ctx context.Context, who jid.JID, group string) (all []store.Thing, err error) {
	for f := (store.ThingFilter{Owner: who, Group: group}); ; {
		page, err := m.store.ListThings(ctx, f)
		if err != nil || len(page) == 0 {
			return all, err
		}
		all = append(all, page...)
		f.After = page[len(page)-1].Row
	}
}

// named is the thing that the first word names; there must be so many words, at most 0 being any number.
func (m *Module) named(q *chat.Message, args []string, least, most int) (store.Thing, error) {
	if len(args) < least || most > 0 && len(args) > most {
		return store.Thing{}, chat.ErrUsage
	}
	return m.Find(context.Background(), q.Who(), args[0])
}

// Find is the thing of an owner's that he means by a word: its address (that of its account, and its node behind a hash sign), the
// local part of that, or what it is called. The error is a *stanza.Error with words for the owner. It may wait.
func (m *Module) Find(ctx context.Context, owner jid.JID, word string) (store.Thing, error) {
	list, err := m.owned(ctx, owner, "")
	if err != nil {
		return store.Thing{}, err
	}
	account, node, named := parseAddress(word)
	for _, fits := range []func(x *store.Thing) bool{
		func(x *store.Thing) bool { return named && x.JID == account && x.ID == node },
		func(x *store.Thing) bool { return strings.EqualFold(called(x), word) },
		func(x *store.Thing) bool { return x.ID == "" && strings.EqualFold(x.JID.Local(), word) },
	} {
		var found []store.Thing
		for i := range list {
			if fits(&list[i]) {
				found = append(found, list[i])
			}
		}
		switch len(found) {
		case 0:
		case 1:
			return found[0], nil
		default:
			return store.Thing{}, stanza.Conflict.Err("several of your things are called so; say which by its address:\n" + lines(found[:min(len(found), 20)]))
		}
	}
	return store.Thing{}, stanza.ItemNotFound.Err("you have no thing that is called " + word)
}
