// SPDX-License-Identifier: Apache-2.0

package stream

// Condition is a stream error condition. RFC 6120 §4.9.3.
type Condition string

const (
	BadFormat              Condition = "bad-format"
	BadNamespacePrefix     Condition = "bad-namespace-prefix"
	Conflict               Condition = "conflict"
	ConnectionTimeout      Condition = "connection-timeout"
	HostGone               Condition = "host-gone"
	HostUnknown            Condition = "host-unknown"
	ImproperAddressing     Condition = "improper-addressing"
	InternalServerError    Condition = "internal-server-error"
	InvalidFrom            Condition = "invalid-from"
	InvalidNamespace       Condition = "invalid-namespace"
	InvalidXML             Condition = "invalid-xml"
	NotAuthorized          Condition = "not-authorized"
	NotWellFormed          Condition = "not-well-formed"
	PolicyViolation        Condition = "policy-violation"
	RemoteConnectionFailed Condition = "remote-connection-failed"
	Reset                  Condition = "reset"
	ResourceConstraint     Condition = "resource-constraint"
	RestrictedXML          Condition = "restricted-xml"
	SeeOtherHost           Condition = "see-other-host"
	SystemShutdown         Condition = "system-shutdown"
	UndefinedCondition     Condition = "undefined-condition"
	UnsupportedEncoding    Condition = "unsupported-encoding"
	UnsupportedFeature     Condition = "unsupported-feature"
	UnsupportedStanzaType  Condition = "unsupported-stanza-type"
	UnsupportedVersion     Condition = "unsupported-version"
)

// Error is a stream error: it ends the stream. RFC 6120 §4.9.
type Error struct {
	Condition Condition
	Text      string // for people, in English unless Lang says otherwise
	Lang      string // xml:lang of Text
	Host      string // see-other-host: the domain or address, with port if it is not the default
	App       []byte // an application-specific condition: one self-contained element
	Received  bool   // the peer sent it; otherwise it was sent to the peer
}

// Error implements error.
func (e *Error) Error() string { panic("unwritten") }

// AppendXML appends <stream:error/>, for a stream whose header declares the prefix `stream`.
func (e *Error) AppendXML(dst []byte) []byte { panic("unwritten") }
