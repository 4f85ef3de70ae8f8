// SPDX-License-Identifier: Apache-2.0

package sasl

import (
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"slices"
	"unicode/utf8"

	"github.com/stonechat-im/stonechat/xmpp/jid"
)

// External is the name of the mechanism that leaves the proof to TLS. RFC 4422 Appendix A.
const External = "EXTERNAL"

// ErrAddress is a certificate whose XMPP addresses cannot be read.
var ErrAddress = errors.New("sasl: the certificate's XMPP address is malformed")

// XMPPAddresses returns the addresses that a certificate names as id-on-xmppAddr, in its order.
// One that is no address, like anything malformed, is ErrAddress. RFC 6120 §13.7.1.4.
func XMPPAddresses(cert *x509.Certificate) ([]jid.JID, error) {
	names, err := otherNames(cert, oidXMPPAddr(), asn1.TagUTF8String)
	if err != nil {
		return nil, err
	}
	var list []jid.JID
	for _, name := range names {
		j, err := jid.Parse(name)
		if err != nil {
			return nil, ErrAddress
		}
		list = append(list, j)
	}
	return list, nil
}

// ServiceNames returns the names that a certificate has as id-on-dnsSRV, such as
// "_xmpp-server.example.org", in its order. RFC 4985 §2, RFC 6120 §13.7.1.2.
func ServiceNames(cert *x509.Certificate) ([]string, error) {
	return otherNames(cert, oidServiceName(), asn1.TagIA5String)
}

// Of RFC 5280 §4.2.1.6, RFC 6120 §13.7.1.4 and RFC 4985 §2.
func oidSubjectAltName() asn1.ObjectIdentifier { return asn1.ObjectIdentifier{2, 5, 29, 17} }
func oidXMPPAddr() asn1.ObjectIdentifier       { return asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 8, 5} }
func oidServiceName() asn1.ObjectIdentifier    { return asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 8, 7} }

// otherNames are the texts that the certificate has under a name of that kind.
func otherNames(cert *x509.Certificate, kind asn1.ObjectIdentifier, tag int) ([]string, error) {
	var list []string
	for _, e := range cert.Extensions {
		if !e.Id.Equal(oidSubjectAltName()) {
			continue
		}
		found, err := readOtherNames(e.Value, kind, tag)
		if err != nil {
			return nil, err
		}
		list = append(list, found...)
	}
	return list, nil
}

// readOtherNames reads the value of the extension subjectAltName:
//
//	SEQUENCE OF (otherName [0] { type-id OBJECT IDENTIFIER, value [0] EXPLICIT text } | …)
func readOtherNames(der []byte, wanted asn1.ObjectIdentifier, tag int) ([]string, error) {
	var names asn1.RawValue
	rest, err := asn1.Unmarshal(der, &names)
	if err != nil || len(rest) > 0 || names.Tag != asn1.TagSequence || names.Class != asn1.ClassUniversal {
		return nil, ErrAddress
	}
	var list []string
	for rest = names.Bytes; len(rest) > 0; {
		var name asn1.RawValue
		if rest, err = asn1.Unmarshal(rest, &name); err != nil {
			return nil, ErrAddress
		}
		if name.Class != asn1.ClassContextSpecific || name.Tag != 0 {
			continue
		}
		var kind asn1.ObjectIdentifier
		value, err := asn1.Unmarshal(name.Bytes, &kind)
		switch {
		case err != nil:
			return nil, ErrAddress
		case !kind.Equal(wanted):
			continue
		}
		var wrapped, text asn1.RawValue
		after, err := asn1.Unmarshal(value, &wrapped)
		if err != nil || len(after) > 0 || wrapped.Class != asn1.ClassContextSpecific || wrapped.Tag != 0 {
			return nil, ErrAddress
		}
		after, err = asn1.Unmarshal(wrapped.Bytes, &text)
		if err != nil || len(after) > 0 || text.Class != asn1.ClassUniversal || text.Tag != tag {
			return nil, ErrAddress
		}
		list = append(list, string(text.Bytes))
	}
	return list, nil
}

// maxAuthzid is the length of an address. RFC 7622 §3.1.
const maxAuthzid = 3071

// stepExternal takes the client's only message: as whom it wants to be authorized, if the
// certificate leaves a choice. XEP-0178 §2.
func (s *Server) stepExternal(data []byte) Outcome {
	var account jid.JID
	switch own := s.c.External; {
	case len(data) > maxAuthzid || !utf8.Valid(data) || slices.Contains(data, 0):
		return s.fail(MalformedRequest, "the authorization identity is no address")
	case len(data) > 0:
		wanted, err := jid.Parse(string(data))
		if err != nil || !slices.Contains(own, wanted) {
			return s.fail(InvalidAuthzid, "")
		}
		account = wanted
	case len(own) > 1:
		return s.fail(InvalidAuthzid, "the certificate has several addresses, say which")
	default:
		account = own[0]
	}
	s.first.name, s.first.authzid = account.Local(), string(data)
	s.state = atKeys
	return Outcome{Kind: Lookup, Username: s.first.name, Authzid: s.first.authzid}
}
