// SPDX-License-Identifier: Apache-2.0

//go:build linux

package interop

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// profanity is a client for terminals, on libstrophe and OpenSSL.
var profanity = client{
	name:      "profanity",
	available: func() error { return programs("profanity", "tmux", "openssl") },
	person:    newProfanity,
}

// programs tells which of them are not here.
func programs(names ...string) error {
	for _, name := range names {
		if _, err := exec.LookPath(name); err != nil {
			return err
		}
	}
	return nil
}

// profane is somebody in front of profanity.
type profane struct {
	*terminal
	own   string
	home  string
	heard map[string]int // messages since login, by text
}

func newProfanity(s *server, name string, trusted *authority) person {
	s.t.Helper()
	return newProfanityOn(s, name, "profanity", trusted)
}

// newProfanityOn is one of several devices of an account.
func newProfanityOn(s *server, name, resource string, trusted *authority) *profane {
	s.t.Helper()
	home := s.t.TempDir()
	folder := filepath.Join(home, "profanity")
	if err := os.Mkdir(folder, 0o700); err != nil {
		s.t.Fatal(err)
	}
	own := name + "@" + domain
	// The time of a message is the time of day at which it was sent.
	write(s.t, filepath.Join(folder, "profrc"), fmt.Sprintf(`[connection]
tls.certpath=%s
[chatstates]
enabled=false
[notifications]
message=false
[logging]
history=false
[ui]
splash=false
time.chat=%%H:%%M:%%S.%%f
`, trusted.folder))
	write(s.t, filepath.Join(folder, "accounts"), fmt.Sprintf(`[%[1]s]
enabled=true
jid=%[1]s
resource=%[5]s
server=%[2]s
port=%[3]d
tls.policy=force
password=%[4]s
`, own, s.client.IP, s.client.Port, password, resource))
	p := &profane{own: own, home: home}
	s.t.Cleanup(p.keepLog)
	p.terminal = newTerminal(s.t, "profanity-"+name+"-"+resource, home, nil, "profanity", "-l", "DEBUG")
	p.until("prompt", contains("Profanity. Type /help"))
	return p
}

func contains(text string) func(string) bool {
	return func(screen string) bool { return strings.Contains(screen, text) }
}

func (p *profane) address() string { return p.own }

// console goes to the first window, which has a list of contacts beside it.
func (p *profane) console() {
	p.t.Helper()
	p.enter("/win 1")
	p.until("console", contains("Profanity. Type /help"))
}

// chat goes to the window of a contact.
func (p *profane) chat(contact string) {
	p.t.Helper()
	p.enter("/msg " + contact)
	p.until("chat with "+contact, func(screen string) bool { return strings.HasPrefix(strings.TrimSpace(screen), contact) })
}

func (p *profane) arrive() {
	p.t.Helper()
	p.console()
	p.enter("/clear")
	p.heard = map[string]int{} // conversations are on new windows
	p.enter("/connect " + p.own)
	p.until("logged in", func(screen string) bool {
		return strings.Contains(screen, "logged in successfully") && strings.Contains(screen, "[TLS] [online]")
	})
}

func (p *profane) refused() {
	p.t.Helper()
	p.console()
	p.enter("/connect " + p.own)
	p.until("refusal", contains("TLS certificate verification failed"))
	p.enter("/tls deny")
	p.until("end", func(screen string) bool {
		return strings.Contains(screen, "Login failed.") && !strings.Contains(screen, "logged in")
	})
}

func (p *profane) leave() {
	p.t.Helper()
	p.console()
	p.until("ack", func(string) bool { return p.acked() })
	p.enter("/disconnect")
	p.until("logged out", contains(p.own+" logged out successfully"))
}

// traffic is what profanity's log has of what it sent and received.
func (p *profane) traffic() (lines []string) {
	p.t.Helper()
	log, err := os.ReadFile(filepath.Join(p.home, "profanity", "logs", "profanity.log"))
	if err != nil {
		p.t.Fatal(err)
	}
	for line := range strings.Lines(string(log)) {
		if strings.Contains(line, "DBG: SENT: ") || strings.Contains(line, "DBG: RECV: ") {
			lines = append(lines, line)
		}
	}
	return lines
}

// keepLog keeps the traffic of a test that failed.
func (p *profane) keepLog() {
	if p.t.Failed() {
		keep(p.t, p.name+".log", []byte(strings.Join(p.traffic(), "")))
	}
}

// acked tells whether profanity has acked the messages that it has received. It ends a stream without a last
// ack, and what it was not asked about yet would come again (XEP-0198 §4).
func (p *profane) acked() bool {
	received, message, acked := 0, 0, 0
	for _, line := range p.traffic() {
		switch {
		case strings.Contains(line, "RECV: <enabled "):
			received, message, acked = 0, 0, 0
		case strings.Contains(line, "RECV: <message "):
			received++
			message = received
		case strings.Contains(line, "RECV: <presence "), strings.Contains(line, "RECV: <iq "):
			received++
		case strings.Contains(line, "SENT: <a h="):
			_, h, _ := strings.Cut(line, `<a h="`)
			h, _, _ = strings.Cut(h, `"`)
			acked, _ = strconv.Atoi(h)
		}
	}
	return acked >= message
}

func (p *profane) away(status string) { p.enter(`/status set away "` + status + `"`) }

func (p *profane) ask(contact string) {
	p.t.Helper()
	p.console()
	p.enter("/sub request " + contact)
	p.until("request", contains("Sent subscription request to "+contact))
}

func (p *profane) accept(contact string) {
	p.t.Helper()
	p.console()
	p.until("question", contains("Received authorization request from "+contact))
	p.enter("/sub allow " + contact)
	p.until("answer", contains("Accepted subscription for "+contact))
}

// group is a heading in the list of contacts.
var group = regexp.MustCompile(` (Available for chat|Online|Away|Extended Away|Do not disturb|Offline|Rooms) \(\d+\)$`)

func (p *profane) sees(contact, presence string) {
	p.t.Helper()
	want := map[string]string{"available": "Online", "away": "Away", "unavailable": "Offline"}[presence]
	p.console()
	p.until(contact+" "+presence, func(screen string) bool {
		under := ""
		for line := range strings.Lines(screen) {
			line = strings.TrimRight(line, " \n")
			if m := group.FindStringSubmatch(line); m != nil {
				under = m[1]
			} else if under != "" && strings.HasSuffix(line, "  "+contact) {
				return under == want
			}
		}
		return false
	})
}

func (p *profane) say(to, text string) {
	p.t.Helper()
	p.chat(to)
	p.enter(text)
	p.until("own words", contains("me: "+strings.TrimRight(text, " ")))
}

func (p *profane) settle() {
	p.t.Helper()
	p.console()
	p.enter("/clear")
	p.enter("/ping")
	p.until("pong", contains("Ping response from "))
}

// spoken is a line of a conversation: time, resource and text.
func spoken(screen, from, text string) (times []string) {
	pattern := regexp.MustCompile(`(?m)^(\d\d:\d\d:\d\d\.\d+) - ` + regexp.QuoteMeta(from) + `(?:/\S+)?: ` + regexp.QuoteMeta(strings.TrimRight(text, " ")) + ` *$`)
	for _, m := range pattern.FindAllStringSubmatch(screen, -1) {
		times = append(times, m[1])
	}
	return times
}

// next waits for one more line of the conversation with that text, and returns its time of day.
func (p *profane) next(from, text string) string {
	p.t.Helper()
	p.chat(from)
	var times []string
	p.until(text, func(screen string) bool {
		times = spoken(screen, from, text)
		return len(times) > p.heard[text]
	})
	p.heard[text]++
	return times[p.heard[text]-1]
}

func (p *profane) hears(from, text string) {
	p.t.Helper()
	p.next(from, text)
}

func (p *profane) hearsLate(from, text string, at span) {
	p.t.Helper()
	shown := p.next(from, text)
	of, err := time.Parse("15:04:05", shown)
	if err != nil {
		p.t.Fatal(err)
	}
	y, m, d := at.from.UTC().Date()
	sent := of.AddDate(y, int(m)-1, d-1)
	if sent.Before(at.from.Add(-time.Hour)) {
		sent = sent.AddDate(0, 0, 1) // after midnight
	}
	if !at.contains(sent) {
		p.t.Errorf("%s shows %s, it was sent from %s to %s", p.name, shown, at.from.UTC(), at.to.UTC())
	}
}

func (p *profane) heardAll() {
	p.t.Helper()
	p.enter("/win 2") // the one conversation
	p.until("conversation", func(screen string) bool { return strings.Contains(strings.SplitN(screen, "\n", 2)[0], "@"+domain) })
	lines := map[string]int{}
	for _, m := range regexp.MustCompile(`(?m)^[\d:.]+ - \S+@\S+: (.*?) *$`).FindAllStringSubmatch(p.screen(), -1) {
		lines[m[1]]++
	}
	if len(lines) < len(p.heard) {
		p.t.Errorf("%s shows %d of %d messages", p.name, len(lines), len(p.heard))
	}
	for text, n := range lines {
		if p.heard[text] != n {
			p.t.Errorf("%s heard %q %d times instead of %d", p.name, text, n, p.heard[text])
		}
	}
}
