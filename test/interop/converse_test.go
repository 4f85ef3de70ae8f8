// SPDX-License-Identifier: Apache-2.0

//go:build linux

package interop

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// converse is a client that is a web page, in Chromium.
var converse = client{
	name: "converse.js",
	available: func() error {
		for program, pkg := range map[string]string{"chromium": "chromium", "certutil": "libnss3-tools"} {
			if _, err := exec.LookPath(program); err != nil {
				return fmt.Errorf("%w (Debian package %s)", err, pkg)
			}
		}
		_, err := node()
		return err
	},
}

// newConverse opens a browser that believes an authority.
func newConverse(s *server, name string, trusted *authority) *agent {
	s.t.Helper()
	folder, err := node()
	if err != nil {
		s.t.Fatal(err)
	}
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		s.t.Fatal(err)
	}
	// The authorities that Chromium believes beside its own are in a database in its home.
	home := s.t.TempDir()
	database := filepath.Join(home, ".pki", "nssdb")
	if err := os.MkdirAll(database, 0o700); err != nil {
		s.t.Fatal(err)
	}
	for _, args := range [][]string{
		{"-N", "--empty-password"},
		{"-A", "-n", "test", "-t", "C,,", "-i", trusted.file},
	} {
		if err := output(home, "certutil", append([]string{"-d", "sql:" + database}, args...)...); err != nil {
			s.t.Fatal(err)
		}
	}
	own := name + "@" + domain
	return startAgent(s.t, "converse-"+name, own, []string{"HOME=" + home, "CHROMIUM=" + chromium}, "sh", "-c", `cd "$0" && exec node converse_agent.mjs "$@"`,
		folder, own, password, s.https.String())
}

// TestConverse lets somebody with a browser find the server (XEP-0156), see a contact come and go, and
// talk with him.
func TestConverse(t *testing.T) {
	t.Parallel()
	need(t, converse, xmppjs)
	s := start(t)
	juliet := newXMPPJS(s, s.name("juliet"), s.authority, "wss")
	romeo := newXMPPJS(s, s.name("romeo"), s.authority, "xmpps")
	juliet.arrive()
	romeo.arrive()
	befriend(juliet, romeo)
	juliet.leave()

	web := newConverse(s, "juliet", s.authority)
	web.do("connect")
	web.expect("online juliet@" + domain)
	if met := web.expect("host-meta 200"); !strings.HasPrefix(met, "https://"+domain+"/.well-known/host-meta") {
		t.Errorf("the browser asked %s", met)
	}
	if at := web.expect("websocket"); at != "wss://"+domain+"/xmpp-websocket" {
		t.Errorf("the browser is connected to %s", at)
	}
	romeo.sees(web.own, "available")
	web.do("sees %s online", romeo.own)
	web.expect("seen " + romeo.own)

	web.do("open %s", romeo.own)
	web.expect("open " + romeo.own)
	for i, line := range [][2]string{
		{"O Romeo, Romeo, wherefore art thou Romeo?", "Call me but love, and I'll be new baptized."},
		{"What man art thou? <b>1</b> & 2", "By a name I know not how to tell thee who I am ♥"},
	} {
		web.do("say %s", line[0])
		romeo.hears(web.own, line[0])
		romeo.say(web.own, line[1])
		web.do("shows %s", line[1])
		web.expect("shown " + line[1])
		if i == 1 {
			picture := filepath.Join(t.ArtifactDir(), "converse.png")
			web.do("picture %s", picture)
			web.expect("picture")
		}
	}
	romeo.away("on the wall")
	web.do("sees %s away", romeo.own)
	web.expect("seen " + romeo.own)
	web.do("leave")
	romeo.sees(web.own, "unavailable")
}

// TestConverseRoom lets somebody with a browser join a room, read what was said there before, and talk.
func TestConverseRoom(t *testing.T) {
	t.Parallel()
	need(t, converse, slixmpp)
	s := start(t)
	romeo := social["slixmpp"](s, s.name("romeo"))
	room := "garden@conference." + domain
	romeo.arrive()
	romeo.do("join %s Romeo", room)
	romeo.expect("joined " + room)
	romeo.do("unlock %s", room)
	romeo.expect("unlocked " + room)
	before := []string{"But, soft! what light through yonder window breaks?", "It is the east, and Juliet is the sun.", "<b>1</b> & 2 ♥"}
	for _, text := range before {
		romeo.do("roomsay %s %s", room, text)
		romeo.expect("room " + room + "/Romeo " + text)
	}

	web := newConverse(s, s.name("juliet"), s.authority)
	web.do("connect")
	web.expect("online juliet@" + domain)
	web.do("enter %s", room)
	web.expect("entered " + room)
	for _, text := range before {
		web.do("shows %s", text)
		web.expect("shown " + text)
	}
	web.do("say Ay me!")
	romeo.expect("room " + room + "/Juliet Ay me!")
	romeo.do("roomsay %s She speaks.", room)
	web.do("shows She speaks.")
	web.expect("shown She speaks.")
	picture := filepath.Join(t.ArtifactDir(), "converse-room.png")
	web.do("picture %s", picture)
	web.expect("picture")
	web.do("leave")
}

// TestConverseRefusal: the browser does not come in where it does not know the authority.
func TestConverseRefusal(t *testing.T) {
	t.Parallel()
	need(t, converse)
	s := start(t)
	web := newConverse(s, s.name("juliet"), newAuthority(t))
	web.do("connect")
	web.expect("failed net::ERR_CERT_AUTHORITY_INVALID")
	for l := range strings.Lines(web.transcript()) {
		if strings.HasPrefix(l, "online") || strings.HasPrefix(l, "host-meta") {
			t.Error(l)
		}
	}
}
