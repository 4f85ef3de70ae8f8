// SPDX-License-Identifier: Apache-2.0

package consent

// How to read this file: what people say to a thing means what the thing makes of it. wished guesses that, so that the owner is asked
// about what was wanted, once; words decides whether the thing hears of it at all, in which the guess counts for nothing.

import (
	"strings"

	"github.com/stonechat-im/stonechat/server/chat"
	"github.com/stonechat-im/stonechat/store"
)

// wish is what words want of a thing that understands what the SDK's do.
type wish struct {
	right store.Right
	nodes []store.ThingNode
	names []string
}

// Bounds of what is looked at: of what is said, as things bound it, and of the name of a command.
const (
	mostSaid    = 4096
	longestWord = 64
)

// wished is what somebody wants who says that: "read", "read temperature", "set lamp on", "at meter1 read", the name of a command.
// What is no word of these is curiosity: it wants to read.
func wished(said string) *wish {
	w := &wish{right: store.RightRead}
	if len(said) > mostSaid {
		return w
	}
	list, err := chat.Words(said)
	if err != nil {
		return w
	}
	if len(list) > 2 && strings.EqualFold(list[0], "at") {
		w.nodes, list = []store.ThingNode{{ID: list[1]}}, list[2:]
		w.nodes[0] = clip(w.nodes[0])
	}
	if len(list) == 0 {
		return w
	}
	switch verb := strings.ToLower(list[0]); {
	case verb == "read":
		w.names = cleaned(list[1:])
	case verb == "set" && len(list) > 1:
		w.right, w.names = store.RightControl, cleaned(list[1:2])
	case verb == "stop" && len(list) == 1:
		w.right = store.RightControl
	case isName(list[0]) && verb != "help" && verb != "nodes":
		w.right, w.names = store.RightControl, []string{list[0]}
	}
	return w
}

// isName reports whether a word may be what a command is called.
func isName(word string) bool {
	return word != "" && len(word) <= longestWord && strings.IndexFunc(word, func(r rune) bool {
		return r != '-' && r != '_' && r != '.' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	}) < 0
}

// looked are the nodes that there is to know of, to decide and to ask.
func (w *want) looked() []store.ThingNode {
	if w.wish == nil {
		return w.nodes
	}
	return append(w.nodes[:len(w.nodes):len(w.nodes)], w.wish.nodes...)
}

// words decides about what people say to a thing. A thing that asks for itself has it from whoever has any right; another one would
// do whatever it is told. From then on w is what the owner is asked about.
func words(st *standing, w *want) (Decision, bool) {
	if w.speaks && st.any() {
		return Decision{Verdict: All}, true
	}
	read, control := st.decideAll(nil, store.RightRead, nil), st.decideAll(nil, store.RightControl, nil)
	switch {
	case w.wish != nil && !st.any():
		w.right, w.nodes, w.names = w.wish.right, w.wish.nodes, w.wish.names
		return st.decideAll(w.nodes, w.right, w.names), false
	case read.whole() && control.whole():
		return read, !st.split(store.RightRead) && !st.split(store.RightControl)
	case read.whole():
		w.right = store.RightControl
		return control, false
	case control.whole():
		w.right = store.RightRead
		return read, false
	}
	w.right = store.RightUse
	return st.decideAll(nil, store.RightUse, nil), false
}
