// SPDX-License-Identifier: Apache-2.0

package stream_test

// How to read the scripts in testdata: a file holds many, each begins with a line
// `== what it shows`. A line
//
//	with: words      sets up the machine: see newServer and newClient
//	C: bytes         the client sends them; in a client's script: must have sent them
//	S: bytes         the server does
//	* Event details  the machine must report it
//	> word details   the caller acts: see serverScript.act and clientScript.act
//
// Lines that begin with white space go on where the line before ended. Bytes hold
// {macros}: see expand. All that a machine says must be expected before the next thing
// is done to it. Every script runs as written, then with each input cut into single
// bytes, unless it is set up `with: whole`.

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/xmpp/stream"
)

type script struct {
	name  string
	with  []string
	lines []line
}

type line struct {
	pos  string // file:line
	kind byte   // C, S, *, >
	text string
}

func (s *script) has(word string) bool { return slices.Contains(s.with, word) }

// readScripts reads the scripts of one file.
func readScripts(t testing.TB, path string) (scripts []*script) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var s *script
	for i, text := range strings.Split(string(data), "\n") {
		pos := fmt.Sprintf("%s:%d", path, i+1)
		head, rest, _ := strings.Cut(text, " ")
		switch {
		case text == "" || head == "#":
		case head == "==":
			s = &script{name: rest}
			scripts = append(scripts, s)
		case s == nil:
			t.Fatalf("%s: outside of a script", pos)
		case head == "with:":
			s.with = strings.Fields(rest)
		case head == "C:" || head == "S:" || head == "*" || head == ">":
			s.lines = append(s.lines, line{pos, head[0], rest})
		case head == "":
			s.lines[len(s.lines)-1].text += strings.TrimLeft(text, " ")
		default:
			t.Fatalf("%s: what is %q?", pos, head)
		}
	}
	return scripts
}

var macro = regexp.MustCompile(`\{[a-z0-9]+( [^{}]*)?\}`)

const (
	openTag   = "<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'"
	fixedID   = "AAAAAAAAAAAAAAAA" // of randomness that is all zeros
	streamsNS = "urn:ietf:params:xml:ns:xmpp-streams"
	stanzasNS = "urn:ietf:params:xml:ns:xmpp-stanzas"
)

// expand replaces the macros of a line.
func expand(text string) string {
	return macro.ReplaceAllStringFunc(text, func(m string) string {
		word, rest, _ := strings.Cut(m[1:len(m)-1], " ")
		switch word {
		case "open": // a client's header
			if rest == "english" {
				return openTag + " to='example.org' version='1.0' xml:lang='en'>"
			}
			return openTag + " to='example.org' version='1.0'>"
		case "clientopen": // our client's, over TLS
			return openTag + " to='example.org' from='romeo@example.org' version='1.0'>"
		case "openas": // the same with whom it is from
			return openTag + " to='example.org' from='" + rest + "' version='1.0'>"
		case "header": // the server's
			return openTag + " from='example.org' id='" + fixedID + "' version='1.0' xml:lang='en'>"
		case "headerto":
			return openTag + " to='" + rest + "' from='example.org' id='" + fixedID + "' version='1.0' xml:lang='en'>"
		case "nowhere": // the server's while it does not know its domain
			return openTag + " id='" + fixedID + "' version='1.0' xml:lang='en'>"
		case "id":
			return fixedID
		case "error": // a stream error and the end of the stream
			condition, text, _ := strings.Cut(rest, " ")
			if text != "" {
				text = "<text xmlns='" + streamsNS + "' xml:lang='en'>" + text + "</text>"
			}
			return "<stream:error><" + condition + " xmlns='" + streamsNS + "'/>" + text + "</stream:error></stream:stream>"
		case "end":
			return "</stream:stream>"
		case "tls":
			return "urn:ietf:params:xml:ns:xmpp-tls"
		case "sasl":
			return "urn:ietf:params:xml:ns:xmpp-sasl"
		case "binding":
			return "urn:xmpp:sasl-cb:0"
		case "bind":
			return "urn:ietf:params:xml:ns:xmpp-bind"
		case "framing":
			return "urn:ietf:params:xml:ns:xmpp-framing"
		case "streams":
			return "http://etherx.jabber.org/streams"
		case "stanzas":
			return stanzasNS
		case "errors":
			return streamsNS
		case "b64": // with \0 for NUL
			return base64.StdEncoding.EncodeToString([]byte(strings.ReplaceAll(rest, `\0`, "\x00")))
		case "hex":
			b, err := strconv.ParseUint(rest, 16, 8)
			if err != nil {
				panic(err)
			}
			return string([]byte{byte(b)})
		case "times": // {times 100 x}
			n, s, _ := strings.Cut(rest, " ")
			count, err := strconv.Atoi(n)
			if err != nil {
				panic(err)
			}
			return strings.Repeat(s, count)
		}
		if s, ok := longMacros[word]; ok {
			return expand(s)
		}
		panic("unknown macro " + m)
	})
}

// longMacros are whole passages.
var longMacros = map[string]string{
	"features": "<stream:features><starttls xmlns='{tls}'><required/></starttls></stream:features>",
	"mechanisms": "<mechanisms xmlns='{sasl}'><mechanism>SCRAM-SHA-512</mechanism>" +
		"<mechanism>SCRAM-SHA-256</mechanism><mechanism>SCRAM-SHA-1</mechanism><mechanism>PLAIN</mechanism></mechanisms>",
	"scrams": "<mechanisms xmlns='{sasl}'><mechanism>SCRAM-SHA-512</mechanism>" +
		"<mechanism>SCRAM-SHA-256</mechanism><mechanism>SCRAM-SHA-1</mechanism></mechanisms>",
	"bindable": "<stream:features><sasl-channel-binding xmlns='{binding}'><channel-binding type='tls-exporter'/>" +
		"<channel-binding type='tls-server-end-point'/></sasl-channel-binding><mechanisms xmlns='{sasl}'>" +
		"<mechanism>SCRAM-SHA-512-PLUS</mechanism><mechanism>SCRAM-SHA-256-PLUS</mechanism><mechanism>SCRAM-SHA-1-PLUS</mechanism>" +
		"<mechanism>SCRAM-SHA-512</mechanism><mechanism>SCRAM-SHA-256</mechanism><mechanism>SCRAM-SHA-1</mechanism>" +
		"<mechanism>PLAIN</mechanism></mechanisms></stream:features>",
	"secure":         "<stream:features>{mechanisms}</stream:features>",
	"loggedin":       "<stream:features><bind xmlns='{bind}'/></stream:features>",
	"auth":           `<auth xmlns='{sasl}' mechanism='PLAIN'>{b64 \0romeo\0pencil}</auth>`,
	"plainmechanism": "<mechanisms xmlns='{sasl}'><mechanism>PLAIN</mechanism></mechanisms>",
	"plain":          "<stream:features>{plainmechanism}</stream:features>",
	"success":        "<success xmlns='{sasl}'/>",
}

// machine is what a driver needs of either side.
type machine interface {
	Feed([]byte)
	Next() stream.Event
	Keep()
	Out() []byte
	Deadline() time.Time
	Expire(time.Time)
	Close(*stream.Error, time.Time)
	State() stream.State
}

// player runs a script on a machine.
type player struct {
	t      *testing.T
	m      machine
	in     byte // the kind of line that is fed: 'C' for a server
	cut    bool // feed single bytes
	framed bool
	act    func(p *player, word, rest string)

	out    string
	events []string
}

func (p *player) play(s *script) {
	p.turn()
	for _, l := range s.lines {
		text := expand(l.text)
		if l.kind == p.in || l.kind == '>' {
			p.idle(l.pos)
		}
		switch {
		case l.kind == p.in:
			p.feed(text)
		case l.kind == '>':
			word, rest, _ := strings.Cut(text, " ")
			p.act(p, word, rest)
			p.turn()
		case l.kind == '*':
			if len(p.events) == 0 || prefix(p.events[0], text) != len(p.events[0]) {
				p.t.Fatalf("%s: events\n got %q\nwant %q", l.pos, p.events, text)
			}
			p.events = p.events[1:]
		default:
			n := prefix(p.out, text)
			if n <= 0 {
				p.t.Fatalf("%s: sent\n got %s\nwant %s", l.pos, p.out, text)
			}
			p.out = p.out[n:]
		}
	}
	p.idle("the end")
}

// prefix returns how much of s begins with pattern, in which … stands for any
// characters but `<`, and at the end for all that follows; -1 if it does not.
func prefix(s, pattern string) int {
	if begin, ok := strings.CutSuffix(pattern, "…"); ok && prefix(s, begin) >= 0 {
		return len(s)
	}
	pattern = strings.ReplaceAll(regexp.QuoteMeta(pattern), "…", "[^<]*")
	if at := regexp.MustCompile("^" + pattern).FindStringIndex(s); at != nil {
		return at[1]
	}
	return -1
}

// idle fails if something was said that nobody expected.
func (p *player) idle(pos string) {
	p.t.Helper()
	if p.out != "" || len(p.events) > 0 {
		p.t.Fatalf("before %s: unexpected\nsent   %s\nevents %q", pos, p.out, p.events)
	}
}

// feed gives the machine text, from a buffer that is overwritten afterwards.
func (p *player) feed(text string) {
	pieces := [][]byte{[]byte(text)}
	if p.cut && !p.framed {
		pieces = nil
		for i := range len(text) {
			pieces = append(pieces, []byte{text[i]})
		}
	}
	for _, piece := range pieces {
		p.m.Feed(piece)
		p.turn()
		for i := range piece {
			piece[i] = '~'
		}
	}
}

// turn collects what the machine has to say.
func (p *player) turn() {
	for e := p.m.Next(); e.Kind != stream.None; e = p.m.Next() {
		p.events = append(p.events, describe(e))
	}
	for out := p.m.Out(); out != nil; out = p.m.Out() {
		p.out += string(out)
		if p.framed {
			p.out += "|" // the end of a message
		}
	}
}

// describe writes an event as scripts have it.
func describe(e stream.Event) string {
	s := [...]string{"None", "StartTLS", "Lookup", "Login", "Features", "Bind", "Ready", "Element", "End", "Stranger"}[e.Kind]
	if !e.JID.IsZero() {
		s += " " + e.JID.String()
	}
	if e.Element != nil {
		s += " " + string(e.Element.Raw)
	}
	if e.Err != nil {
		s += " " + e.Err.Error()
	}
	return s
}

// playAll runs all scripts of a folder.
func playAll(t *testing.T, pattern string, run func(t *testing.T, s *script, cut bool)) {
	paths, err := filepath.Glob(pattern)
	if err != nil || len(paths) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, path := range paths {
		for _, s := range readScripts(t, path) {
			topic := strings.TrimSuffix(filepath.Base(path), ".txt")
			t.Run(topic+"/"+s.name, func(t *testing.T) { run(t, s, false) })
			if !s.has("whole") && !s.has("framed") {
				t.Run(topic+"/"+s.name+" (bytes)", func(t *testing.T) { run(t, s, true) })
			}
		}
	}
}

// zeros is randomness for scripts.
type zeros struct{}

func (zeros) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func mustDuration(s string) time.Duration {
	d, err := time.ParseDuration(s)
	if err != nil {
		panic(err)
	}
	return d
}

// streamError makes the error of `condition text`, with the application's condition
// behind `+`.
func streamError(rest string) *stream.Error {
	rest, app, _ := strings.Cut(rest, " + ")
	condition, text, _ := strings.Cut(rest, " ")
	e := &stream.Error{Condition: stream.Condition(condition), Text: text, App: bytes.TrimSpace([]byte(app))}
	if e.Condition == stream.SeeOtherHost {
		e.Host, e.Text = text, ""
	}
	return e
}
