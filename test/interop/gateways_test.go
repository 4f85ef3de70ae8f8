// SPDX-License-Identifier: Apache-2.0

//go:build linux

package interop

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/test/program"
)

// How to read this file: gateways that others wrote, as their users meet them. biboumi is in front of ngircd, with
// somebody there who speaks IRC (ircPerson); slidge is in front of clients/slidge_echo.py, a network without accounts.

// debians are programs of Debian's packages.
func debians(names ...string) client {
	return client{name: strings.Join(names, "+"), available: func() error {
		for _, name := range names {
			if _, err := exec.LookPath(name); err != nil {
				return fmt.Errorf("there is no %s: %w", name, err)
			}
		}
		return nil
	}}
}

// slidgePython is the interpreter of an environment that has what clients/slidge.txt names.
var slidgePython = sync.OnceValues(func() (string, error) {
	folder := filepath.Join(tools.folder, "slidge")
	if err := output("", "python3", "-m", "venv", folder); err != nil {
		return "", err
	}
	interpreter := filepath.Join(folder, "bin", "python")
	return interpreter, output("clients", interpreter, "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
		"--no-deps", "--only-binary", ":all:", "-r", "slidge.txt")
})

// background runs a program until the test ends, and keeps what it wrote if that failed.
func background(t *testing.T, name string, environment []string, command ...string) {
	t.Helper()
	log, err := os.Create(filepath.Join(t.TempDir(), name+".log"))
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(command[0], command[1:]...)
	program.Bind(c)
	c.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "LANG=C.UTF-8", "TZ=UTC"}, environment...)
	c.Stdout, c.Stderr = log, log
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		_ = c.Wait()
		close(ended)
	}()
	t.Cleanup(func() {
		_ = c.Process.Signal(syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(3 * time.Second):
			_ = c.Process.Kill()
			<-ended
		}
		if b, err := os.ReadFile(log.Name()); err == nil && t.Failed() {
			keep(t, name+".log", b)
		}
		_ = log.Close()
	})
}

// found waits until the server lists somebody, as it does with components that are connected.
func found(a *agent, jid string) {
	a.t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); {
		there := false
		a.do("disco %s", jid)
		a.await("no answer about "+jid, func() bool {
			for i := range a.lines {
				if l := &a.lines[i]; !l.used && (l.text == "disco "+jid || strings.HasPrefix(l.text, "error disco ")) {
					l.used, there = true, l.text == "disco "+jid
					return true
				}
			}
			return false
		})
		if there {
			return
		}
		<-time.After(100 * time.Millisecond)
	}
	a.t.Fatalf("%s is not there", jid)
}

// ircPerson is somebody at an IRC server.
type ircPerson struct {
	t     *testing.T
	conn  net.Conn
	lines *bufio.Scanner
	heard []string
}

func newIRC(t *testing.T, address, nick string) *ircPerson {
	t.Helper()
	end := time.Now().Add(patience)
	for {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			t.Cleanup(func() { _ = conn.Close() })
			_ = conn.SetDeadline(time.Now().Add(4 * patience))
			p := &ircPerson{t: t, conn: conn, lines: bufio.NewScanner(conn)}
			p.say("NICK " + nick)
			p.say("USER " + nick + " 0 * :" + nick)
			p.hears(" 001 ")
			return p
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
		<-time.After(50 * time.Millisecond)
	}
}

func (p *ircPerson) say(line string) {
	p.t.Helper()
	if _, err := io.WriteString(p.conn, line+"\r\n"); err != nil {
		p.t.Fatal(err)
	}
}

// hears waits for a line that has all parts.
func (p *ircPerson) hears(parts ...string) {
	p.t.Helper()
	for p.lines.Scan() {
		line := p.lines.Text()
		p.heard = append(p.heard, line)
		if rest, ok := strings.CutPrefix(line, "PING "); ok {
			p.say("PONG " + rest)
		}
		all := true
		for _, part := range parts {
			all = all && strings.Contains(line, part)
		}
		if all {
			return
		}
	}
	p.t.Fatalf("nobody said %q on IRC, but\n\t%s\n%v", parts, strings.Join(p.heard, "\n\t"), p.lines.Err())
}

// TestBiboumi joins an IRC channel as if it were a room, talks both ways, changes nick and topic, writes to one
// person, reads the archive, and leaves.
func TestBiboumi(t *testing.T) {
	t.Parallel()
	need(t, slixmpp, debians("biboumi", "ngircd"))
	s := start(t)
	folder, host, irc := t.TempDir(), program.Loopback(), "irc."+domain
	conf := filepath.Join(folder, "ngircd.conf")
	write(t, conf, fmt.Sprintf("[Global]\nName = irc.example.org\nInfo = test\nListen = %s\nPorts = 6667\n[Limits]\nMaxConnectionsIP = 0\nMaxJoins = 0\n[Options]\nDNS = no\nIdent = no\nPAM = no\nSyslogFacility = local1\n", host))
	background(t, "ngircd", nil, "ngircd", "-n", "-f", conf)
	conf = filepath.Join(folder, "biboumi.cfg")
	write(t, conf, fmt.Sprintf("hostname=%s\npassword=gateway\nxmpp_server_ip=%s\nport=%d\ndb_name=%s\nlog_level=0\nidentd_port=0\n",
		irc, s.component.IP, s.component.Port, filepath.Join(folder, "biboumi.sqlite")))
	background(t, "biboumi", nil, "biboumi", conf)

	mercutio := newIRC(t, net.JoinHostPort(host, "6667"), "mercutio")
	mercutio.say("JOIN #garden")
	mercutio.hears("JOIN", "#garden")
	romeo := social["slixmpp"](s, s.name("romeo"))
	romeo.arrive()
	found(romeo, irc)
	romeo.expect("identity " + irc + " conference/irc")

	room := "#garden%" + host + "@" + irc
	romeo.do("join %s Romeo", room)
	mercutio.hears("Romeo", "JOIN", "#garden")
	romeo.expect("joined " + room)
	for _, text := range []string{"Nay, gentle Romeo,", "we must have you dance: <grüße> & 'more'"} {
		mercutio.say("PRIVMSG #garden :" + text)
		romeo.expect("room " + room + "/mercutio " + text)
	}
	romeo.do("roomsay %s Not I, believe me <3", room)
	mercutio.hears("Romeo", "PRIVMSG #garden :Not I, believe me <3")
	romeo.expect("room " + room + "/Romeo Not I, believe me <3")

	mercutio.say("TOPIC #garden :a dance")
	romeo.expect("topic " + room + "/mercutio a dance")
	romeo.do("topic %s a soul of lead", room)
	mercutio.hears("Romeo", "TOPIC #garden :a soul of lead")
	mercutio.say("NICK queen")
	mercutio.say("PRIVMSG #garden :I am Queen Mab")
	romeo.expect("room " + room + "/queen I am Queen Mab")
	romeo.do("nick %s Montague", room)
	mercutio.hears("Romeo", "NICK", "Montague")

	// To one person, in the channel and beside it.
	romeo.say("queen%"+host+"@"+irc, "a word")
	mercutio.hears("Montague", "PRIVMSG queen :a word")
	mercutio.say("PRIVMSG Montague :with one of us?")
	romeo.hears("queen%"+host+"@"+irc, "with one of us?")

	romeo.do("archive %s", room)
	romeo.expect("kept " + room + " " + room + "/mercutio Nay, gentle Romeo,")
	romeo.expect("archive " + room)

	romeo.do("part %s Montague", room)
	mercutio.hears("Montague", "PART #garden")
}

// TestSlidge registers at a gateway, which puts a friend into the roster without a question, and shows on all
// devices, and in the archive, what was said with the other network's own application.
func TestSlidge(t *testing.T) {
	t.Parallel()
	need(t, slixmpp)
	s := start(t)
	interpreter, err := slidgePython()
	if err != nil {
		t.Fatal(err)
	}
	clients, err := filepath.Abs("clients")
	if err != nil {
		t.Fatal(err)
	}
	echo := "echo." + domain
	friend := "echo@" + echo
	background(t, "slidge", []string{"PYTHONPATH=" + clients, "PYTHONDONTWRITEBYTECODE=1"}, interpreter, "-W", "ignore", "-m", "slidge",
		"--legacy-module", "slidge_echo", "--jid", echo, "--secret", "gateway", "--server", s.component.IP.String(),
		"--port", strconv.Itoa(s.component.Port), "--home-dir", t.TempDir())

	name := s.name("romeo")
	romeo, phone := social["slixmpp"](s, name), social["slixmpp"](s, name)
	romeo.arrive()
	phone.arrive()
	phone.do("copies")
	phone.expect("copying")
	found(romeo, echo)
	romeo.expect("identity " + echo + " gateway/echo")
	romeo.do("enrol %s", echo)
	romeo.expect("enrolled " + echo)
	romeo.expect("contact " + echo + " both")
	romeo.expect("contact " + friend + " both Echo")
	phone.expect("contact " + friend + " both Echo")
	romeo.sees(friend, "available")

	romeo.say(friend, "is anybody <there> & 🌹?")
	romeo.hears(friend, "is anybody <there> & 🌹?")
	phone.expect("copy to " + friend + " is anybody <there> & 🌹?")

	romeo.say(friend, "as me written with the other app")
	phone.expect("copy to " + friend + " written with the other app")
	romeo.do("copies")
	romeo.expect("copying")
	phone.say(friend, "as me and once more")
	romeo.expect("copy to " + friend + " and once more")
	romeo.do("archive %s", romeo.own)
	romeo.expect("kept " + romeo.own + " " + romeo.own + " written with the other app")
	romeo.expect("kept " + romeo.own + " " + romeo.own + " and once more")
	romeo.expect("archive " + romeo.own)
}
