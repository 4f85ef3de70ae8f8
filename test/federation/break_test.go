// SPDX-License-Identifier: Apache-2.0

//go:build linux

package federation

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/xml"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/client"
	"github.com/stonechat-im/stonechat/test/program"
	"github.com/stonechat-im/stonechat/xmpp/delay"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/mam"
	"github.com/stonechat-im/stonechat/xmpp/rsm"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// How to read this file: a person sends numbered messages to another on another server, while one of the two servers is
// killed, as by a power cut, and comes back, perhaps at another address. account counts what became of each message, and
// whether our server knew better of what is lost.

// breakage is one row: who is killed, and what may be lost.
type breakage struct {
	name      string
	near, far software
	killNear  bool
	moves     bool // it comes back at another address, which DNS tells
	lossless  bool // the two acknowledge what they take (XEP-0198), and only when it is safe
	ordered   bool
}

func breakages() []breakage {
	return []breakage{
		{"receiver's server", stonechat(), stonechat(), false, false, true, true},
		{"receiver's server moves", stonechat(), stonechat(), false, true, true, true},
		{"sender's server", stonechat(), stonechat(), true, false, true, true},
		{"Prosody", stonechat(), prosody(), false, false, false, true},
		{"ejabberd", stonechat(), ejabberd(), false, false, false, false}, // it keeps what comes while Juliet does, and shows it when she comes again
		{"Prosody sends", prosody(), stonechat(), false, false, false, false},
		{"ejabberd sends", ejabberd(), stonechat(), false, false, false, false},
	}
}

const traffic = 1500

func TestBreak(t *testing.T) {
	for _, x := range breakages() {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			b := newBed(t)
			near := b.add(x.near, "verona.example", setting{})
			far := b.add(x.far, "mantua.example", setting{})
			b.start()
			romeo, juliet := newPerson(t, near, "romeo"), newPerson(t, far, "juliet")
			juliet.awaits(near)
			victim := far
			if x.killNear {
				victim = near
			}
			said := make(chan struct{})
			go func() {
				defer close(said)
				romeo.talk(t, juliet)
			}()
			juliet.await(t, traffic/4)
			before := juliet.has()
			victim.stop()
			flying := romeo.flying(before)
			romeo.awaitSent(t, traffic/2)
			if x.moves {
				victim.move()
			}
			victim.start()
			<-said
			account(t, x, romeo, juliet, flying)
		})
	}
}

// move gives the server another address before it starts again.
func (s *server) move() {
	s.hostMu.Lock()
	s.host = program.Loopback()
	s.hostMu.Unlock()
	s.configure(s.bed.t, s)
	s.bed.names.move(s.domain, s.host)
}

// person is a client that comes back by itself, and what it has sent and got.
type person struct {
	client *client.Client
	jid    jid.JID

	board
	sent     int
	arrived  []int        // numbers, as they came
	returned map[int]bool // numbers that came back with an error
	server   jid.JID      // of who sends
	again    map[int]bool // numbers that it says it has sent late
}

// awaits says from whom p expects messages.
func (p *person) awaits(s *server) { p.server = jid.MustParse(s.domain) }

// late reports whether the sender's server says that m is late: it was sent again, or waited.
func (p *person) late(m *stanza.Stanza) bool {
	for i := range m.Len() {
		space, _, _ := m.Child(i)
		d := new(delay.Delay)
		if string(space) == delay.NS && d.DecodeXML(xmlstream.NewReader(m.Bytes(i), stanza.NSClient)) == nil && d.From == p.server {
			return true
		}
	}
	return false
}

func newPerson(t *testing.T, s *server, name string) *person {
	t.Helper()
	register(t, s, name)
	p := &person{jid: jid.MustParse(name + "@" + s.domain), board: newBoard(), returned: map[int]bool{}, again: map[int]bool{}}
	roots := x509.NewCertPool()
	roots.AddCert(s.bed.known.cert)
	var err error
	p.client, err = client.New(client.Config{Account: p.jid, Password: password, Address: s.at(clientTLSPort), DirectTLS: true, RootCAs: roots,
		BackoffMin: 100 * time.Millisecond, BackoffMax: time.Second, QueueStanzas: 2 * traffic, QueueBytes: 16 << 20,
		Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, s.at(clientTLSPort))
		}})
	if err != nil {
		t.Fatal(err)
	}
	p.client.Handle(stanza.Message, xmlstream.Name{}, func(_ context.Context, m *stanza.Stanza) {
		if n, err := strconv.Atoi(string(m.ID)); err == nil {
			late := p.late(m)
			p.change(func() {
				p.arrived = append(p.arrived, n)
				p.again[n] = p.again[n] || late
			})
		}
	})
	p.client.HandleErrors(func(_ context.Context, m *stanza.Stanza) {
		if n, err := strconv.Atoi(string(m.ID)); err == nil {
			p.change(func() { p.returned[n] = true })
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), startTime)
	defer cancel()
	if err := p.client.Connect(ctx); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.client.Close() })
	if err := p.client.Announce(ctx, client.Availability{}); err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *person) await(t *testing.T, count int) {
	if !p.until(time.Minute, func() bool { return len(p.arrived) >= count }) {
		t.Errorf("%s has not got %d messages", p.jid, count)
	}
}

func (p *person) awaitSent(t *testing.T, count int) {
	if !p.until(time.Minute, func() bool { return p.sent >= count }) {
		t.Errorf("%s has not sent %d messages", p.jid, count)
	}
}

// has are the numbers that have come.
func (p *person) has() map[int]bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	has := map[int]bool{}
	for _, n := range p.arrived {
		has[n] = true
	}
	return has
}

// flying are the numbers that p has sent till now, and that had not come.
func (p *person) flying(had map[int]bool) map[int]bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	flying := map[int]bool{}
	for n := 0; n <= p.sent; n++ { // one more may be written and not counted yet
		if !had[n] {
			flying[n] = true
		}
	}
	return flying
}

// talk sends all, at a pace at which the break falls into the middle.
func (p *person) talk(t *testing.T, to *person) {
	pace := time.NewTicker(4 * time.Millisecond)
	defer pace.Stop()
	for n := range traffic {
		<-pace.C
		if !p.send(t, to, n) {
			return
		}
		p.change(func() { p.sent++ })
	}
}

func (p *person) send(t *testing.T, to *person, n int) bool {
	m := stanza.Text(stanza.Chat, to.jid, fmt.Sprint("message ", n))
	m.ID = []byte(strconv.Itoa(n))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	err := p.client.Send(ctx, m)
	if err != nil {
		t.Errorf("%s cannot send: %v", p.jid, err)
	}
	return err == nil
}

// archived are the numbers of what the archive of p has.
func (p *person) archived(t *testing.T) map[int]bool {
	t.Helper()
	has := map[int]bool{}
	last := ""
	p.client.Handle(stanza.Message, (*mam.Result)(nil).XMLName(), func(_ context.Context, m *stanza.Stanza) {
		var r mam.Result
		if _, err := m.Decode(&r); err != nil {
			t.Error(err)
			return
		}
		if kept, err := stanza.Parse(r.Forwarded.Stanza); err == nil {
			p.change(func() {
				last = r.ID
				if n, err := strconv.Atoi(string(kept.ID)); err == nil {
					has[n] = true
				}
			})
		}
	})
	for after := ""; ; {
		most := 100
		var fin mam.Fin
		answer, err := p.client.IQ(t.Context(), jid.JID{}, stanza.Set, &mam.Query{QueryID: "q", Set: &rsm.Set{Max: &most, After: after}})
		if err == nil {
			_, err = answer.Decode(&fin)
		}
		if err != nil {
			t.Fatal(err)
		}
		if !p.until(time.Minute, func() bool { return fin.Set.Last == "" || last == fin.Set.Last }) {
			t.Fatal("a page of the archive does not come")
		}
		if after = fin.Set.Last; fin.Complete || after == "" {
			break
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Clone(has)
}

// account waits until everything is accounted for, or, where some may be lost, until what was sent last has come. What
// is lost was flying when the server was killed: a message sent later was either kept for the other server or refused. What the
// other server has in her archive and has not sent her is its loss: ejabberd reads what waits for who comes before it has written
// the last of it, and removes both.
func account(t *testing.T, x breakage, romeo, juliet *person, flying map[int]bool) {
	t.Helper()
	first := func() (seen map[int]bool, disorder int) {
		seen = map[int]bool{}
		last := -1
		for _, n := range juliet.arrived {
			if n >= traffic {
				continue
			}
			if !seen[n] {
				if n < last {
					disorder++
				}
				last = n
			}
			seen[n] = true
		}
		return seen, disorder
	}
	missing := func() (numbers []int) {
		romeo.mu.Lock()
		defer romeo.mu.Unlock()
		seen, _ := first()
		for n := range traffic {
			if !seen[n] && !romeo.returned[n] {
				numbers = append(numbers, n)
			}
		}
		return numbers
	}
	whole := juliet.until(20*time.Second, func() bool { return len(missing()) == 0 })
	for n := traffic; !whole; n++ { // nothing comes behind what arrives last
		romeo.send(t, juliet, n)
		if juliet.until(10*time.Second, func() bool {
			return len(missing()) == 0 || len(juliet.arrived) > 0 && juliet.arrived[len(juliet.arrived)-1] == n
		}) || n == traffic+6 {
			break
		}
	}
	if len(missing()) > 0 { // some may be kept for who comes
		ctx, cancel := context.WithTimeout(t.Context(), startTime)
		defer cancel()
		if err := errors.Join(juliet.client.Withdraw(ctx), juliet.client.Announce(ctx, client.Availability{})); err != nil {
			t.Error(err)
		}
		juliet.until(10*time.Second, func() bool { return len(missing()) == 0 })
	}
	lost := missing()
	if x.far.name == "ejabberd" && len(lost) > 0 {
		has := juliet.archived(t)
		kept := slices.DeleteFunc(slices.Clone(lost), func(n int) bool { return flying[n] || !has[n] })
		lost = slices.DeleteFunc(lost, func(n int) bool { return slices.Contains(kept, n) })
		t.Logf("%s has %v in Juliet's archive, and did not send it when she came", x.far.name, kept)
	}
	juliet.mu.Lock()
	defer juliet.mu.Unlock()
	seen, disorder := first()
	late := slices.DeleteFunc(slices.Clone(lost), func(n int) bool { return flying[n] })
	t.Logf("%d sent: %d arrived, %d twice, %d out of order; %d came back; %d were under way at the kill, of which %d are lost; %d of others", traffic,
		len(seen), len(juliet.arrived)-len(seen), disorder, len(romeo.returned), len(flying), len(lost)-len(late), len(late))
	if x.lossless && len(lost) > 0 {
		t.Errorf("lost: %v", lost)
	}
	if len(late) > 0 {
		t.Errorf("lost, though not under way when the server was killed: %v", late)
	}
	// Our server sends again, in order, all that the other has not confirmed: what is lost before that, the other had.
	if x.near.name == "stonechat" && !x.killNear {
		first := traffic
		for n, again := range juliet.again {
			if again {
				first = min(first, n)
			}
		}
		ours := slices.DeleteFunc(slices.Clone(lost), func(n int) bool { return n < first })
		t.Logf("%s had confirmed all up to %d, and %d of those are lost; the others came again", x.far.name, first-1, len(lost)-len(ours))
		if len(ours) > 0 {
			t.Errorf("lost, and the other server had not confirmed them: %v", ours)
		}
	}
	if x.ordered && disorder > 0 {
		t.Errorf("%d came before an earlier one: %v", disorder, juliet.arrived)
	}
	if len(seen) < traffic/2 {
		t.Errorf("only %d of %d arrived", len(seen), traffic)
	}
}

const password = "wherefore art thou"

// register makes an account (XEP-0077) over direct TLS.
func register(t *testing.T, s *server, name string) {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AddCert(s.bed.known.cert)
	raw, err := s.within.Dial(t.Context(), s.at(clientTLSPort))
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	conn := tls.Client(raw, &tls.Config{ServerName: s.domain, RootCAs: roots})
	if err := conn.SetDeadline(time.Now().Add(startTime)); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(conn, `<stream:stream to='%s' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>`+
		`<iq type='set' id='r'><query xmlns='jabber:iq:register'><username>%s</username><password>%s</password></query></iq>`, s.domain, name, password)
	for d := xml.NewDecoder(conn); ; {
		token, err := d.Token()
		if err != nil {
			t.Fatalf("registering %s: %v", name, err)
		}
		e, ok := token.(xml.StartElement)
		if !ok || e.Name.Local != "iq" {
			continue
		}
		for _, a := range e.Attr {
			if a.Name.Local == "type" && a.Value == "result" {
				return
			}
		}
		t.Fatalf("registering %s: refused: %v", name, e.Attr)
	}
}
