// SPDX-License-Identifier: Apache-2.0

package sasl

// How to read it: NewServer, then the three entrances in the order in which
// they are called: Step with the client's first message, Resolve with what is
// known of the account, Step with the client's last message. PLAIN and EXTERNAL
// take the first two. Each entrance ends in exactly one Outcome; after Success and
// Failed every further call fails.

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/stonechat-im/stonechat/xmpp/jid"
)

// ServerConfig is what a server knows before a client starts to log in. It is
// read, never written; the same value may serve many logins at once.
type ServerConfig struct {
	// Bindings are what the connection can be bound to, see BindingOf. They
	// must be the types announced by XEP-0440, if any were.
	Bindings []ChannelBinding

	// Secret makes steady false salts for unknown accounts: at least 16 random
	// bytes, the same for the life of the server's data, told to nobody.
	Secret []byte

	// Iterations is the count that unknown accounts pretend to have. 0 means
	// DefaultIterations or MinIterations, by their names: those that exist
	// have either.
	Iterations int

	// Plain allows PLAIN. Set it only on a connection that is encrypted.
	Plain bool

	// External are the bare addresses at Domain that TLS has proved to be the client's,
	// by a certificate. Empty: no EXTERNAL.
	External []jid.JID

	// Anonymous allows ANONYMOUS: anybody may log in, by a name made up here.
	Anonymous bool

	// Domain is the domain that the client logs in to: an authorization
	// identity must be name@Domain.
	Domain string

	// AdvertisedMechanisms are those the client was shown. A mechanism that is
	// not among them is refused; if it is not empty, SCRAM challenges carry the
	// hash of XEP-0474. Empty: any mechanism that the rest allows.
	AdvertisedMechanisms []string

	// Rand makes nonces. nil means crypto/rand.
	Rand io.Reader
}

// Kind says what an Outcome asks for.
type Kind uint8

const (
	Challenge Kind = iota + 1 // send Data, give the answer to Step
	Lookup                    // read the keys of Username, give them to Resolve
	Success                   // the client is Username; send Data along if it is not nil
	Failed                    // the client gets Failure; the login is over
	Stranger                  // may a client without account be Username? Resolve with nil, or with an error
)

func (k Kind) String() string {
	switch k {
	case Challenge:
		return "challenge"
	case Stranger:
		return "stranger"
	case Lookup:
		return "lookup"
	case Success:
		return "success"
	case Failed:
		return "failed"
	}
	return "none"
}

// Outcome is what is to be done next.
type Outcome struct {
	Kind     Kind
	Data     []byte   // Challenge, Success; not in base64
	Username string   // Stranger, Lookup, Success: as the client gave it, not prepared
	Authzid  string   // the same; empty or the address of Username
	Failure  *Failure // Failed
}

// minSecret is the least length of ServerConfig.Secret, in bytes.
const minSecret = 16

// nonceSize is the random part of a nonce, in bytes: a multiple of three, so
// that its base64 has no padding.
const nonceSize = 18

// state is where a login stands, on either side.
type state uint8

const (
	atFirst   state = iota // client-first-message is next
	atKeys                 // waits for Resolve
	atFinal                // client-final-message is next (client: its challenge)
	atVerdict              // client: the server's signature is next
	atEnd
)

// Server is the server's side of one login. It is not safe for concurrent
// use, holds no resources, and can be dropped at any time.
type Server struct {
	c       ServerConfig
	family  family
	plus    bool
	plain   bool
	outside bool // EXTERNAL
	nobody  bool // ANONYMOUS
	state   state
	asked   bool   // the client was asked for its first message
	nonce   string // own part
	binding []byte // data of the type that the client chose

	// first is empty for PLAIN, save name and authzid.
	first       clientFirst
	serverFirst string

	key      *Key // what the proof is checked against
	standIn  *Key // the same for an account that doesn't exist
	known    bool // key is a real one
	disabled bool

	password string // PLAIN: until Resolve
	prepared bool   // PLAIN: right and checkErr are valid
	right    bool
	checkErr error
}

// NewServer starts the server's side. ErrMechanism means that the mechanism
// was not offered or can't be used here.
func NewServer(mechanism string, c ServerConfig) (*Server, error) {
	if len(c.Secret) < minSecret {
		return nil, fmt.Errorf("sasl: the secret for unknown accounts has %d bytes, needs %d", len(c.Secret), minSecret)
	}
	if c.Rand == nil {
		c.Rand = rand.Reader
	}
	if len(c.AdvertisedMechanisms) > 0 && !slices.Contains(c.AdvertisedMechanisms, mechanism) {
		return nil, ErrMechanism
	}
	s := &Server{c: c}
	if mechanism == Plain {
		if !c.Plain {
			return nil, ErrMechanism
		}
		s.plain, s.family = true, families[0]
		return s, nil
	}
	if mechanism == External {
		if len(c.External) == 0 {
			return nil, ErrMechanism
		}
		s.outside = true
		return s, nil
	}
	if mechanism == Anonymous {
		if !c.Anonymous {
			return nil, ErrMechanism
		}
		s.nobody = true
		return s, nil
	}
	name, bound := strings.CutSuffix(mechanism, plus)
	f, ok := familyOf(name)
	if !ok || bound && len(c.Bindings) == 0 {
		return nil, ErrMechanism
	}
	s.family, s.plus = f, bound
	var err error
	if s.nonce, err = makeNonce(c.Rand); err != nil {
		return nil, err
	}
	return s, nil
}

func makeNonce(random io.Reader) (string, error) {
	var b [nonceSize]byte
	if _, err := io.ReadFull(random, b[:]); err != nil {
		return "", fmt.Errorf("sasl: making a nonce: %w", err)
	}
	return encode(b[:]), nil
}

// Step takes the client's next message, free of base64. nil stands for an
// <auth/> without initial response, which is answered by an empty challenge;
// an empty response is something else (in XMPP it is sent as "=").
func (s *Server) Step(response []byte) Outcome {
	switch {
	case s.state == atFirst && response == nil && !s.asked && !s.nobody: // XEP-0175 §5 has no challenge
		s.asked = true
		return Outcome{Kind: Challenge, Data: []byte{}}
	case s.state == atFirst && s.plain:
		return s.stepPlain(response)
	case s.state == atFirst && s.nobody:
		return s.stepAnonymous(response)
	case s.state == atFirst && s.outside:
		return s.stepExternal(response)
	case s.state == atFirst:
		return s.stepFirst(response)
	case s.state == atFinal:
		return s.stepFinal(response)
	}
	return s.fail(MalformedRequest, "unexpected response")
}

// fail ends the login.
func (s *Server) fail(condition, text string) Outcome {
	s.state, s.password = atEnd, ""
	return Outcome{Kind: Failed, Failure: &Failure{condition, text}}
}

func (s *Server) stepPlain(data []byte) Outcome {
	m, err := parsePlain(data)
	if err != nil {
		return s.fail(MalformedRequest, err.Error())
	}
	s.first.name, s.first.authzid, s.password = m.name, m.authzid, m.password
	return s.lookup()
}

func (s *Server) stepFirst(data []byte) Outcome {
	m, err := parseClientFirst(data)
	if err != nil {
		return s.fail(MalformedRequest, err.Error())
	}
	s.first = m
	switch m.flag {
	case 'p':
		if !s.plus {
			return s.fail(MalformedRequest, "the mechanism has no channel binding")
		}
		i := slices.IndexFunc(s.c.Bindings, func(b ChannelBinding) bool { return b.Type == m.binding })
		if i < 0 {
			return s.fail(NotAuthorized, "type of channel binding is not supported")
		}
		s.binding = s.c.Bindings[i].Data
	case 'y':
		// The client would have bound to the channel, had it seen the offer:
		// somebody has taken it out. RFC 5802 §6.
		if s.plus {
			return s.fail(MalformedRequest, "the mechanism needs channel binding")
		}
		if s.offeredPlus() {
			return s.fail(NotAuthorized, "the server does support channel binding")
		}
	default:
		if s.plus {
			return s.fail(MalformedRequest, "the mechanism needs channel binding")
		}
	}
	return s.lookup()
}

func (s *Server) offeredPlus() bool {
	if len(s.c.AdvertisedMechanisms) == 0 {
		return len(s.c.Bindings) > 0
	}
	return offersPlus(s.c.AdvertisedMechanisms)
}

// lookup asks for the account. The false key is made now, while nobody knows
// yet whether it will be needed: see the package's notes on unknown accounts.
// It is made of the prepared address, so that an unknown name has one false
// salt in all its spellings, as a known one has one salt.
func (s *Server) lookup() Outcome {
	address := s.first.name + "@" + s.c.Domain // nobody's, but it gets its salt as well
	own, err := jid.New(s.first.name, s.c.Domain, "")
	if err == nil {
		address = own.String()
	}
	if s.first.authzid != "" {
		// Nobody may act for others. RFC 6120 §6.3.8.
		if other, parseErr := jid.Parse(s.first.authzid); err != nil || parseErr != nil || other != own {
			return s.fail(InvalidAuthzid, "")
		}
	}
	iterations := s.c.Iterations
	if iterations == 0 {
		iterations = falseIterations(s.c.Secret, address)
	}
	s.standIn = s.family.falseKey(s.c.Secret, address, iterations)
	s.state = atKeys
	return Outcome{Kind: Lookup, Username: s.first.name, Authzid: s.first.authzid}
}

// Prepare does the costly part of Resolve for PLAIN, milliseconds of
// computing, so that a caller can have it done by the goroutine that read the
// account, where nothing else waits. Resolve then uses its result and not the
// keys it is given. It is optional, and does nothing for SCRAM.
func (s *Server) Prepare(keys []Key) {
	if !s.plain || s.state != atKeys || s.prepared {
		return
	}
	s.prepared = true
	key, known := strongest(keys), true
	if key == nil {
		key, known = s.standIn, false
	}
	if !key.wellFormed() {
		s.checkErr = errors.New("sasl: stored key is damaged")
		return
	}
	// Client and server prepare a password alike. One that can't be prepared
	// is nobody's; it costs as much as another.
	prepared, err := preparePassword(s.password)
	if err != nil {
		prepared, known = s.password, false
	}
	f, _ := familyOf(key.Hash)
	s.right, s.checkErr = f.check(key, prepared)
	s.right = s.right && known
}

// Resolve takes what is known of the account that Lookup asked for. No keys,
// or none for the hash in use, is an account that doesn't exist: the login
// goes on and fails like one with a wrong password. ErrDisabled lets a right
// password fail with account-disabled; any other error is one of the server
// and ends the login with temporary-auth-failure.
func (s *Server) Resolve(keys []Key, err error) Outcome {
	if s.state != atKeys {
		return s.fail(MalformedRequest, "unexpected response")
	}
	if failure := (*Failure)(nil); s.nobody && errors.As(err, &failure) {
		return s.fail(failure.Condition, failure.Text)
	}
	s.disabled = errors.Is(err, ErrDisabled)
	if err != nil && !s.disabled {
		return s.fail(TemporaryAuthFailure, "")
	}
	if s.nobody {
		return s.verdict(true, nil)
	}
	if s.outside {
		return s.verdict(len(keys) > 0, nil)
	}
	if s.plain {
		s.Prepare(keys)
		if s.checkErr != nil {
			return s.fail(TemporaryAuthFailure, "")
		}
		return s.verdict(s.right, nil)
	}
	if s.key = find(keys, s.family.name); s.key != nil {
		s.known = true
	} else {
		s.key = s.standIn
	}
	if !s.key.wellFormed() {
		return s.fail(TemporaryAuthFailure, "")
	}
	s.serverFirst = s.challenge()
	s.state = atFinal
	return Outcome{Kind: Challenge, Data: []byte(s.serverFirst)}
}

// challenge writes the server-first-message.
func (s *Server) challenge() string {
	b := make([]byte, 0, 256)
	b = append(b, "r="...)
	b = append(b, s.first.nonce...)
	b = append(b, s.nonce...)
	b = append(b, ",s="...)
	b = append(b, encode(s.key.Salt)...)
	b = append(b, ",i="...)
	b = strconv.AppendInt(b, int64(s.key.Iterations), 10)
	if list := s.c.AdvertisedMechanisms; len(list) > 0 {
		var types []string
		if offersPlus(list) {
			types = BindingTypes(s.c.Bindings)
		}
		b = append(b, ",h="...)
		b = append(b, s.family.downgradeHash(list, types)...)
	}
	return string(b)
}

func (s *Server) stepFinal(data []byte) Outcome {
	m, err := parseClientFinal(data)
	if err != nil {
		return s.fail(MalformedRequest, err.Error())
	}
	nonce := s.first.nonce + s.nonce
	if subtle.ConstantTimeCompare([]byte(m.nonce), []byte(nonce)) != 1 {
		return s.fail(NotAuthorized, "nonce is not the one of this login")
	}
	binding := append([]byte(s.first.gs2), s.binding...)
	if subtle.ConstantTimeCompare(m.binding, binding) != 1 {
		return s.fail(NotAuthorized, "channel bindings do not match")
	}
	if len(m.proof) != s.family.size {
		return s.fail(NotAuthorized, "")
	}
	// ClientKey = ClientProof XOR HMAC(StoredKey, AuthMessage). RFC 5802 §3.
	auth := s.first.bare + "," + s.serverFirst + "," + m.signed
	clientKey := s.family.hmac(s.key.StoredKey, auth)
	subtle.XORBytes(clientKey, clientKey, m.proof)
	right := hmac.Equal(s.family.sum(clientKey), s.key.StoredKey)
	verifier := "v=" + encode(s.family.hmac(s.key.ServerKey, auth))
	return s.verdict(right && s.known, []byte(verifier))
}

// verdict ends the login.
func (s *Server) verdict(right bool, data []byte) Outcome {
	if !right {
		return s.fail(NotAuthorized, "")
	}
	if s.disabled {
		return s.fail(AccountDisabled, "")
	}
	s.state, s.password = atEnd, ""
	return Outcome{Kind: Success, Data: data, Username: s.first.name, Authzid: s.first.authzid}
}
