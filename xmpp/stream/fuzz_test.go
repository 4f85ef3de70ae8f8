// SPDX-License-Identifier: Apache-2.0

package stream_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/sasl"
	"github.com/stonechat-im/stonechat/xmpp/stream"
)

// The input of the fuzz tests: the first byte chooses a configuration, the second how
// long the pieces are in which the rest is fed. In the rest a NUL and the byte behind it
// are something that the caller does, so that answers come at any time.

// FuzzServer: whatever a client sends, the server ends in a legal state and says
// nothing but well-formed XML.
func FuzzServer(f *testing.F) {
	setups := [][]string{{}, {"direct"}, {"bindings", "register"}, {"tls-optional", "small"}, {"login"}, {"bound", "small"},
		{"framed", "direct"}, {"framed", "bound"}}
	addScripts(f, "testdata/server/*.txt", 'C', setups)
	f.Fuzz(func(t *testing.T, data []byte) {
		setup, size, rest, ok := fuzzInput(data, setups)
		if !ok {
			return
		}
		s := newServer(&script{with: setup})
		runFuzz(t, s, &script{with: setup}, size, rest, func(act byte) {
			switch act {
			case 't':
				s.TLSStarted(sameChannel)
			case 'r':
				s.Resolve(keysOf("romeo@example.org"), nil)
			case 'n':
				s.Resolve(nil, nil)
			case 'd':
				s.Resolve(keysOf("romeo@example.org"), sasl.ErrDisabled)
			case 'b':
				s.Bind(jid.MustParse("romeo@example.org/b"))
			case 'f':
				s.RefuseBind([]byte("<error type='cancel'/>"))
			case 's':
				s.Resume(jid.MustParse("romeo@example.org/s"))
			}
		})
	})
}

// FuzzClient: the same for whatever a server sends.
func FuzzClient(f *testing.F) {
	setups := [][]string{{}, {"direct"}, {"bindings"}, {"without-tls", "small"}, {"hold", "direct"}, {"login"}, {"bound", "small"},
		{"framed", "direct"}, {"framed", "bound"}}
	addScripts(f, "testdata/client/*.txt", 'S', setups)
	f.Fuzz(func(t *testing.T, data []byte) {
		setup, size, rest, ok := fuzzInput(data, setups)
		if !ok {
			return
		}
		c := newClient(&script{with: setup})
		runFuzz(t, c, &script{with: setup}, size, rest, func(act byte) {
			switch act {
			case 't':
				c.TLSStarted(sameChannel)
			case 'l':
				c.Login()
			case 'b':
				c.Bind("b")
			case 's':
				c.Resume(jid.MustParse("romeo@example.org/s"))
			}
		})
	})
}

// acts are how scripts' acts are written in fuzz input.
var acts = map[string]string{
	"tls": "\x00t", "resolve": "\x00r", "disabled": "\x00d", "broken": "\x00n", "bind": "\x00b", "refuse": "\x00f",
	"resume": "\x00s", "login": "\x00l", "close": "\x00c", "expire": "\x00e",
}

// addScripts makes seeds of the scripts: what goes in, and what the caller does.
func addScripts(f *testing.F, pattern string, in byte, setups [][]string) {
	paths, err := filepath.Glob(pattern)
	if err != nil {
		f.Fatal(err)
	}
	for _, path := range paths {
		for _, s := range readScripts(f, path) {
			var seed strings.Builder
			seed.WriteByte(setupOf(s, setups))
			seed.WriteByte(0)
			for _, l := range s.lines {
				word, _, _ := strings.Cut(l.text, " ")
				switch l.kind {
				case in:
					seed.WriteString(expand(l.text))
					seed.WriteString("\x00\x00") // one frame ends
				case '>':
					seed.WriteString(acts[word])
				}
			}
			f.Add([]byte(seed.String()))
		}
	}
}

// setupOf finds the setup that is most like a script's.
func setupOf(s *script, setups [][]string) (best byte) {
	most := 0
	for i, setup := range setups {
		n := 0
		for _, word := range setup {
			if s.has(word) {
				n++
			}
		}
		if n > most {
			best, most = byte(i), n
		}
	}
	return best
}

func fuzzInput(data []byte, setups [][]string) (setup []string, size int, rest []byte, ok bool) {
	if len(data) < 2 {
		return nil, 0, nil, false
	}
	return setups[int(data[0])%len(setups)], int(data[1]), data[2:], true
}

// runFuzz plays fuzz input on a machine and checks what must always hold.
func runFuzz(t *testing.T, m machine, s *script, size int, input []byte, act func(byte)) {
	framed := s.has("framed")
	var said strings.Builder
	var messages []string
	ends := 0
	turn := func() {
		for e := m.Next(); e.Kind != stream.None; e = m.Next() {
			if ends > 0 {
				t.Fatalf("%s after End", describe(e))
			}
			if e.Kind == stream.End {
				ends++
			}
			if e.Kind == stream.Element && m.State() == stream.Negotiating && !s.has("tls-optional") && !s.has("without-tls") {
				t.Fatalf("%s in the clear", describe(e))
			}
		}
		if (ends > 0) != (m.State() == stream.Closed) {
			t.Fatalf("%d ends in state %d", ends, m.State())
		}
		if m.State() == stream.Closed && !m.Deadline().IsZero() {
			t.Fatal("a deadline of a closed stream")
		}
		for out := m.Out(); out != nil; out = m.Out() {
			said.Write(out)
			messages = append(messages, string(out))
		}
	}
	turn()
	for len(input) > 0 {
		if input[0] == 0 && len(input) > 1 {
			switch act(input[1]); input[1] {
			case 'c':
				m.Close(nil, start)
			case 'x':
				m.Close(&stream.Error{Condition: stream.Conflict, Text: "<&>"}, start)
			case 'e':
				m.Expire(start.Add(time.Hour))
			case 'k':
				m.Keep()
			}
			input = input[2:]
			turn()
			continue
		}
		n := len(input)
		if i := bytes.IndexByte(input[1:], 0); i >= 0 {
			n = i + 1
		}
		if size > 0 && !framed {
			n = min(n, size)
		}
		piece := bytes.Clone(input[:n])
		m.Feed(piece)
		turn()
		for i := range piece {
			piece[i] = '~'
		}
		input = input[n:]
	}
	if framed {
		for _, message := range messages {
			wellFormed(t, message, true)
		}
		return
	}
	streams := strings.Split(said.String(), "<?xml version='1.0'?>")
	for _, one := range streams[1:] {
		wellFormed(t, one, false)
	}
	// A machine that was logged in for the test has its header behind it.
	if first := streams[0]; first != "" {
		if !s.has("login") && !s.has("bound") {
			t.Fatalf("said without a header: %q", first)
		}
		wellFormed(t, openTag+">"+first, false)
	}
}

// wellFormed fails if text is not the beginning of an XML document, or a whole one.
func wellFormed(t *testing.T, text string, whole bool) {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(text))
	depth, roots := 0, 0
	for {
		token, err := d.Token()
		if err != nil {
			var syntax *xml.SyntaxError
			if errors.Is(err, io.EOF) && depth == 0 && roots == 1 ||
				!whole && errors.As(err, &syntax) && syntax.Msg == "unexpected EOF" && depth == 1 {
				return
			}
			t.Fatalf("not well-formed: %v in %q", err, text)
		}
		switch token.(type) {
		case xml.StartElement:
			if depth++; depth == 1 {
				roots++
			}
		case xml.EndElement:
			depth--
		}
	}
}
