// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"crypto/tls"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// A canned server answers each thing that is sent with the next of its replies, in which {id} and {to} are of what was sent.
type canned struct {
	net.Conn
	replies []string
	out     strings.Builder
	read    int
}

var (
	idPattern = regexp.MustCompile(` id='([^']*)'`)
	toPattern = regexp.MustCompile(` to='([^']*)'`)
)

func (c *canned) Write(p []byte) (int, error) {
	first := func(pattern *regexp.Regexp) string {
		if m := pattern.FindSubmatch(p); m != nil {
			return string(m[1])
		}
		return ""
	}
	if len(c.replies) > 0 {
		c.out.WriteString(strings.NewReplacer("{id}", first(idPattern), "{to}", first(toPattern)).Replace(c.replies[0]))
		c.replies = c.replies[1:]
	}
	return len(p), nil
}

func (c *canned) Read(p []byte) (int, error) {
	n := copy(p, c.out.String()[c.read:])
	if c.read += n; n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

func (c *canned) Close() error                     { return nil }
func (c *canned) SetReadDeadline(time.Time) error  { return nil }
func (c *canned) SetWriteDeadline(time.Time) error { return nil }

// TestSentences has the sentences of ask.go and rooms.go fail where they must.
func TestSentences(t *testing.T) {
	const (
		forbidden = `<iq type='error' id='{id}' from='{to}'><error type='auth'><forbidden xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/><text xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>no</text></error></iq>`
		result    = `<iq type='result' id='{id}' from='{to}'><q xmlns='urn:q'><a/></q></iq>`
		inRoom    = `<presence from='{to}'><x xmlns='http://jabber.org/protocol/muc#user'><item/><status code='110'/></x></presence>`
		subject   = `<message type='groupchat' from='r@s.test'><subject/></message>`
		ask       = "Romeo asks r@s.test:\n  <q xmlns='urn:q'/>\n"
		enter     = "Romeo enters r@s.test as romeo\n"
	)
	for _, tt := range []struct{ name, script, reply, want string }{
		{"answered", ask + "Romeo is answered", result, ""},
		{"answered after something else", ask + "Romeo is answered", "<message/>" + result, ""},
		{"answered with a payload", ask + "Romeo is answered:\n  <q xmlns='urn:q'><a/></q>", result, ""},
		{"one of two payloads", ask + "Romeo is answered:\n  <b/>\nor:\n  <q xmlns='urn:q'><a/></q>", result, ""},
		{"another payload", ask + "Romeo is answered:\n  <q xmlns='urn:q'><b/></q>", result, "missing"},
		{"more than the payload", ask + "Romeo is answered:\n  <q xmlns='urn:q'><a/></q>", strings.Replace(result, "</iq>", "<c/></iq>", 1), "<c/>"},
		{"no payload", ask + "Romeo is answered:\n  <q xmlns='urn:q'/>", `<iq type='result' id='{id}' from='{to}'/>`, "another element"},
		{"refused instead", ask + "Romeo is answered", forbidden, "is refused"},
		{"answered by somebody else", ask + "Romeo is answered", strings.Replace(result, "{to}", "x@s.test", 1), "lost its connection"},
		{"another request is answered", ask + "Romeo is answered", strings.Replace(result, "{id}", "x", 1), "lost its connection"},
		{"nothing asked", "Romeo is answered", "", "has sent nothing"},
		{"refused", ask + "Romeo is refused with auth forbidden", forbidden, ""},
		{"refused by one of two", ask + "Romeo is refused with cancel conflict or auth forbidden", forbidden, ""},
		{"refused with another type", ask + "Romeo is refused with cancel forbidden", forbidden, "want cancel forbidden"},
		{"refused with another condition", ask + "Romeo is refused with auth not-authorized", forbidden, "want auth not-authorized"},
		{"answered instead", ask + "Romeo is refused with auth forbidden", result, "want auth forbidden"},
		{"a message is refused", "Romeo sends: <message to='r@s.test' id='1'/>\nRomeo is refused with auth forbidden", strings.ReplaceAll(forbidden, "iq", "message"), ""},
		{"tells", strings.Replace(ask, "asks", "tells", 1) + "Romeo is answered", result, ""},
		{"in a room", enter, inRoom + subject, ""},
		{"nothing from the room", enter, "", "lost its connection"},
		{"not in a room", enter, `<presence type='error' from='{to}'/>`, "cannot enter"},
		{"in a room without a subject", enter, inRoom, "lost its connection"},
		{"a room that is not new", "Romeo creates r@s.test as romeo", inRoom + subject, "not told that the room is new"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "s.txt")
			if err := os.WriteFile(file, []byte("# RFC 6120 §8\nRomeo: raw\nRomeo connects\n"+tt.script), 0o600); err != nil {
				t.Fatal(err)
			}
			s, err := Load(file)
			if err != nil {
				t.Fatal(err)
			}
			conn := &canned{replies: []string{tt.reply}}
			conn.out.WriteString("<stream:stream xmlns='jabber:client' xmlns:stream='" + nsStreams + "'>")
			_, err = s.Play(&Server{Timeout: time.Minute}, Transport{Name: "canned", dial: func(string, *tls.Config) (net.Conn, error) { return conn, nil }})
			switch {
			case tt.want == "" && err != nil:
				t.Error(err)
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("error %v, want %s", err, tt.want)
			}
		})
	}
}
