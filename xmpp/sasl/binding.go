// SPDX-License-Identifier: Apache-2.0

package sasl

import (
	"crypto"
	_ "crypto/sha256" // the hashes that certificates are signed with
	_ "crypto/sha512"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
)

// The types of channel binding that this package knows.
const (
	TLSExporter       = "tls-exporter"         // RFC 9266: the connection itself
	TLSServerEndPoint = "tls-server-end-point" // RFC 5929 §4: the server's certificate
)

// ChannelBinding ties a login to the TLS connection under it. RFC 5056.
type ChannelBinding struct {
	Type string // TLSExporter, TLSServerEndPoint
	Data []byte
}

// exporterSize is the length of exported keying material. RFC 9266 §2.
const exporterSize = 32

// BindingOf returns what a login over a TLS connection can bind to, strongest
// first. leaf is the server's certificate: a server gives the one it served
// on this connection, a client the first of its peer's certificates.
//
// tls-exporter needs TLS 1.3, or TLS 1.2 with extended master secret and
// without renegotiation. tls-server-end-point needs a certificate whose
// signature has one hash: RFC 5929 §4.1 leaves Ed25519 undefined. If neither
// is to be had, that is an error; the login then goes without binding.
func BindingOf(state tls.ConnectionState, leaf *x509.Certificate) ([]ChannelBinding, error) {
	if !state.HandshakeComplete {
		return nil, errors.New("sasl: channel binding before the end of the TLS handshake")
	}
	var list []ChannelBinding
	exported, exportErr := exporter(state)
	if exportErr == nil {
		list = append(list, ChannelBinding{TLSExporter, exported})
	}
	hashed, endPointErr := endPoint(leaf)
	if endPointErr == nil {
		list = append(list, ChannelBinding{TLSServerEndPoint, hashed})
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("sasl: no channel binding: %w", errors.Join(exportErr, endPointErr))
	}
	return list, nil
}

// exporter relies on crypto/tls to refuse connections whose master secret is
// not unique. The context is a zero-length string, which in TLS 1.2 differs
// from no context. RFC 9266 §2, RFC 5705 §4.
func exporter(state tls.ConnectionState) ([]byte, error) {
	if state.Version < tls.VersionTLS12 {
		return nil, errors.New("tls-exporter needs TLS 1.2 or later")
	}
	return state.ExportKeyingMaterial("EXPORTER-Channel-Binding", []byte{}, exporterSize)
}

// endPoint hashes the certificate with the hash of its signature, where MD5
// and SHA-1 stand for SHA-256. RFC 5929 §4.1.
func endPoint(leaf *x509.Certificate) ([]byte, error) {
	if leaf == nil {
		return nil, errors.New("tls-server-end-point needs a certificate")
	}
	var h crypto.Hash
	switch leaf.SignatureAlgorithm {
	case x509.MD5WithRSA, x509.SHA1WithRSA, x509.DSAWithSHA1, x509.ECDSAWithSHA1,
		x509.SHA256WithRSA, x509.SHA256WithRSAPSS, x509.ECDSAWithSHA256, x509.DSAWithSHA256:
		h = crypto.SHA256
	case x509.SHA384WithRSA, x509.SHA384WithRSAPSS, x509.ECDSAWithSHA384:
		h = crypto.SHA384
	case x509.SHA512WithRSA, x509.SHA512WithRSAPSS, x509.ECDSAWithSHA512:
		h = crypto.SHA512
	default:
		return nil, fmt.Errorf("tls-server-end-point is not defined for a signature by %v", leaf.SignatureAlgorithm)
	}
	sum := h.New()
	sum.Write(leaf.Raw)
	return sum.Sum(nil), nil
}
