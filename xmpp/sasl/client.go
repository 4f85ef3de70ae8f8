// SPDX-License-Identifier: Apache-2.0

package sasl

// How to read it: NewClient chooses, by the rules of choose and bind; Start,
// Step and Finish are the three messages of SCRAM from the client's side. A
// first error sticks: the login can't be led on by what comes after it.

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"
)

// ClientConfig is what a client knows before it logs in.
type ClientConfig struct {
	// Mechanisms are all that the server offered, known to us or not, as
	// received: they are what XEP-0474 protects.
	Mechanisms []string

	// Username is the local part of the account's address, unescaped.
	Username string
	Password string

	// Authzid is the bare address to act as. Empty: the account's own.
	Authzid string

	// Bindings are what the connection can be bound to, in order of
	// preference, see BindingOf. Empty: this client does not support it.
	Bindings []ChannelBinding

	// OfferedBindings are the types that the server announced by XEP-0440; nil
	// if it announced none. Without an announcement the first of Bindings is
	// tried, which is the default of RFC 9266 §3.
	OfferedBindings []string

	// Pinned is the weakest mechanism to use, say the one of an earlier login.
	// Empty: any. XEP-0474 §6 advises to pin no more than the fact that SCRAM
	// was used: "SCRAM-SHA-1".
	Pinned string

	// External says that the client has shown a certificate of its own by TLS: where
	// the server offers EXTERNAL no password is needed.
	External bool
	// ExternalAuthzid is the bare address to be authorized as by EXTERNAL. It is to be
	// empty, unless the certificate has more than one. XEP-0178 §2
	ExternalAuthzid string

	// AllowPlain allows to send the password as it is, when the server offers
	// nothing better. Set it only on an encrypted connection, if at all.
	AllowPlain bool

	// Cache spares the slow derivation at each login but the first. May be nil.
	Cache *KeyCache

	// Rand makes nonces. nil means crypto/rand.
	Rand io.Reader
}

// Client is the client's side of one login. It is not safe for concurrent
// use, and holds no resources.
type Client struct {
	c         ClientConfig
	mechanism string
	family    family
	flag      string // channel binding flag of the GS2 header
	binding   []byte
	needHash  bool // only XEP-0474 can tell whether the offer is genuine

	state  state
	err    error // the first, for good
	nonce  string
	bare   string // client-first-message-bare
	gs2    string
	wanted []byte // the server's signature
}

// NewClient picks the strongest mechanism that the server offers and that may
// be used. ErrMechanism: there is none. ErrDowngrade: all there is would be
// weaker than Pinned, or the offer contradicts itself.
func NewClient(c ClientConfig) (*Client, error) {
	if c.Username == "" || !isText(c.Username) || !isText(c.Authzid) || !isText(c.ExternalAuthzid) {
		return nil, errors.New("sasl: user name or authorization identity is empty or not UTF-8")
	}
	if c.Pinned != "" && strength(c.Pinned) == 0 {
		return nil, fmt.Errorf("sasl: pinned mechanism %q is unknown", c.Pinned)
	}
	if c.Rand == nil {
		c.Rand = rand.Reader
	}
	cl := &Client{c: c, flag: "n"}
	binding, err := cl.bind()
	if err != nil {
		return nil, err
	}
	if err := cl.choose(binding); err != nil {
		return nil, err
	}
	if cl.mechanism == External {
		return cl, nil
	}
	if cl.mechanism == Plain {
		if strings.IndexByte(c.Password, 0) >= 0 || c.Password == "" || !utf8.ValidString(c.Password) {
			return nil, errors.New("sasl: the password is empty or can't be sent")
		}
		return cl, nil
	}
	if cl.nonce, err = makeNonce(c.Rand); err != nil {
		return nil, err
	}
	return cl, nil
}

func isText(s string) bool { return utf8.ValidString(s) && strings.IndexByte(s, 0) < 0 }

// bind finds a type of channel binding that both sides have; nil without
// error if the login goes without. It follows the client's rules of XEP-0440
// §3, of which rule 6 as XEP-0474 §6 relaxes it.
func (cl *Client) bind() (*ChannelBinding, error) {
	c := &cl.c
	if len(c.Bindings) == 0 {
		return nil, nil // flag n: rule 2
	}
	if !offersPlus(c.Mechanisms) {
		if len(c.OfferedBindings) > 0 {
			return nil, fmt.Errorf("%w: types of channel binding without a mechanism for them", ErrDowngrade) // rule 5
		}
		cl.flag = "y" // rule 3
		return nil, nil
	}
	if c.OfferedBindings == nil {
		return &c.Bindings[0], nil // rule 4 leaves it open for SASL1
	}
	for i := range c.Bindings {
		if slices.Contains(c.OfferedBindings, c.Bindings[i].Type) {
			return &c.Bindings[i], nil
		}
	}
	return nil, nil
}

// choose picks the mechanism.
func (cl *Client) choose(binding *ChannelBinding) error {
	c := &cl.c
	weaker := false
	for _, m := range mechanisms {
		name, bound := strings.CutSuffix(m, plus)
		if !slices.Contains(c.Mechanisms, m) || bound && binding == nil || m == Plain && !c.AllowPlain || m == External && !c.External {
			continue
		}
		if m != External && c.External && c.Password == "" { // the certificate is all there is
			continue
		}
		if strength(m) < strength(c.Pinned) {
			weaker = true
			continue
		}
		cl.mechanism = m
		cl.family, _ = familyOf(name)
		if bound {
			cl.flag, cl.binding = "p="+binding.Type, binding.Data
		}
		// We support binding and the server was seen to offer it, yet it
		// can't be used. That may be so, or the offer was made so by somebody
		// in between; y would say that there was no offer.
		cl.needHash = !bound && m != External && len(c.Bindings) > 0 && cl.flag == "n"
		if cl.needHash && m == Plain {
			return fmt.Errorf("%w: only PLAIN is left beside mechanisms with channel binding", ErrDowngrade)
		}
		return nil
	}
	if weaker {
		return fmt.Errorf("%w: the server offers nothing as strong as %s", ErrDowngrade, c.Pinned)
	}
	return ErrMechanism
}

// Mechanism is the one that was picked.
func (cl *Client) Mechanism() string { return cl.mechanism }

// Start returns the initial response, without base64.
func (cl *Client) Start() []byte {
	if cl.mechanism == External {
		cl.state = atVerdict
		return []byte(cl.c.ExternalAuthzid)
	}
	if cl.mechanism == Plain {
		cl.state = atVerdict
		return []byte(cl.c.Authzid + "\x00" + cl.c.Username + "\x00" + cl.c.Password)
	}
	cl.gs2 = cl.flag + ","
	if cl.c.Authzid != "" {
		cl.gs2 += "a=" + escapeName(cl.c.Authzid)
	}
	cl.gs2 += ","
	cl.bare = "n=" + escapeName(cl.c.Username) + ",r=" + cl.nonce
	cl.state = atFinal
	return []byte(cl.gs2 + cl.bare)
}

// Step answers a challenge. After an error the caller aborts the exchange.
//
// A server that can't send data along with success sends its signature as one
// more challenge; it gets an empty response. RFC 6120 §6.3.10.
func (cl *Client) Step(challenge []byte) ([]byte, error) {
	switch {
	case cl.err != nil:
		return nil, cl.err
	case cl.isOneStep() || cl.state == atFirst || cl.state == atEnd:
		return nil, cl.fail(errors.New("sasl: unexpected challenge"))
	case cl.state == atVerdict:
		if err := cl.verify(challenge); err != nil {
			return nil, cl.fail(err)
		}
		cl.state = atEnd
		return []byte{}, nil
	}
	response, err := cl.respond(challenge)
	if err != nil {
		return nil, cl.fail(err)
	}
	cl.state = atVerdict
	return response, nil
}

// isOneStep: the server has nothing to say but yes or no.
func (cl *Client) isOneStep() bool { return cl.mechanism == Plain || cl.mechanism == External }

func (cl *Client) fail(err error) error {
	cl.err = err
	return err
}

// respond turns the server-first-message into the client-final-message.
func (cl *Client) respond(challenge []byte) ([]byte, error) {
	m, err := parseServerFirst(challenge)
	if err != nil {
		return nil, fmt.Errorf("sasl: challenge: %w", err)
	}
	if len(m.nonce) <= len(cl.nonce) || !strings.HasPrefix(m.nonce, cl.nonce) {
		return nil, errors.New("sasl: challenge: nonce is not the one of this login")
	}
	if m.iterations < MinIterations {
		return nil, fmt.Errorf("sasl: challenge: iteration count %d is under %d", m.iterations, MinIterations)
	}
	if err := cl.checkOffer(m.hash); err != nil {
		return nil, err
	}
	clientKey, serverKey, err := cl.keys(m.salt, m.iterations)
	if err != nil {
		return nil, err
	}
	final := "c=" + encode(append([]byte(cl.gs2), cl.binding...)) + ",r=" + m.nonce
	auth := cl.bare + "," + string(challenge) + "," + final
	proof := cl.family.hmac(cl.family.sum(clientKey), auth)
	subtle.XORBytes(proof, proof, clientKey)
	cl.wanted = cl.family.hmac(serverKey, auth)
	return []byte(final + ",p=" + encode(proof)), nil
}

// checkOffer compares what the server says it offered with what we saw.
// XEP-0474 §5.2.
func (cl *Client) checkOffer(hash string) error {
	if hash == "" {
		if cl.needHash {
			return fmt.Errorf("%w: no common type of channel binding, and the server does not vouch for its offer", ErrDowngrade)
		}
		return nil
	}
	want := cl.family.downgradeHash(cl.c.Mechanisms, cl.c.OfferedBindings)
	if subtle.ConstantTimeCompare([]byte(hash), []byte(want)) != 1 {
		return fmt.Errorf("%w: the server offered something else", ErrDowngrade)
	}
	return nil
}

// Finish ends the login: the server said <success/>, with that additional
// data (nil: none). Only after nil is the server who it should be; an error,
// ErrServer among them, means to drop the connection. PLAIN and EXTERNAL prove
// nothing about the server.
func (cl *Client) Finish(additional []byte) error {
	switch {
	case cl.err != nil:
		return cl.err
	case cl.isOneStep() && cl.state == atVerdict && len(additional) == 0:
	case !cl.isOneStep() && cl.state == atVerdict && additional != nil:
		if err := cl.verify(additional); err != nil {
			return cl.fail(err)
		}
	case !cl.isOneStep() && cl.state == atEnd && cl.wanted != nil && len(additional) == 0:
	default:
		return cl.fail(ErrServer)
	}
	cl.state, cl.wanted = atEnd, nil
	return nil
}

// verify reads a server-final-message.
func (cl *Client) verify(data []byte) error {
	m, err := parseServerFinal(data)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrServer, err)
	}
	if m.failure != "" {
		return &Failure{NotAuthorized, m.failure}
	}
	if !hmac.Equal(m.verifier, cl.wanted) {
		return ErrServer
	}
	return nil
}

// keys derives the keys of the password, or takes them from the cache.
func (cl *Client) keys(salt []byte, iterations int) (clientKey, serverKey []byte, err error) {
	want := cachedKeys{family: cl.family.name, password: cl.c.Password, salt: string(salt), iterations: iterations}
	if got, ok := cl.c.Cache.get(want); ok {
		return got.clientKey, got.serverKey, nil
	}
	prepared, err := preparePassword(cl.c.Password)
	if err != nil {
		return nil, nil, err
	}
	want.clientKey, want.serverKey, err = cl.family.clientKeys(prepared, salt, iterations)
	if err != nil {
		return nil, nil, err
	}
	cl.c.Cache.put(want)
	return want.clientKey, want.serverKey, nil
}

// KeyCache keeps what was derived for one account last, so that a device that
// reconnects does not derive it again. The zero value is ready for use; it is
// safe for concurrent use. RFC 5802 §5.1 allows it.
type KeyCache struct {
	mu   sync.Mutex
	last cachedKeys
}

type cachedKeys struct {
	family, password, salt string
	iterations             int
	clientKey, serverKey   []byte
}

func (k *KeyCache) get(want cachedKeys) (cachedKeys, bool) {
	if k == nil {
		return cachedKeys{}, false
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	got := k.last
	ok := got.clientKey != nil && got.family == want.family && got.password == want.password &&
		got.salt == want.salt && got.iterations == want.iterations
	return got, ok
}

func (k *KeyCache) put(keys cachedKeys) {
	if k == nil {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.last = keys
}
