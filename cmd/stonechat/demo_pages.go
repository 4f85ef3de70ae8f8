// SPDX-License-Identifier: Apache-2.0

package main

// How to read this file: show prints pages, on a terminal one at a time as somebody at it asks for them, else all of them; the
// functions below make a page each, of what a terminal of 80x24 can show.

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/stonechat-im/stonechat/internal/qr"
)

// show shows the home until its end.
func (h *household) show(in, out *os.File) {
	if !term.IsTerminal(int(in.Fd())) || !term.IsTerminal(int(out.Fd())) {
		h.printAll(out)
		return
	}
	typed := make(chan string)
	go func() { // it ends with the program: nothing else ends a read of a terminal
		for lines := bufio.NewScanner(in); lines.Scan(); {
			typed <- lines.Text()
		}
		close(typed)
	}()
	const prompt = "Enter: go on   1 to 5: a thing's code   h: the home   w: what to write > "
	next := 0
	page := func(n int) {
		next = (n + 1) % h.pages()
		fmt.Fprint(out, h.page(n, qr.Colours), prompt)
	}
	page(0)
	for {
		select {
		case <-h.ctx.Done():
			return
		case what := <-h.news:
			fmt.Fprintf(out, "\r\x1b[K%s  %s\n%s", time.Now().Format(time.TimeOnly), what, prompt)
		case text, more := <-typed:
			if !more {
				typed = nil // the terminal is gone; the home is not
				continue
			}
			page(h.wanted(text, next))
		}
	}
}

// printAll is for what is no terminal, such as a log.
func (h *household) printAll(out io.Writer) {
	for n := range h.pages() {
		fmt.Fprintln(out, h.page(n, qr.DarkTerminal))
	}
	fmt.Fprintf(out, "Ctrl-C ends the demo. \"stonechat serve -c %s\" goes on\nwith the same accounts.\n", filepath.Join(h.Data, "stonechat.yaml"))
	for {
		select {
		case <-h.ctx.Done():
			return
		case what := <-h.news:
			fmt.Fprintln(out, time.Now().Format(time.TimeOnly), what)
		}
	}
}

// pages is how many there are: the home, each thing, what to write.
func (h *household) pages() int { return len(h.things) + 2 }

// wanted is the page that somebody types for; what is not understood is the next.
func (h *household) wanted(text string, next int) int {
	text = strings.ToLower(strings.TrimSpace(text))
	n, err := strconv.Atoi(text)
	switch {
	case err == nil && n >= 1 && n <= len(h.things):
		return n
	case text == "h":
		return 0
	case text == "w":
		return h.pages() - 1
	}
	for i, x := range h.things {
		if x.name == text {
			return i + 1
		}
	}
	return next
}

func (h *household) page(n int, look qr.Look) string {
	switch {
	case n == 0:
		return h.about()
	case n <= len(h.things):
		return h.label(n, look)
	}
	return h.words()
}

// about says what there is, and who may log in.
func (h *household) about() string {
	b := new(strings.Builder)
	b.WriteString("\nA small home runs here: five things, each a client of its own over TLS.\n\n")
	for i, x := range h.things {
		whose := "nobody's"
		if owner := x.made.Owner(); !owner.IsZero() {
			whose = owner.Local() + "'s"
		}
		if owner := x.made.Owner(); owner == h.you.Account {
			whose = "yours"
		}
		fmt.Fprintf(b, "  %d %-12s %-9s %s\n", i+1, x.name, whose, x.does)
	}
	host, port, _ := net.SplitHostPort(h.in.address("client")) // it listens there
	fmt.Fprintf(b, `
Log in with any XMPP client, and as the neighbour with another one:
  %-22s password  %s
  %-22s password  %s
  server %s (STARTTLS) or %s (direct TLS)
The server has made its certificate itself; a client asks whether to trust
%s
With profanity:  /connect %s server %s port %s tls trust

1. Claim the things: their codes come next.  2. Write to them.  3. Let the
neighbour read one field, and see that he gets no more: "w" has the words.
`, h.you.Account, h.you.Password, h.neighbour.Account, h.neighbour.Password,
		h.in.address("client"), h.in.address("client_tls"), h.certificate(), h.you.Account, host, port)
	return b.String()
}

// label is what would be glued to a thing.
func (h *household) label(n int, look qr.Look) string {
	x := h.things[n-1]
	claim := x.code()
	if owner := x.made.Owner(); !owner.IsZero() {
		return usedUp(n, x.name, owner.String(), h.desk().String())
	}
	code, err := qr.Encode(claim.Chat)
	if err != nil {
		return fmt.Sprintf("\n%d. %s has no owner, and its code is being made.\n", n, x.name)
	}
	b := new(strings.Builder)
	fmt.Fprintf(b, "%d. %s has no owner. Scan this, or write to %s:\nclaim %s\n", n, x.name, h.desk(), claim.Code[:strings.LastIndex(claim.Code, ";R:")])
	for _, line := range code.Lines(look) {
		b.WriteString(line + "\n")
	}
	return b.String()
}

// words are what can be written.
func (h *household) words() string {
	lamp := "lamp@" + h.Domain
	return fmt.Sprintf(`As %[1]s, write to %[2]s:
  claim CODE          what stands above a thing's code: it is yours then
  things, help        lists your things; says what else you can say
  allow %[3]s to read thermometer temperature
  rules, revoke 1     what you have decided; takes the first back
To a thing of yours:
  read, help          to all of them
  set lamp on         to %[4]s, and "set brightness 40"
  set locked off      to %[5]s
Or as commands, with profanity: /cmd list %[4]s/lamp
                                /cmd exec switch %[4]s/lamp
As %[3]s, with another client, when that is allowed:
  read                to thermometer@%[6]s: temperature, not humidity
  set lamp on         to %[4]s: refused, as if there were no lamp
  yes N, or no N      is what you say to %[2]s then

Or with this program, in another terminal:
  export STONECHAT_JID=%[1]s STONECHAT_PASSWORD=%[7]s
  export STONECHAT_ADDRESS=%[8]s
  export STONECHAT_CA=%[9]s
  %[10]s listen
  %[10]s send %[4]s set lamp on
`, h.you.Account, h.desk(), h.neighbour.Account, lamp, "door@"+h.Domain, h.Domain, h.you.Password, h.in.address("client"), h.certificate(), self(os.Args[0]))
}

// usedUp stands in the place of the code of a thing that is somebody's.
func usedUp(n int, thing, owner, service string) string {
	return fmt.Sprintf("\n%d. %s belongs to %s: its code is used up.\nWho owns it can say \"disown %s\" to %s, and it gets another.\n", n, thing, owner, thing, service)
}

// self is how this program is called in another terminal, given how it was called here: with make it is not where a shell looks.
func self(called string) string {
	if len(called) > 24 {
		return "stonechat" // of the words there must be room for more
	}
	return called
}
