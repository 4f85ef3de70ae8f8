// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// How to read this file: verbs is the language, one line for each sentence; Play runs a script; below are the
// actions that need more than a line.

// run is one playing of a script.
type run struct {
	server    *Server
	transport Transport
	accounts  map[string]*account // by the name that the script uses
	clients   map[string]*client
	order     []*client
	vars      matching // captures
	dialogue  []string
	counter   int
	suffix    string
	sender    *client // who acted last: where a fence comes from unless the script says otherwise
}

// action is done for every subject of a sentence in turn; "All" and "Nobody" are a client that has nothing but its run.
type action func(c *client, arg string, blocks []string)

func plain(f func(*client)) action { return func(c *client, _ string, _ []string) { f(c) } }

func sentence(pattern string) *regexp.Regexp { return regexp.MustCompile("^(?:" + pattern + ")$") }

// A pattern that ends with a colon is for sentences that XML follows.
var verbs = []struct {
	pattern *regexp.Regexp
	do      action
}{
	{sentence(`connects?(?: over (.+))?`), (*client).connectOver},
	{sentence(`disconnects?`), plain((*client).disconnect)},
	{sentence(`drops?`), plain((*client).drop)},
	{sentence(`resumes(?: over (.+))?`), (*client).resumeOver},
	{sentence(`opens a stream`), plain((*client).open)},
	{sentence(`starts TLS`), plain((*client).startTLS)},
	{sentence(`logs in(?: by (.+))?`), (*client).login},
	{sentence(`tries (.+)`), (*client).tries},
	{sentence(`binds`), plain((*client).bind)},
	{sentence(`is( not)? offered:`), (*client).offered},
	{sentence(`sends?( raw)?:`), (*client).sends},
	{sentence(`sends( binary)? frame:`), (*client).sendsFrame},
	{sentence(`sends in fragments:`), (*client).sendsFragments},
	{sentence(`pings`), plain((*client).pings)},
	{sentence(`is refused with subprotocol '(.*)'`), (*client).refusedSubprotocol},
	{sentence(`asks(?: (.+))?:`), asking("get")},
	{sentence(`tells(?: (.+))?:`), asking("set")},
	{sentence(`is answered:?`), (*client).answered},
	{sentence(`is refused with (.+ .+)`), (*client).refused},
	{sentence(`creates (.+)`), (*client).creates},
	{sentence(`configures (.+)`), (*client).configures},
	{sentence(`enters? (.+)`), (*client).enters},
	{sentence(`(?:is|are) known`), plain((*client).introduce)},
	{sentence(`makes node (.+)`), (*client).makesNode},
	{sentence(`publishes (.+ to .+)`), (*client).publishes},
	{sentence(`subscribes? to (.+)`), (*client).subscribes},
	{sentence(`queries the archive(.*)`), (*client).queries},
	{sentence(`finds( at last)?:|finds nothing`), (*client).finds},
	{sentence(`receives?( in any order)?:`), (*client).receives},
	{sentence(`may receive(?: from (\w+))?:|receives? nothing(?: from (\w+))?`), (*client).mayReceive},
	{sentence(`receives (anything) more|settle`), (*client).settle},
	{sentence(`(?:is|are) available(?: with priority (.+))?`), (*client).available},
	{sentence(`is a friend of (\w+)`), (*client).befriend},
	{sentence(`is acked (.+)`), (*client).isAcked},
	{sentence(`stops acking`), plain(func(c *client) { c.silent = true })},
	{sentence(`stream is closed(?: with (.+))?`), (*client).closed},
	{sentence(`connection ends`), plain(func(c *client) {
		for !c.next().is("", connectionEnd) {
		}
	})},
}

// failure ends a script.
type failure string

// Play runs the script against a server and returns what was said. The error is for a reader: the step, what
// differs, and the last stanzas of every client.
func (s *Script) Play(server *Server, transport Transport) (dialogue []string, err error) {
	r := &run{server: server, transport: transport, accounts: map[string]*account{}, clients: map[string]*client{},
		vars: matching{}, suffix: strings.ToLower(rand.Text()[:8])}
	for _, d := range s.clients {
		r.add(d)
		if d.account != "" && r.accounts[d.account] == nil {
			r.accounts[d.account] = r.newAccount(d)
		}
	}
	at := step{}
	defer func() {
		reason := recover()
		if f, ok := reason.(failure); ok {
			err = errors.New(r.shorthand(fmt.Sprintf("%s:%d: %s\n%s\nlast stanzas:\n  %s", s.file, at.line, at.text, f, strings.Join(r.tail(), "\n  "))))
		} else if reason != nil {
			panic(reason)
		}
		dialogue = strings.Split(r.shorthand(strings.Join(r.dialogue, "\n")), "\n")
		for _, c := range r.order {
			c.drop()
		}
	}()
	for _, at = range s.steps {
		for _, name := range at.subjects {
			c := r.clients[name]
			if c == nil {
				c = &client{r: r}
			}
			at.do(c, r.expand(at.arg), at.blocks)
		}
	}
	return nil, nil
}

func (r *run) add(d declaration) *client {
	c := &client{declaration: d, r: r, transport: r.transport, rooms: map[string]string{}}
	r.clients[d.name] = c
	r.order = append(r.order, c)
	return c
}

func (r *run) newAccount(d declaration) *account {
	a := &account{localpart: d.account + "-" + r.suffix, domain: r.server.Domain, password: rand.Text()}
	if d.second {
		a.localpart, a.domain = strings.TrimSuffix(d.account, "2")+"-"+r.suffix, r.server.Second
	}
	return a
}

func (r *run) fail(format string, args ...any) { panic(failure(fmt.Sprintf(format, args...))) }

const fenceBody = "<body>a fence of the conformance runner</body>"

func (r *run) note(c *client, direction, text string) {
	if !strings.Contains(text, fenceBody) {
		r.dialogue = append(r.dialogue, fmt.Sprintf("%-9s %s %s", c.name, direction, shorten(text)))
	}
}

// tail is the end of the dialogue, up to six lines of each client.
func (r *run) tail() (lines []string) {
	count := map[string]int{}
	for _, line := range slices.Backward(r.dialogue) {
		name, _, _ := strings.Cut(line, " ")
		if count[name]++; count[name] <= 6 {
			lines = append(lines, line)
		}
	}
	slices.Reverse(lines)
	return lines
}

// shorthand writes addresses as the script does.
func (r *run) shorthand(text string) string {
	for name := range r.accounts {
		text = strings.ReplaceAll(text, r.bare(name), "{"+name+"}")
	}
	return text
}

func (r *run) bare(account string) string {
	return r.accounts[account].localpart + "@" + r.accounts[account].domain
}

func (r *run) unique(prefix string) string {
	r.counter++
	return fmt.Sprintf("%s-%d-%s", prefix, r.counter, r.suffix)
}

// known replaces what is between braces where the script knows it, from the inside out; the rest are wildcards.
func (r *run) known(text string) string {
	for before := ""; before != text; {
		before = text
		text = braces.ReplaceAllStringFunc(text, func(s string) string {
			if value, ok := r.variable(s[1 : len(s)-1]); ok {
				return value
			}
			return s
		})
	}
	return text
}

var shortNamespace = regexp.MustCompile(`^(muc|pubsub|commands|(muc|disco|pubsub)#.+)$`)

func (r *run) variable(name string) (value string, ok bool) {
	owner, property, _ := strings.Cut(name, ".")
	word, rest, _ := strings.Cut(name, " ")
	if a := r.accounts[owner]; a != nil {
		value, ok = map[string]string{"": r.bare(owner), "local": a.localpart, "password": a.password, "suffix": "-" + r.suffix}[property]
	} else if c := r.clients[owner]; c != nil {
		value, ok = map[string]string{"": escape(c.jid), "in": fmt.Sprint(c.in), "out": fmt.Sprint(c.out), "sm": escape(c.smID), "caps": c.caps()}[property]
	} else if n, err := strconv.Atoi(word); err == nil {
		value, ok = strings.Repeat(strings.TrimPrefix(rest, "times "), n), true
	} else if name == "domain" {
		value, ok = r.server.Domain, true
	} else if name == "domain2" {
		value, ok = r.server.Second, true
	} else if name == "rooms2" {
		value, ok = "conference."+r.server.Second, true
	} else if name == "nodes2" {
		value, ok = "pubsub."+r.server.Second, true
	} else if name == "things" {
		value, ok = "things."+r.server.Domain, true
	} else if name == "registry" {
		value, ok = "registry@things."+r.server.Domain, true
	} else if name == "far room" {
		value, ok = "room-"+r.suffix+"@conference."+r.server.Second, true
	} else if name == "rooms" {
		value, ok = r.server.rooms(), true
	} else if strings.HasPrefix(name, "room") && len(name) <= len("room2") {
		value, ok = name+"-"+r.suffix+"@"+r.server.rooms(), true
	} else if name == "nodes" {
		value, ok = r.server.nodes(), true
	} else if strings.HasPrefix(name, "node") && len(name) <= len("node2") {
		value, ok = name+"-"+r.suffix, true
	} else if shortNamespace.MatchString(name) {
		value, ok = "http://jabber.org/protocol/"+name, true
	} else if word == "base64" {
		value, ok = encode(strings.ReplaceAll(rest, `\0`, "\x00")), true
	} else if word == "bytes" {
		b, err := hex.DecodeString(strings.ReplaceAll(rest, " ", ""))
		value, ok = string(b), err == nil
	} else {
		value, ok = r.vars[name]
		value = escape(value)
	}
	return value, ok
}

// expand is known for what is sent: nothing may be left open.
func (r *run) expand(text string) string {
	text = r.known(text)
	if open := braces.FindString(text); open != "" {
		r.fail("nothing is known of %s", open)
	}
	return text
}

func (r *run) patterns(text string) []*node {
	nodes, err := parseNodes(r.known(text))
	if err != nil {
		r.fail("%v", err)
	}
	return nodes
}

func (c *client) sends(raw string, blocks []string) {
	c.r.sender = c
	if text := c.r.expand(blocks[0]); raw != "" {
		c.write(text)
	} else {
		c.send("%s", text)
		c.remember(text)
	}
}

var optionPattern = regexp.MustCompile(`(\w+) '([^']*)'`)

// tries runs a SASL exchange, good or bad: "tries SCRAM-SHA-1 with password 'wrong', gs2 'y,,'".
func (c *client) tries(how string, _ []string) {
	mechanism, options, _ := strings.Cut(how, " with ")
	option := map[string]string{}
	for _, m := range optionPattern.FindAllStringSubmatch(options, -1) {
		option[m[1]] = m[2]
	}
	c.authenticate(mechanism, option)
}

func (c *client) offered(not string, blocks []string) {
	for _, want := range c.r.patterns(blocks[0]) {
		vars, isThere := c.r.vars.list([]*node{want}, c.features.Children, true, true)
		if c.r.vars = vars; isThere == (not != "") {
			c.r.fail("%s is offered %s", c.name, c.features)
		}
	}
}

// compare tries the blocks of a step in turn on elements that next gives as they are needed. It returns how many of
// them the first block that fits has used, or why none fits.
func (r *run) compare(blocks []string, anyOrder bool, next func(i int) *node) (used int, reasons string) {
blocks:
	for _, block := range blocks {
		wants, vars := r.patterns(block), r.vars
		for used = 0; len(wants) > 0; used++ {
			candidates := wants[:1]
			if anyOrder {
				candidates = wants
			}
			i, after, reason := vars.pick(candidates, next(used))
			if i < 0 {
				reasons += reason
				continue blocks
			}
			vars, wants = after, slices.Delete(wants, i, i+1)
		}
		r.vars = vars
		return used, ""
	}
	return 0, reasons
}

func (c *client) receives(anyOrder string, blocks []string) {
	var got []*node
	used, reasons := c.r.compare(blocks, anyOrder != "", func(i int) *node {
		if len(got) == i {
			got = append(got, c.next())
		}
		return got[i]
	})
	if reasons != "" {
		c.r.fail("%s", reasons)
	}
	c.inbox = slices.Concat(got[used:], c.inbox)
}

// fence sends a marked stanza down the path that others took. What comes before it was sent before it: so "receives
// nothing" is proven, not waited for.
func (c *client) fence(to *client) (isFence func(*node) bool) {
	if c == nil || c.jid == "" || to.jid == "" {
		c.r.fail("a fence needs two bound clients: say from whom something would have come")
	}
	id := c.r.unique("fence")
	c.send("<message type='headline' id='%s' to='%s'>%s</message>", id, escape(to.jid), fenceBody)
	return func(n *node) bool { return n.get("id") == id }
}

// mayReceive wants nothing before the fence, or one of the blocks where there are any.
func (c *client) mayReceive(from string, blocks []string) {
	sender := c.r.sender
	if from != "" {
		sender = c.r.clients[from]
	}
	_, before := c.waitFor(sender.fence(c))
	if len(before) == 0 {
		return
	}
	_, reasons := c.r.compare(blocks, false, func(int) *node { return before[0] })
	if blocks == nil || reasons != "" || len(before) > 1 {
		c.r.fail("%swant nothing else\ngot  %s", reasons, before)
	}
}

// settle sends fences from everybody to everybody. What came before them is forgotten, or must not be there.
func (all *client) settle(anything string, _ []string) {
	r := all.r
	fences := map[*client][]func(*node) bool{}
	for _, from := range r.order {
		for _, to := range r.order {
			if from.conn != nil && to.conn != nil && from.jid != "" && to.jid != "" {
				fences[to] = append(fences[to], from.fence(to))
			}
		}
	}
	for _, to := range r.order {
		for left := fences[to]; len(left) > 0; {
			n := to.next()
			rest := slices.DeleteFunc(left, func(isFence func(*node) bool) bool { return isFence(n) })
			if len(rest) == len(left) && anything != "" || n.is("", connectionEnd) {
				r.fail("%s received %s", to.name, n)
			}
			left = rest
		}
		if to.conn != nil && to.sm && !to.silent {
			to.ack() // a fence that is not acknowledged could come back as an error
		}
	}
}

// available sends initial presence and waits for it to come back (RFC 6121 §4.2.2).
func (c *client) available(priority string, _ []string) {
	c.r.sender = c
	if priority != "" {
		priority = "<priority>" + priority + "</priority>"
	}
	c.send("<presence>%s%s</presence>", priority, c.caps())
	c.find(func(n *node) bool { return n.is(nsClient, "presence") && n.get("from") == c.jid && n.get("type") == "" })
	c.disclose()
}

// befriend subscribes two accounts to each other's presence, by sessions of their own that are gone afterwards.
func (c *client) befriend(other string, _ []string) {
	before := len(c.r.dialogue)
	var pair []*client
	for _, of := range []*client{c, c.r.clients[other]} {
		s := c.r.add(declaration{name: of.name + "'s", account: of.account, second: of.second, resource: "befriend", stage: bound})
		s.connect()
		s.request("get", "<query xmlns='jabber:iq:roster'/>")
		s.available("", nil)
		pair = append(pair, s)
	}
	presence := func(from, to *client, kind string) {
		from.send("<presence type='%s' to='%s'/>", kind, c.r.bare(to.account))
		to.find(func(n *node) bool { return n.is(nsClient, "presence") && n.get("type") == kind })
	}
	for i, s := range pair {
		presence(s, pair[1-i], "subscribe")
		presence(pair[1-i], s, "subscribed")
	}
	for _, s := range pair {
		s.waitFor(func(n *node) bool {
			return n.child("jabber:iq:roster", "query").child("jabber:iq:roster", "item").get("subscription") == "both"
		})
	}
	pair[0].disconnect()
	pair[1].waitFor(func(n *node) bool { return n.get("type") == "unavailable" && n.get("from") == pair[0].jid })
	pair[1].send("<presence type='unavailable'/>")
	asking("get")(pair[1], pair[0].domain(), []string{"<ping xmlns='urn:xmpp:ping'/>"}) // the answer comes behind what that server was told
	pair[1].answered("", nil)
	pair[1].disconnect()
	c.r.dialogue = c.r.dialogue[:before]
}

// isAcked asks for acknowledgements until all that the script says are there; none may be too many.
func (c *client) isAcked(count string, _ []string) {
	c.send("<r xmlns='%s'/>", nsSM)
	for answered := false; !answered || fmt.Sprint(c.acked) != count; {
		n := c.receive()
		if n.is("", connectionEnd) {
			c.r.fail("%s lost its connection, %d stanzas acked", c.name, c.acked)
		}
		answered = answered || n.is(nsSM, "a")
		if !c.acknowledgement(n) {
			c.inbox = append(c.inbox, n)
		}
	}
}

// closed wants the stream's end, after a stream error where the script names one (RFC 6120 §4.9.1.1).
func (c *client) closed(conditions string, _ []string) {
	if conditions != "" {
		n := c.expect(nsStreams, "error")
		if !slices.ContainsFunc(strings.Split(conditions, " or "), func(s string) bool { return n.child(nsErrors, s).is(nsErrors, s) }) {
			c.r.fail("want %s\ngot  %s", conditions, n)
		}
	}
	for _, want := range []string{streamEnd, connectionEnd} {
		if n := c.next(); !n.is("", want) {
			c.r.fail("want %s\ngot  %s", want, n)
		}
		if want == streamEnd {
			c.write(c.transport.close)
		}
	}
	c.drop()
}
