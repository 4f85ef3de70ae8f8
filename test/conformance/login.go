// SPDX-License-Identifier: Apache-2.0

package conformance

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"hash"
	"strconv"
	"strings"
)

// How to read this file: connect goes the whole way in, by the functions in the order below; authenticate is the
// client's side of SASL.

// An account is made when its first client needs it.
type account struct {
	localpart, domain, password string
	registered                  bool
}

// connect goes as far as the client's stage. How it came in is forgotten when it went well.
func (c *client) connect() {
	before := len(c.r.dialogue)
	c.comeIn()
	c.r.dialogue = c.r.dialogue[:before]
	c.r.note(c, "→", "(connects)")
}

func (c *client) comeIn() {
	if c.dial(); c.stage == raw {
		return
	}
	c.open()
	if c.transport.StartTLS {
		c.send("<starttls xmlns='" + nsTLS + "'/>")
		c.expect(nsTLS, "proceed")
		c.startTLS()
		c.open()
	}
	if c.account != "" && !c.unregistered {
		c.register()
	}
	if c.stage > notLoggedIn {
		c.login("", nil)
	}
	if c.stage > notBound {
		c.bind()
	}
}

// over changes the client's transport to the one named, if one is.
func (c *client) over(name string) {
	for _, t := range Transports() {
		if t.Name == name {
			c.transport = t
			return
		}
	}
	if name != "" {
		c.r.fail("there is no transport %s", name)
	}
}

func (c *client) connectOver(transport string, _ []string) {
	c.over(transport)
	c.connect()
}

func (c *client) resumeOver(transport string, _ []string) {
	c.over(transport)
	c.resume()
}

// open sends a stream header and reads the server's, and its features.
func (c *client) open() {
	c.restart()
	c.write(fmt.Sprintf(c.transport.open, c.domain()))
	if c.transport.Framed {
		c.expect(nsFraming, "open")
	} else {
		c.expect(nsStreams, "stream")
	}
	c.expect(nsStreams, "features")
}

// register makes the account in band (XEP-0077 §3.1), unless the server has another way.
func (c *client) register() {
	a := c.r.accounts[c.account]
	switch {
	case a.registered:
	case c.r.server.AddUser != nil:
		c.check(c.r.server.AddUser(a.localpart, a.domain, a.password))
	default:
		answer := c.request("set", "<query xmlns='jabber:iq:register'><username>%s</username><password>%s</password></query>", a.localpart, a.password)
		if answer.get("type") != "result" {
			c.r.fail("%s could not register: %s", c.name, answer)
		}
	}
	a.registered = true
}

// login authenticates by a mechanism, by default the best that both sides have, and opens the new stream.
func (c *client) login(mechanism string, _ []string) {
	if mechanism == "" {
		mechanism = "SCRAM-SHA-1"
		if strings.Contains(c.features.Inner, ">SCRAM-SHA-256<") {
			mechanism = "SCRAM-SHA-256"
		}
	}
	c.authenticate(mechanism, nil)
	c.expect(nsSASL, "success")
	c.open()
}

// bind binds the declared resource, or one that the server makes, and turns stream management on where declared.
func (c *client) bind() {
	resource := ""
	if c.resource != "" {
		resource = "<resource>" + c.resource + "</resource>"
	}
	answer := c.request("set", "<bind xmlns='%s'>%s</bind>", nsBind, resource)
	if c.jid = answer.child(nsBind, "bind").child(nsBind, "jid").Text; c.jid == "" {
		c.r.fail("%s could not bind: %s", c.name, answer)
	}
	if c.resumable {
		c.send("<enable xmlns='%s' resume='true'/>", nsSM)
		c.expect(nsSM, "enabled")
	}
}

// resume comes back on a new connection (XEP-0198 §5) and checks the server's count.
func (c *client) resume() {
	stage, in, out := c.stage, c.in, c.out
	c.stage = notBound
	c.connect()
	c.stage, c.in, c.out = stage, in, out
	c.send("<resume xmlns='%s' h='%d' previd='%s'/>", nsSM, c.in, escape(c.smID))
	if answer := c.expect(nsSM, "resumed"); answer.get("previd") != c.smID || c.acked > c.out {
		c.r.fail("%s resumed %q after %d stanzas, and received %s", c.name, c.smID, c.out, answer)
	}
}

// authenticate runs a SASL exchange up to the server's last word, which waits in the inbox. With options the script
// lets it go wrong: user, password, authzid, gs2 (the header), nonce, proof.
func (c *client) authenticate(mechanism string, option map[string]string) {
	get := func(name, otherwise string) string {
		if v, ok := option[name]; ok {
			return v
		}
		return otherwise
	}
	a := c.r.accounts[c.account]
	if a == nil {
		c.r.fail("%s has no account to log in to", c.name)
	}
	user, password := get("user", a.localpart), get("password", a.password)
	if mechanism == "PLAIN" {
		c.send("<auth xmlns='%s' mechanism='PLAIN'>%s</auth>", nsSASL, encode(get("authzid", "")+"\x00"+user+"\x00"+password))
		return
	}
	newHash := map[string]func() hash.Hash{"SCRAM-SHA-1": sha1.New, "SCRAM-SHA-256": sha256.New, "SCRAM-SHA-512": sha512.New}[strings.TrimSuffix(mechanism, "-PLUS")]
	if newHash == nil {
		c.r.fail("the runner does not speak %s", mechanism)
	}
	gs2, binding := "n,,", ""
	if strings.HasSuffix(mechanism, "-PLUS") { // RFC 9266
		state := c.tls().ConnectionState()
		key, err := state.ExportKeyingMaterial("EXPORTER-Channel-Binding", nil, 32)
		c.check(err)
		gs2, binding = "p=tls-exporter,,", string(key)
	}
	gs2 = get("gs2", gs2)
	nonce := c.r.unique("nonce")
	bare := "n=" + user + ",r=" + nonce
	c.send("<auth xmlns='%s' mechanism='%s'>%s</auth>", nsSASL, mechanism, encode(gs2+bare))
	challenge := c.next()
	if !challenge.is(nsSASL, "challenge") {
		c.inbox = append(c.inbox, challenge)
		return
	}

	// RFC 5802 §3
	first := decode(challenge.Text)
	part := map[byte]string{}
	for _, p := range strings.Split(first, ",") {
		part[(p + "=")[0]] = strings.TrimPrefix(p[min(1, len(p)):], "=")
	}
	iterations, err := strconv.Atoi(part['i'])
	if err != nil || !strings.HasPrefix(part['r'], nonce) || part['r'] == nonce {
		c.r.fail("%s received a bad SCRAM challenge: %s", c.name, first)
	}
	salted, err := pbkdf2.Key(newHash, password, []byte(decode(part['s'])), iterations, newHash().Size())
	c.check(err)
	mac := func(key []byte, text string) []byte {
		h := hmac.New(newHash, key)
		h.Write([]byte(text))
		return h.Sum(nil)
	}
	final := "c=" + encode(gs2+binding) + ",r=" + get("nonce", part['r'])
	message := bare + "," + first + "," + final
	clientKey, storedKey := mac(salted, "Client Key"), newHash()
	storedKey.Write(clientKey)
	proof := mac(storedKey.Sum(nil), message)
	for i := range proof {
		proof[i] ^= clientKey[i]
	}
	c.send("<response xmlns='%s'>%s</response>", nsSASL, encode(final+",p="+get("proof", encode(string(proof)))))
	last := c.next()
	c.inbox = append(c.inbox, last)
	signature := "v=" + encode(string(mac(mac(salted, "Server Key"), message)))
	if last.is(nsSASL, "success") && decode(last.Text) != signature {
		c.r.fail("%s received a wrong server signature: %s", c.name, last)
	}
}

func encode(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

func decode(s string) string {
	b, _ := base64.StdEncoding.DecodeString(s)
	return string(b)
}

func escape(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "'", "&apos;", `"`, "&quot;").Replace(s)
}
