// SPDX-License-Identifier: Apache-2.0

package thing_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/stonechat-im/stonechat/client"
	"github.com/stonechat-im/stonechat/internal/testserver"
	"github.com/stonechat-im/stonechat/thing"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

func TestMain(m *testing.M) {
	stop := forExamples()
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) { stop(code) }), goleak.IgnoreCurrent())
}

const owner = "nurse@example.org"

var roomAddress = jid.MustParse("robots@rooms.example.org")

// lab is a thing and the server that a test plays.
type lab struct {
	*testserver.Network
	config thing.Config
	thing  *thing.Thing
	done   chan error
	cancel context.CancelFunc
}

// inLab runs a test in a bubble.
func inLab(t *testing.T, test func(t *testing.T, l *lab)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		l := &lab{Network: testserver.NewNetwork(t, testserver.Options{}), done: make(chan error, 1)}
		defer l.Close()
		l.config = thing.Config{
			Client: client.Config{
				Account: jid.MustParse(testserver.Account), Password: testserver.Password, Address: "x:1", WithoutTLS: true,
				Dial: func(ctx context.Context, _, _ string) (net.Conn, error) { return l.Dial(ctx.Done()) },
			},
			Owner: jid.MustParse(owner),
		}
		defer func() {
			if l.thing != nil {
				l.cancel()
				<-l.done
			}
		}()
		test(t, l)
	})
}

// run makes the thing and runs it.
func (l *lab) run(t *testing.T) {
	t.Helper()
	var err error
	if l.thing, err = thing.New(l.config); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	l.cancel = cancel
	go func() {
		l.done <- l.thing.Run(ctx)
		close(l.done)
	}()
}

// start runs the thing and gives it a session.
func (l *lab) start(t *testing.T) *testserver.Peer {
	t.Helper()
	l.run(t)
	p := l.Accept()
	p.Session("s1")
	p.Expect("<presence id='[^']+'>.*|<presence id='[^']+'/>")
	return p
}

// refuse is the service that is asked what somebody may, and says no.
func refuse(p *testserver.Peer, question, jid, names string) {
	decide(p, question, jid, names, "false", "")
}

// decide is the service that is asked, and answers.
func decide(p *testserver.Peer, question, jid, names, result, granted string) {
	p.T.Helper()
	if names != "" {
		names = ">" + names + "</" + question + ">"
	} else {
		names = "/>"
	}
	id := p.Expect("<iq to='things.example.org' id='([^']+)' type='get'><" + question + " xmlns='urn:xmpp:iot:provisioning' jid='" + jid + "'" + names + "</iq>")[1]
	p.Say("<iq from='things.example.org' id='%s' type='result'><%sResponse xmlns='urn:xmpp:iot:provisioning' jid='%s' result='%s'>%s</%[2]sResponse></iq>",
		id, question, jid, result, granted)
}

// reading is the message of a reading, as a pattern; the time in seconds since 2000.
func reading(body, pack string, seconds int, stamped bool) string {
	pack = strings.ReplaceAll(pack, "T", fmt.Sprint(946684800+seconds))
	s := "<message to='nurse@example.org' id='[^']+' type='chat'><body>" + body + "</body>" +
		"<payload xmlns='urn:xmpp:json-msg:0' datatype='urn:ietf:rfc:8428'><json xmlns='urn:xmpp:json:0'>\\[" +
		strings.ReplaceAll(pack, "\"", "&quot;") + "\\]</json></payload>"
	if stamped {
		s += fmt.Sprintf("<delay xmlns='urn:xmpp:delay' stamp='2000-01-01T00:%02d:%02dZ'/>", seconds/60, seconds%60)
	}
	return s + "</message>"
}

// A reading is a text and the same in SenML.
func TestReport(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		p := l.start(t)
		for _, c := range []struct {
			fields []thing.Field
			want   string
		}{
			{[]thing.Field{{Name: "temperature", Value: thing.Number(21.5), Unit: "Cel"}},
				reading("temperature 21.5 °C", `{"n":"temperature","u":"Cel","v":21.5,"t":T}`, 0, false)},
			{[]thing.Field{{Name: "motion", Value: thing.Bool(true)}, {Name: "state", Value: thing.Text("a & b")}},
				reading("motion on, state a &amp; b", `{"bt":T,"n":"motion","vb":true},{"n":"state","vs":"a &amp; b"}`, 0, false)},
			{[]thing.Field{{Name: "level", Value: thing.Number(0), Unit: "m", Time: time.Unix(946684803, 0)}},
				reading("level 0 m", `{"n":"level","u":"m","v":0,"t":T}`, 3, false)},
		} {
			if err := l.thing.Report(c.fields...); err != nil {
				t.Fatal(err)
			}
			p.Expect(c.want)
		}
		for _, f := range []thing.Field{
			{}, {Name: "x"}, {Value: thing.Number(1)}, {Name: "a b", Value: thing.Number(1)}, {Name: "-x", Value: thing.Number(1)},
			{Name: "x", Value: thing.Number(math.NaN())}, {Name: "x", Value: thing.Number(math.Inf(1))},
		} {
			if err := l.thing.Report(f); err == nil {
				t.Errorf("%v is told", f)
			}
		}
		if err := l.thing.Report(); err == nil {
			t.Error("nothing is told")
		}
		go func() { _ = p.End() }()
	})
}

// What was measured without a connection is told afterwards, in order, with its time; what is
// too much goes, the oldest first.
func TestOffline(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.config.Keep = 30
		l.config.Every = time.Minute
		n := 0
		l.config.Read = func(context.Context) ([]thing.Field, error) {
			n++
			if n == 2 {
				return nil, errors.New("the sensor is loose") // and the thing goes on
			}
			return []thing.Field{{Name: "n", Value: thing.Number(float64(n))}}, nil
		}
		l.run(t)
		<-time.After(49*time.Minute + time.Second)
		// 50 were measured, one failed; 16 of them the client has already, 30 are kept.
		if d := l.thing.Dropped(); d != 3 {
			t.Errorf("%d readings were dropped", d)
		}
		for range 100 {
			l.Refuse()
			if n >= 50 {
				break
			}
		}
		p := l.Accept()
		p.Session("s1")
		p.Expect("<presence .*")
		at := func(n int) string {
			return reading(fmt.Sprintf("n %d", n), fmt.Sprintf(`{"n":"n","v":%d,"t":T}`, n), (n-1)*60, true)
		}
		p.Expect(at(1))
		for i := 3; i <= 17; i++ {
			p.Expect(at(i))
		}
		for i := 21; i <= 49; i++ {
			p.Expect(at(i))
		}
		go func() { _ = p.End() }()
	})
}

// The owner's commands, and nobody else's.
func TestCommands(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		lamp, limit := false, 0.0
		l.config.Name = "A lamp"
		l.config.Parameters = []thing.Parameter{
			{Name: "lamp", Kind: thing.Boolean,
				Set: func(_ context.Context, v thing.Value) error { lamp = v.Bool(); return nil },
				Get: func(context.Context) (thing.Value, error) { return thing.Bool(lamp), nil }},
			{Name: "limit", Kind: thing.Numeric, Unit: "W", Set: func(_ context.Context, v thing.Value) error {
				if v.Number() > 60 {
					return errors.New("the fuse would blow")
				}
				limit = v.Number()
				return nil
			}},
			{Name: "label", Kind: thing.String, Set: func(context.Context, thing.Value) error { return nil }},
		}
		l.config.Read = func(context.Context) ([]thing.Field, error) {
			return []thing.Field{{Name: "power", Value: thing.Number(5), Unit: "W"}}, nil
		}
		p := l.start(t)
		say := func(from, attrs, body, more string) {
			p.Say("<message from='%s' %s><body>%s</body>%s</message>", from, attrs, body, more)
		}
		const help = "I understand:\nhelp\nread\nset lamp on.off\nset limit NUMBER\nset label TEXT"
		for _, c := range []struct{ body, answer string }{
			{"help", help},
			{" HELP ", help},
			{"read", "power 5 W, lamp off</body><payload .*"},
			{"set lamp on", "done: lamp on</body><payload .*"},
			{"Set LAMP True", "done: lamp on</body><payload .*"},
			{"read", "power 5 W, lamp on</body><payload .*&quot;n&quot;:&quot;lamp&quot;,&quot;vb&quot;:true.*"},
			{"set lamp dim", "lamp: .dim. is neither on nor off"},
			{"set limit 40.5", "done: limit 40.5 W.*"},
			{"set limit 100", "limit: the fuse would blow"},
			{"set limit NaN", "limit: .NaN. is not a number"},
			{"set label to the left", "done: label to the left.*"},
			{"set heater on", "There is no heater. " + help},
			{"set lamp", "I do not understand that. " + help},
			{"open the door", "I do not understand that. " + help},
			{"help me", "I do not understand that. " + help},
		} {
			say(owner+"/phone", "type='chat' id='1'", c.body, "")
			p.Expect("<message to='nurse@example.org' id='[^']+' type='chat'><body>" + c.answer + ".*</message>")
		}
		if !lamp || limit != 40.5 {
			t.Errorf("lamp %t, limit %g", lamp, limit)
		}
		// What has waited is not obeyed, however it is stamped.
		for _, stamp := range []string{"1999-12-31T23:58:00Z", "yesterday"} {
			say(owner+"/phone", "", "set lamp off", "<delay xmlns='urn:xmpp:delay' stamp='"+stamp+"'/>")
			p.Expect("<message .*has waited too long.*")
		}
		say(owner+"/phone", "", "set limit 1", "<delay xmlns='urn:xmpp:delay' stamp='1999-12-31T23:59:30Z'/>")
		p.Expect("<message .*done: limit 1 W.*")
		// Others get nothing at all.
		for _, from := range []string{"romeo@example.org/x", "nurse@example.net/x", "example.org", "xnurse@example.org"} {
			say(from, "type='chat'", "set lamp off", "")
			bare, _, _ := strings.Cut(from, "/")
			refuse(p, "canControl", bare, "<parameter name='lamp'/>")
			refuse(p, "canRead", bare, "") // whether it may be told no
		}
		say(owner+"/phone", "type='headline'", "set lamp off", "")
		say(owner+"/phone", "type='groupchat'", "set lamp off", "")
		say(owner+"/phone", "type='error'", "set lamp off", "")
		say(owner+"/phone", "", " ", "")
		p.Say("<message from='%s/phone'/>", owner)
		p.Say("<iq from='romeo@example.org/x' id='fence' type='get'><ping xmlns='urn:xmpp:ping'/></iq>")
		p.Expect("<iq to='romeo@example.org/x' id='fence' type='result'/>")
		if !lamp {
			t.Error("a stranger was obeyed")
		}
		go func() { _ = p.End() }()
	})
}

// A thing without Read tells what it reported last.
func TestReadLast(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		p := l.start(t)
		ask := "<message from='" + owner + "/x' type='chat'><body>read</body></message>"
		p.Say("%s", ask)
		p.Expect("<message .*there is nothing to read yet.*")
		if err := l.thing.Report(thing.Field{Name: "door", Value: thing.Bool(false)}); err != nil {
			t.Fatal(err)
		}
		p.Expect("<message .*door off.*")
		p.Say("%s", ask)
		p.Expect("<message .*door off.*")
		go func() { _ = p.End() }()
	})
}

// The owner may see the thing, others may not; and it says what it is.
func TestWhoMaySee(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		l.config.Name = "Thermometer"
		l.config.Transient = true
		p := l.start(t)
		p.Say("<presence type='subscribe' from='%s'/>", owner)
		p.Expect("<presence to='nurse@example.org' id='[^']+' type='subscribed'/>")
		p.Say("<presence type='subscribe' from='romeo@example.org'/>")
		refuse(p, "isFriend", "romeo@example.org", "")
		p.Expect("<presence to='romeo@example.org' id='[^']+' type='unsubscribed'/>")
		p.Say("<presence from='%s/x'/><message type='error' from='%s'/>", owner, owner)
		p.Say("<iq from='%s/x' id='1' type='get'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>", owner)
		p.Expect("<iq .*<identity category='device' type='iot' name='Thermometer'/>.*<feature var='urn:xmpp:json-msg:0#urn:ietf:rfc:8428'/>.*")
		if err := l.thing.Report(thing.Field{Name: "x", Value: thing.Number(1)}); err != nil {
			t.Fatal(err)
		}
		p.Expect("<message to='nurse@example.org' id='[^']+' type='chat'>.*<no-store xmlns='urn:xmpp:hints'/></message>")
		go func() { _ = p.End() }()
	})
}

// Sync is over when the server has everything.
func TestSync(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		p := l.start(t)
		p.Rest = true
		for i := range 40 {
			if err := l.thing.Report(thing.Field{Name: "n", Value: thing.Number(float64(i))}); err != nil {
				t.Fatal(err)
			}
		}
		synced := make(chan error, 1)
		go func() { synced <- l.thing.Sync(t.Context()) }()
		for i := range 40 {
			p.Expect(fmt.Sprintf("<message .*<body>n %d</body>.*", i))
			synctest.Wait()
			if len(synced) > 0 {
				t.Fatalf("Sync ends after %d readings: %v", i, <-synced)
			}
			p.Ack()
		}
		if err := <-synced; err != nil {
			t.Error(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := l.thing.Report(thing.Field{Name: "n", Value: thing.Number(40)}); err != nil {
			t.Fatal(err)
		}
		if err := l.thing.Sync(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Sync without an answer: %v", err)
		}
		p.Rest = false
		go func() { _ = p.End() }()
	})
}

// At the end it tells what it has.
func TestEnd(t *testing.T) {
	inLab(t, func(t *testing.T, l *lab) {
		p := l.start(t)
		for i := range 40 {
			if err := l.thing.Report(thing.Field{Name: "n", Value: thing.Number(float64(i))}); err != nil {
				t.Fatal(err)
			}
		}
		l.cancel()
		for i := range 40 {
			p.Expect(fmt.Sprintf("<message .*<body>n %d</body>.*", i))
		}
		if err := p.End(); err != nil {
			t.Errorf("the stream ended with %v", err)
		}
		if err := <-l.done; err != nil {
			t.Errorf("it ended with %v", err)
		}
	})
	// A refused password is no reason to try for ever.
	inLab(t, func(t *testing.T, l *lab) {
		l.config.Client.Password = "wrong"
		l.run(t)
		l.Serve(nil, func(p *testserver.Peer) { _ = p.End() })
		if err := <-l.done; err == nil || !strings.Contains(err.Error(), "not-authorized") {
			t.Errorf("it ended with %v", err)
		}
	})
}

func TestConfig(t *testing.T) {
	set := func(context.Context, thing.Value) error { return nil }
	good := thing.Config{
		Client: client.Config{Account: jid.MustParse(testserver.Account), Password: "x"}, Owner: jid.MustParse(owner),
	}
	if _, err := thing.New(good); err != nil {
		t.Error(err)
	}
	for name, change := range map[string]func(*thing.Config){
		"no person":    func(c *thing.Config) { c.Owner = jid.MustParse("example.org") },
		"its own":      func(c *thing.Config) { c.Owner = c.Client.Account },
		"no account":   func(c *thing.Config) { c.Client.Account = jid.JID{} },
		"no waking":    func(c *thing.Config) { c.Sleep = true },
		"no Read":      func(c *thing.Config) { c.Every = time.Second },
		"a name":       func(c *thing.Config) { c.Parameters = []thing.Parameter{{Name: "a b", Kind: thing.String, Set: set}} },
		"a kind":       func(c *thing.Config) { c.Parameters = []thing.Parameter{{Name: "a", Set: set}} },
		"a kind above": func(c *thing.Config) { c.Parameters = []thing.Parameter{{Name: "a", Kind: 9, Set: set}} },
		"a Set":        func(c *thing.Config) { c.Parameters = []thing.Parameter{{Name: "a", Kind: thing.String}} },
	} {
		c := good
		change(&c)
		if err := thing.Run(t.Context(), c); err == nil {
			t.Errorf("%s is not asked for", name)
		}
	}
}

// What programs read of a thing's messages. RFC 8428
func TestFieldsOf(t *testing.T) {
	message := func(datatype, pack string) *stanza.Stanza {
		s, err := stanza.Parse([]byte("<message xmlns='jabber:client'><payload xmlns='urn:xmpp:json-msg:0' datatype='" + datatype +
			"'><json xmlns='urn:xmpp:json:0'>" + pack + "</json></payload></message>"))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	at := time.Unix(1320067464, 500_000_000).UTC()
	for pack, want := range map[string][]thing.Field{
		`[{"n":"a","v":1.5,"u":"Cel","t":1320067464.5},{"n":"b","vb":false},{"n":"c","vs":"x"},{"n":"d","vd":"aGkg"}]`: {
			{Name: "a", Value: thing.Number(1.5), Unit: "Cel", Time: at}, {Name: "b", Value: thing.Bool(false)}, {Name: "c", Value: thing.Text("x")},
			{Name: "d", Value: thing.Text("aGkg")}},
		`[{"bn":"dev:","bt":1320067464,"bu":"W"},{"n":"p","v":3,"t":0.5},{"n":"q","v":4,"u":"V","t":-5}]`: {
			{Name: "dev:p", Value: thing.Number(3), Unit: "W", Time: at},
			{Name: "dev:q", Value: thing.Number(4), Unit: "V", Time: time.Unix(1320067459, 0).UTC()}},
	} {
		got, err := thing.FieldsOf(message(thing.Datatype, pack))
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %v, %v", pack, got, err)
		}
	}
	for name, s := range map[string]*stanza.Stanza{
		"another type": message("urn:x", "[1]"), "none": stanza.Text(stanza.Chat, jid.JID{}, "x"),
	} {
		if got, err := thing.FieldsOf(s); got != nil || err != nil {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	for _, pack := range []string{"1", "[]", `{"n":1}`, `[{"n":1}]`, `[1]`, "x"} {
		if _, err := thing.FieldsOf(message(thing.Datatype, pack)); err == nil {
			t.Errorf("%s is taken", pack)
		}
	}
}

// What was written is what is read.
func TestValues(t *testing.T) {
	for _, v := range []thing.Value{thing.Number(-0.25), thing.Number(1e21), thing.Bool(true), thing.Bool(false), thing.Text("a b")} {
		if got, err := thing.ParseValue(v.Kind(), v.String()); err != nil || got.String() != v.String() {
			t.Errorf("%v: %v, %v", v, got, err)
		}
	}
	if _, err := thing.ParseValue(0, "x"); err == nil {
		t.Error("a value of no kind")
	}
}
