// SPDX-License-Identifier: Apache-2.0

// Package sasl is the login of XMPP: SASL for both sides, as machines that do
// no I/O. A message of the peer goes in, what to do next comes out; the
// base64 and the elements around it belong to package stream.
//
// Mechanisms, strongest first: EXTERNAL, SCRAM-SHA-512-PLUS, SCRAM-SHA-256-PLUS,
// SCRAM-SHA-1-PLUS, the same three without channel binding, PLAIN. Apart from them
// a server has ANONYMOUS.
//
// RFC 4422 §A (EXTERNAL), RFC 4505 §2 (ANONYMOUS, the server's side),
// RFC 4616 (PLAIN), RFC 5802 and RFC 7677 (SCRAM), RFC 9266 (tls-exporter),
// RFC 5929 §4 (tls-server-end-point), RFC 8265 §4.2 (passwords),
// RFC 6120 §6.5 (conditions),
// XEP-0440 (complete, 1.0.0): types of channel binding,
// XEP-0474 (complete, 0.5.0): downgrade protection, with SASL1
//
// A server side:
//
//	s, err := sasl.NewServer("SCRAM-SHA-256-PLUS", config)
//	out := s.Step(initialResponse)       // Lookup: read the keys of out.Username
//	out = s.Resolve(account.Keys, nil)   // Challenge: send out.Data
//	out = s.Step(response)               // Success (send out.Data along) or Failed
//
// A client side:
//
//	c, err := sasl.NewClient(config)     // c.Mechanism(), c.Start() go into <auth/>
//	response, err := c.Step(challenge)
//	err = c.Finish(additional)           // nil: the server has proved that it knows the keys
//
// # Unknown accounts
//
// Nobody learns from a login whether an account exists. The answer to an
// unknown name is built of a [Key] made from ServerConfig.Secret, the prepared
// address and the hash: the same name gets the same salt each time.
// That key is computed for every login before the account is looked up, so
// known and unknown names cost the same; the proof is then checked against it
// by the same code as against a real key, can't match because nobody knows a
// preimage of it, and ends in the same not-authorized. What remains visible is
// not in this package: whether the caller's store takes longer for one of
// them, and an account whose hashes are not those of [DeriveKeys], or whose
// iteration count is neither DefaultIterations nor MinIterations (brought from
// elsewhere).
//
// # How to read it
//
// sasl.go: mechanisms and errors. server.go, client.go: the two machines.
// message.go: the grammar. key.go: what is stored. binding.go: TLS.
// external.go: whom a certificate names. anonymous.go: nobody.
package sasl

import (
	"errors"
	"slices"
	"strings"
)

// Plain is the name of the mechanism that sends the password itself.
// RFC 4616.
const Plain = "PLAIN"

// plus ends the name of a mechanism that binds to the channel. RFC 5802 §4.
const plus = "-PLUS"

// mechanisms are all we know, strongest first. A binding to the channel
// counts for more than a longer hash: it is what keeps a man in the middle
// out, while none of the three hashes is broken in this use. EXTERNAL is bound by
// its nature, and nothing that could be guessed is behind it.
var mechanisms = []string{
	External,
	SHA512 + plus, SHA256 + plus, SHA1 + plus,
	SHA512, SHA256, SHA1,
	Plain,
}

// The conditions of a failed login. RFC 6120 §6.5. The ones this package does
// not give (aborted, incorrect-encoding, …) are for the stream around it.
const (
	Aborted              = "aborted"
	AccountDisabled      = "account-disabled"
	CredentialsExpired   = "credentials-expired"
	EncryptionRequired   = "encryption-required"
	IncorrectEncoding    = "incorrect-encoding"
	InvalidAuthzid       = "invalid-authzid"
	InvalidMechanism     = "invalid-mechanism"
	MalformedRequest     = "malformed-request"
	MechanismTooWeak     = "mechanism-too-weak"
	NotAuthorized        = "not-authorized"
	TemporaryAuthFailure = "temporary-auth-failure"
)

// Failure is why a login was refused, in the form that the peer may see.
type Failure struct {
	Condition string // one of the conditions of RFC 6120 §6.5
	Text      string // for people, English; may be empty
}

// Error makes a Failure usable as an error.
func (f *Failure) Error() string {
	if f.Text == "" {
		return "sasl: " + f.Condition
	}
	return "sasl: " + f.Condition + ": " + f.Text
}

var (
	// ErrMechanism: the mechanism is unknown, was not offered, or may not be
	// used as things are. A server answers with InvalidMechanism.
	ErrMechanism = errors.New("sasl: no usable mechanism")

	// ErrDowngrade: what the server was seen to offer is not what it offered,
	// or is weaker than what is pinned. Somebody may sit in between.
	ErrDowngrade = errors.New("sasl: downgrade detected")

	// ErrServer: the server has not proved that it knows the account's keys.
	ErrServer = errors.New("sasl: server is not authenticated")

	// ErrDisabled is given to Server.Resolve, with the keys, for an account
	// that may not log in. The peer learns it only if its password is right.
	ErrDisabled = errors.New("sasl: account is disabled")
)

// ServerMechanisms lists what a server offers on a connection to whoever has a
// password, in order of preference. EXTERNAL, where ServerConfig.External has somebody,
// goes before them. PLAIN is offered only on a secure one; mechanisms with channel
// binding only if there is something to bind to.
func ServerMechanisms(secure bool, bindings []ChannelBinding, plain bool) []string {
	list := make([]string, 0, len(mechanisms))
	for _, m := range mechanisms {
		if strings.HasSuffix(m, plus) && (!secure || len(bindings) == 0) {
			continue
		}
		if m == Plain && !(secure && plain) || m == External {
			continue
		}
		list = append(list, m)
	}
	return list
}

// BindingTypes lists the types of bindings for the stream feature
// <sasl-channel-binding/>. A server announces it exactly when it offers a
// -PLUS mechanism. XEP-0440 §2.
func BindingTypes(bindings []ChannelBinding) []string {
	list := make([]string, 0, len(bindings))
	for _, b := range bindings {
		list = append(list, b.Type)
	}
	return list
}

// offersPlus reports whether a list of mechanisms has one with channel
// binding, be it one we know or not.
func offersPlus(list []string) bool {
	return slices.ContainsFunc(list, func(m string) bool { return strings.HasSuffix(m, plus) })
}

// strength ranks a mechanism: greater is stronger, 0 is unknown.
func strength(mechanism string) int {
	i := slices.Index(mechanisms, mechanism)
	if i < 0 {
		return 0
	}
	return len(mechanisms) - i
}
