// SPDX-License-Identifier: Apache-2.0

package thing

import (
	"context"
	"strings"

	"github.com/stonechat-im/stonechat/client"
	"github.com/stonechat-im/stonechat/xmpp/concentrator"
	"github.com/stonechat-im/stonechat/xmpp/jid"
)

// Reread reads the lines of a journal, writes what is in them, and reads that; it returns how many
// readings there were each time.
func Reread(data []byte) (first, second int, err error) {
	list, _ := readJournal(data)
	var b []byte
	for i := range list {
		line, err := list[i].line()
		if err != nil {
			return 0, 0, err
		}
		b = append(b, line...)
	}
	again, lost := readJournal(b)
	if lost > 0 {
		err = errTorn
	}
	return len(list), len(again), err
}

// Converse says something to a thing with one of everything, as its owner, and returns the answers.
func Converse(ctx context.Context, said string) (answers []string) {
	config := Config{
		Client: client.Config{Account: jid.MustParse("juliet@example.org"), Password: "x"}, Owner: jid.MustParse("nurse@example.org"),
		Fields: []Measure{{Name: "temperature", Kind: Numeric, Read: func(context.Context) (Value, error) { return Number(1), nil }}},
		Parameters: []Parameter{
			{Name: "lamp", Kind: Boolean, Set: func(context.Context, Value) error { return nil }},
			{Name: "level", Kind: Numeric, Max: 9, Set: func(_ context.Context, v Value) error {
				if v.Number() < 0 || v.Number() > 9 {
					panic(v.String())
				}
				return nil
			}},
			{Name: "at", Kind: String, Format: DateTime, Set: func(context.Context, Value) error { return nil }},
		},
		Commands: []Command{{Name: "blink", Parameters: []Parameter{{Name: "times", Kind: Numeric}, {Name: "how", Kind: String, Optional: true}},
			Do: func(_ context.Context, a map[string]Value) (string, error) {
				if a["times"].Kind() != Numeric {
					panic("no number")
				}
				return "", nil
			}}},
	}
	t, err := New(config)
	if err != nil {
		panic(err)
	}
	k := &talk{caller: config.Owner, said: said}
	k.may = func(ctx context.Context, r right, node NodeID, names []string) grant {
		return t.may(ctx, question{k.caller, r, node, names})
	}
	k.answer = func(_ context.Context, _ []Field, text string) { answers = append(answers, text) }
	t.converse(ctx, k)
	if len(answers) > 1 {
		panic(strings.Join(answers, "; "))
	}
	return answers
}

// StateOf is how a node is.
func StateOf(t *Thing, id NodeID) concentrator.State {
	b := t.find(id)
	t.mu.Lock()
	defer t.mu.Unlock()
	return b.state
}
