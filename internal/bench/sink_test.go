// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"strings"
	"testing"
	"time"
)

// peer is a server that talks to the sink.
func peer(t *testing.T, s *Sink) *wire {
	t.Helper()
	d := newDialer(Target{Kind: XMPP, Security: StartTLS, Addr: s.listener.Addr().String(), Domain: "d1.sink.test"}, Session{})
	w, err := d.connect(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.s.sock.Close() })
	features, err := w.open("d1.sink.test")
	if err != nil {
		t.Fatal(err)
	}
	if features, err = w.startTLS(d.tls, "d1.sink.test", features); err != nil || !strings.Contains(string(features), "<dialback") {
		t.Fatalf("%s, %v; want dialback from who showed no certificate", features, err)
	}
	return w
}

func newSink(t *testing.T) *Sink {
	t.Helper()
	s, err := NewSink("127.0.0.1:0", fakeTLS(t).Certificates[0])
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func say(t *testing.T, w *wire, text, want string) {
	t.Helper()
	if err := w.s.write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if answer, err := w.next(); err != nil || !strings.Contains(string(answer), want) {
		t.Fatalf("%s was answered by %s, %v; want %s", text, answer, err, want)
	}
}

func TestSink(t *testing.T) {
	s := newSink(t)
	w := peer(t, s)
	came := s.next("d1.sink.test")
	say(t, w, "<db:result from='here.test' to='d1.sink.test'>key</db:result>", "type='valid'")
	if err := w.s.write([]byte("<enable xmlns='urn:xmpp:sm:3'/>")); err != nil {
		t.Fatal(err)
	}
	if _, err := w.expect("enabled"); err != nil {
		t.Fatal(err)
	}
	if err := w.s.write([]byte("<message from='a@here.test' to='sink@d1.sink.test'><body>hi</body></message><r xmlns='urn:xmpp:sm:3'/>")); err != nil {
		t.Fatal(err)
	}
	select {
	case <-came:
	case <-time.After(loginTimeout):
		t.Fatal("the message has not come")
	}
	if got := s.state(); got.domains != 1 || got.connections != 1 || got.dialback != 1 || got.external != 0 || len(got.wrong) != 0 {
		t.Errorf("%+v", got)
	}
	if s.at("d1.sink.test").IsZero() {
		t.Error("when it came is not known")
	}
	s.Forget()
	if got := s.state(); got.domains != 0 {
		t.Errorf("%+v after all was forgotten", got)
	}
}

// What comes for a domain of which nobody has proven anything is a fault of the server's.
func TestSinkRefuses(t *testing.T) {
	for _, bad := range []string{
		"<message from='a@here.test' to='sink@d2.sink.test'/>",
		"<stream:error><policy-violation xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>",
		"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>",
	} {
		s := newSink(t)
		w := peer(t, s)
		say(t, w, "<db:result from='here.test' to='d1.sink.test'>key</db:result>", "type='valid'")
		if err := w.s.write([]byte(bad)); err != nil {
			t.Fatal(err)
		}
		if unit, err := w.next(); err == nil {
			t.Errorf("%s was answered by %s", bad, unit)
		}
		for end := time.Now().Add(loginTimeout); len(s.state().wrong) == 0; <-time.After(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%s is no fault", bad)
			}
		}
		if got := s.state(); got.domains != 0 {
			t.Errorf("%s: %+v", bad, got)
		}
	}
	// EXTERNAL without a certificate.
	s := newSink(t)
	say(t, peer(t, s), "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>=</auth>", "not-authorized")
}
