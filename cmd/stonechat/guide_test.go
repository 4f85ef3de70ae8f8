// SPDX-License-Identifier: Apache-2.0

package main

// How to read these tests: the owner's guide, docs/home.md, has conversations, a line "FROM → TO: TEXT" each, with what belongs to it
// indented below. What a person says is said, in a home as the demo makes it, and what a person is told must be that; … stands for
// anything.

import (
	"context"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/client"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// remark is something that is said in the guide.
type remark struct {
	line           int
	from, to, text string
}

var spokenLine = regexp.MustCompile(`^(\S+) → (\S+): (.*)$`)

// conversations reads what is said in a document.
func conversations(t *testing.T, file string) (list []remark) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	inside, n := false, 0
	for line := range strings.Lines(string(data)) {
		n++
		line = strings.TrimRight(line, "\n")
		switch m := spokenLine.FindStringSubmatch(line); {
		case strings.HasPrefix(line, "```"):
			inside = line == "```text"
		case !inside || line == "":
		case m != nil:
			list = append(list, remark{n, m[1], m[2], m[3]})
		case strings.HasPrefix(line, "  ") && len(list) > 0:
			list[len(list)-1].text += "\n" + line[2:]
		default:
			t.Errorf("%s:%d: nobody says that: %s", file, n, line)
		}
	}
	return list
}

// resident is a person with a client.
type resident struct {
	*client.Client
	heard chan remark
}

func (h *household) enter(t *testing.T, account client.Config) *resident {
	t.Helper()
	c, err := client.New(account)
	if err != nil {
		t.Fatal(err)
	}
	r := &resident{c, make(chan remark, 100)}
	c.Handle(stanza.Message, xmlstream.Name{Space: stanza.NSClient, Local: "body"}, func(_ context.Context, s *stanza.Stanza) {
		r.heard <- remark{from: s.From.Bare().String(), text: stanza.BodyOf(s)}
	})
	c.HandleErrors(func(_ context.Context, s *stanza.Stanza) {
		if s.Kind == stanza.Message {
			r.heard <- remark{from: s.From.Bare().String(), text: "(refused)"}
		}
	})
	if err := c.Announce(t.Context(), client.Availability{}); err != nil {
		t.Fatal(err)
	}
	if err := c.Connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return r
}

// isTold reports whether something was said as the guide has it.
func isTold(guide, said string) bool {
	parts := strings.Split(guide, "…")
	for i := range parts {
		parts[i] = regexp.QuoteMeta(parts[i])
	}
	return regexp.MustCompile(`(?s)^` + strings.Join(parts, ".*") + `$`).MatchString(said)
}

// TestGuide says what the owner's guide says, and is told what it tells.
func TestGuide(t *testing.T) {
	const file = "../../docs/home.md"
	h, err := Demo{Data: t.TempDir(), Host: "127.0.0.1", Domain: "localhost", Every: time.Hour}.open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := h.close(); err != nil {
			t.Error(err)
		}
	}()
	people := map[string]*resident{"you": h.enter(t, h.you), "neighbour": h.enter(t, h.neighbour)}
	codes := map[string]string{}
	for _, x := range h.things {
		codes["claim IoTDisco;SN:"+x.name+";KEY:…"] = "claim " + x.code().Code
	}
	code := regexp.MustCompile(`claim IoTDisco;KEY:\S+`)
	said := 0
	for _, r := range conversations(t, file) {
		if who := people[r.from]; who != nil {
			text := r.text
			if is := codes[text]; is != "" {
				text = is
			}
			if err := who.Send(t.Context(), stanza.Text(stanza.Chat, jid.MustParse(r.to), text)); err != nil {
				t.Fatal(err)
			}
			said++
			continue
		}
		who := people[r.to]
		if who == nil {
			t.Fatalf("%s:%d: nobody is called %s", file, r.line, r.to)
		}
		select {
		case is := <-who.heard:
			if is.from != r.from || !isTold(r.text, is.text) {
				t.Errorf("%s:%d: %s says\n%s\n%s says\n%s", file, r.line, r.from, r.text, is.from, is.text)
			}
			if c := code.FindString(is.text); c != "" {
				codes["claim IoTDisco;KEY:…"] = c
			}
		case <-time.After(time.Minute):
			t.Fatalf("%s:%d: %s does not say\n%s", file, r.line, r.from, r.text)
		}
	}
	if said < 20 {
		t.Errorf("%d things are said in %s", said, file)
	}
	for name, who := range people {
		select {
		case is := <-who.heard:
			t.Errorf("%s is told, but not in %s: %s: %s", name, file, is.from, is.text)
		default:
		}
	}
}
