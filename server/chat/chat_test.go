// SPDX-License-Identifier: Apache-2.0

package chat_test

import (
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"unicode/utf8"

	"github.com/stonechat-im/stonechat/internal/servertest"
	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/server/chat"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// parrot is a service that says what it is told.
type parrot struct {
	table   *chat.Table
	ignored int
}

func (*parrot) Name() string  { return "parrot" }
func (*parrot) Present() bool { return true }

func (p *parrot) Take(t *server.Turn, s *stanza.Stanza) error {
	p.table.Answer(t, s)
	return nil
}

func (p *parrot) Init(h *server.Host) error {
	p.table = chat.New(chat.Bounds{Bytes: 100, Answer: 300, PerMinute: 12}, slog.New(slog.DiscardHandler), func() { p.ignored++ })
	p.table.Add(chat.Verb{Name: "say", Usage: "WORD…", Help: "says it", Do: func(_ *server.Turn, m *chat.Message, args []string) (string, error) {
		if len(args) == 0 {
			return "", chat.ErrUsage
		}
		return m.Who().String() + ": " + strings.Join(args, "|"), nil
	}})
	p.table.Add(chat.Verb{Name: "raw", Do: func(_ *server.Turn, m *chat.Message, _ []string) (string, error) { return m.Rest, nil }})
	p.table.Add(chat.Verb{Name: "fail", Do: func(_ *server.Turn, _ *chat.Message, args []string) (string, error) {
		switch args[0] {
		case "text":
			return "", stanza.Forbidden.Err("that is mine")
		case "condition":
			return "", stanza.ItemNotFound.Err("")
		case "long":
			return strings.Repeat("ж", 1000), nil
		}
		return "", errors.New("secret")
	}})
	h.OnArriving(server.Handle, func(t *server.Turn, u *server.User, s *stanza.Stanza) error {
		t.Deliver(u, u.Sessions(nil), s, false)
		return server.Handled
	})
	_, err := h.Server.Attach("parrot.d", p)
	return errors.Join(err, p.table.Err())
}

func start(t *testing.T) (*servertest.Server, *parrot) {
	p := new(parrot)
	s := servertest.Start(t, servertest.Options{Modules: func() []server.Module { return []server.Module{p} }})
	s.Account("juliet@d")
	return s, p
}

// say sends a message and returns the body of the answer.
func say(c *servertest.Peer, body string) string {
	c.Send("<message type='chat' to='parrot.d'><body>" + body + "</body></message>")
	got := c.Got()
	if len(got) != 1 {
		return strings.Join(got, "\n")
	}
	_, text, _ := strings.Cut(got[0], "<body>")
	text, _, _ = strings.Cut(text, "</body>")
	return text
}

func TestAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := start(t)
		c := s.Client("juliet@d/r")
		for _, test := range []struct{ body, want string }{
			{"say hello", "juliet@d: hello"},
			{" SAY “two words” x\n", "juliet@d: two words|x"},
			{"/say x", "juliet@d: x"},
			{"say \"open", "A quote is opened and not closed."},
			{"say", "It is said so: say WORD…"},
			{"raw  IoTDisco;A:b\\;c \"d\"", "IoTDisco;A:b\\;c \"d\""},
			{"fail text", "That is mine."},
			{"fail condition", "There is no such thing."},
			{"fail x", "That did not work, which is not your fault. Try it again later."},
			{"fail", "That did not work, which is not your fault. Try it again later."}, // panics
			{strings.Repeat("x", 101), "That is too long: I read up to 100 bytes."},
		} {
			if got := say(c, test.body); got != test.want {
				t.Errorf("%q: %q, want %q", test.body, got, test.want)
			}
		}
		if got := say(c, "fail long"); len(got) > 300 || !strings.HasSuffix(got, "ж…") {
			t.Errorf("a long answer of %d bytes: %q", len(got), got)
		}
	})
}

func TestHelp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := start(t)
		c := s.Client("juliet@d/r")
		help := "You can say:\n• fail: \n• help: says this\n• raw: \n• say WORD…: says it"
		if got := say(c, "help"); got != help {
			t.Errorf("%q", got)
		}
		if got := say(c, "what?"); got != "I do not understand that. "+help {
			t.Errorf("%q", got)
		}
	})
}

// The answer goes to the bare address, in the conversation, as the kind of message that it was.
func TestConversation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := start(t)
		c := s.Client("juliet@d/r")
		c.Send("<message to='parrot.d' id='1'><body>say x</body><thread>a</thread></message>")
		c.Gets(`^<message from='parrot\.d' to='juliet@d' id='\w+'><body>juliet@d: x</body><thread>a</thread></message>$`)
	})
}

func TestSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, p := start(t)
		c := s.Client("juliet@d/r")
		for _, m := range []string{
			"<message type='error' to='parrot.d'><body>help</body></message>",
			"<message type='headline' to='parrot.d'><body>help</body></message>",
			"<message type='groupchat' to='parrot.d'><body>help</body></message>",
			"<message type='chat' to='parrot.d'><composing xmlns='http://jabber.org/protocol/chatstates'/></message>",
			"<message type='chat' to='parrot.d'><body>  </body></message>",
		} {
			c.Send(m)
			c.Gets()
		}
		// Two programs do not talk to each other for ever.
		for range 12 {
			if got := say(c, "say x"); got != "juliet@d: x" {
				t.Fatalf("%q", got)
			}
		}
		if got := say(c, "say x"); got != "" || p.ignored != 1 {
			t.Errorf("one more: %q, %d ignored", got, p.ignored)
		}
	})
}

func TestTwoVerbs(t *testing.T) {
	table := chat.New(chat.Bounds{}, slog.New(slog.DiscardHandler), func() {})
	table.Add(chat.Verb{Name: "help"})
	if table.Err() == nil {
		t.Error("two verbs of one name")
	}
}

func TestWords(t *testing.T) {
	for line, want := range map[string][]string{
		"":                     nil,
		"a  b\tc\n":            {"a", "b", "c"},
		`"a b" c`:              {"a b", "c"},
		`„a b“c`:               {"a b", "c"},
		`"a \"b\" c"`:          {`a "b" c`},
		`a"b c`:                {`a"b`, "c"},
		`"" x`:                 {"", "x"},
		`C:\d "e\f"`:           {`C:\d`, `e\f`},
		"\xff \"\xff\"":        {"\xff", "\ufffd"},
		`IoTDisco;A:b\;c;#V:1`: {`IoTDisco;A:b\;c;#V:1`},
	} {
		got, err := chat.Words(line)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: %q, %v, want %q", line, got, err, want)
		}
	}
	for _, line := range []string{`"`, `a "b`, `"a\"`} {
		if got, err := chat.Words(line); err == nil {
			t.Errorf("%q: %q", line, got)
		}
	}
}

func FuzzWords(f *testing.F) {
	for _, s := range []string{"a b", `"a \" b"`, "„x“", "", `\`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		words, err := chat.Words(s)
		if err != nil || !utf8.ValidString(s) {
			return
		}
		line := ""
		for _, w := range words {
			if strings.HasSuffix(w, `\`) || strings.Contains(w, `\"`) {
				return // written by hand, and not by Quote
			}
			line += chat.Quote(w) + " "
		}
		again, err := chat.Words(line)
		if err != nil || !slices.Equal(again, words) {
			t.Errorf("%q: %q, then %q (%v)", s, words, again, err)
		}
	})
}
