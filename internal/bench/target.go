// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
)

// Kind is the protocol that a target speaks.
type Kind string

// The kinds of target.
const (
	XMPP Kind = "xmpp"
	MQTT Kind = "mqtt"
	Raw  Kind = "raw"
)

// Security is how a connection is encrypted.
type Security string

// The ways of encrypting: STARTTLS (RFC 6120 §5), TLS from the first byte
// (XEP-0368, or MQTT over TLS), none.
const (
	StartTLS  Security = "starttls"
	DirectTLS Security = "tls"
	Plain     Security = "plain"
)

// Target is one server to be loaded.
type Target struct {
	Name     string // as the report calls it
	Kind     Kind
	Security Security
	Addr     string // host:port; empty for the raw relay, which the run starts itself
	Domain   string // of the accounts; XMPP only
	PID      int    // of the server, 0 when unknown: no CPU and memory figures then
	Version  string // filled from the server where it tells it (XEP-0092, $SYS/broker/version)
	Accounts Accounts
	Rooms    string // the domain of its rooms; empty: conference.DOMAIN
	Nodes    string // the domain of its publish-subscribe service; empty: pubsub.DOMAIN
	// Component is the listener for components, host:port; empty: it has none.
	Component string
	Metrics   string // where it tells its metrics over HTTP, host:port; only ours tells how long its loops take
	// Far is the server where the second of each pair of the relay is; nil: the same one. Its CPU time counts too.
	Far   *Target
	Share int // loads that a slow server would take hours for are divided by so much; the report says what was left
}

// share is what of a number is the target's.
func (t *Target) share(n int) int { return max(1, n/max(1, t.Share)) }

func (t *Target) rooms() string {
	if t.Rooms == "" {
		return "conference." + t.Domain
	}
	return t.Rooms
}

func (t *Target) nodes() string {
	if t.Nodes == "" {
		return "pubsub." + t.Domain
	}
	return t.Nodes
}

// Accounts says which accounts the sessions use, and whether they must be made.
type Accounts struct {
	Pattern   string // one %d, the number of the account: bench%d
	Password  string // of all of them
	Register  bool   // create what is missing by in-band registration (XEP-0077)
	Mechanism string // SASL mechanism; empty: SCRAM-SHA-256, else -1, else -512, and PLAIN only when named
}

func (a Accounts) name(i int) string {
	if strings.Contains(a.Pattern, "%d") {
		return strings.Replace(a.Pattern, "%d", strconv.Itoa(i), 1)
	}
	return a.Pattern
}

// String is what logs and error messages call the target.
func (t Target) String() string {
	if t.Name != "" {
		return t.Name
	}
	return string(t.Kind) + " " + t.Addr
}

// ParseTarget reads a target as the command line gives it:
//
//	raw                                  the raw relay, started and stopped by the run
//	xmpp://HOST:PORT/DOMAIN              XMPP with STARTTLS
//	xmpps://HOST:PORT/DOMAIN             XMPP over direct TLS
//	xmpp+plain://HOST:PORT/DOMAIN        XMPP without encryption
//	mqtt://HOST:PORT, mqtts://HOST:PORT  MQTT 3.1.1, plain or TLS
//
// with ?pid=N for the server's process and &name=… for the report; &rooms= and
// &nodes= are the domains of its rooms and nodes where they are not conference.
// and pubsub.DOMAIN, and with &share=N it has only the Nth part of the
// occupants, subscribers, nodes and messages. Accounts are not part of it.
func ParseTarget(s string) (Target, error) {
	if s == "raw" {
		return Target{Name: "raw", Kind: Raw, Security: Plain}, nil
	}
	u, err := url.Parse(s)
	if err != nil {
		return Target{}, fmt.Errorf("bench: target %q: %w", s, err)
	}
	t := Target{Addr: u.Host, Domain: strings.Trim(u.Path, "/")}
	switch u.Scheme {
	case "xmpp":
		t.Kind, t.Security = XMPP, StartTLS
	case "xmpps":
		t.Kind, t.Security = XMPP, DirectTLS
	case "xmpp+plain":
		t.Kind, t.Security = XMPP, Plain
	case "mqtt":
		t.Kind, t.Security = MQTT, Plain
	case "mqtts":
		t.Kind, t.Security = MQTT, DirectTLS
	default:
		return Target{}, fmt.Errorf("bench: target %q: unknown scheme; one of xmpp, xmpps, xmpp+plain, mqtt, mqtts, or the word raw", s)
	}
	if u.Port() == "" || u.Hostname() == "" {
		return Target{}, fmt.Errorf("bench: target %q: needs HOST:PORT", s)
	}
	if t.Kind == XMPP && t.Domain == "" {
		t.Domain = u.Hostname()
	}
	t.Name = u.Host
	for key, values := range u.Query() {
		v := values[len(values)-1]
		switch key {
		case "pid":
			if t.PID, err = strconv.Atoi(v); err != nil || t.PID < 1 {
				return Target{}, fmt.Errorf("bench: target %q: pid %q is no process number", s, v)
			}
		case "name":
			t.Name = v
		case "rooms":
			t.Rooms = v
		case "nodes":
			t.Nodes = v
		case "share":
			if t.Share, err = strconv.Atoi(v); err != nil || t.Share < 1 {
				return Target{}, fmt.Errorf("bench: target %q: share %q is no number above 0", s, v)
			}
		default:
			return Target{}, fmt.Errorf("bench: target %q: unknown key %q; one of pid, name, rooms, nodes, share", s, key)
		}
	}
	return t, nil
}
