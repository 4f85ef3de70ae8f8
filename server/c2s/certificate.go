// SPDX-License-Identifier: Apache-2.0

package c2s

import (
	"crypto/tls"
	"crypto/x509"

	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/sasl"
)

// maxNames bounds how many addresses of a certificate are looked at.
const maxNames = 100

// certified are the addresses that a client's certificate proves to be its own (XEP-0178 §2). One
// that is not believed is as good as none: the client may still know a password. Whether the
// accounts exist is asked when the client chooses one.
//
// The proof is for the login. A session goes on when its certificate ends; whoever is to go
// before is deleted or disabled.
func (s *Service) certified(st tls.ConnectionState, peer string) []jid.JID {
	if s.ClientCertificate == nil {
		return nil
	}
	cert, err := s.ClientCertificate(st)
	if err == nil && cert == nil {
		return nil
	}
	var list []jid.JID
	if err == nil {
		list, err = s.accounts(cert)
	}
	result := "believed"
	switch {
	case err != nil:
		result, list = "refused", nil
		s.Log.Info("certificate of a client not believed", "peer", peer, "err", err)
	case len(list) == 0:
		result = "nameless"
		s.Log.Info("certificate of a client names no account", "peer", peer)
	}
	s.metrics.certificates.WithLabelValues(result).Inc()
	return list
}

// accounts are those of our domains that a verified certificate names.
func (s *Service) accounts(cert *x509.Certificate) ([]jid.JID, error) {
	names, err := sasl.XMPPAddresses(cert)
	if err != nil {
		return nil, err
	}
	if len(names) == 0 && s.ClientIdentity != "xmpp_address" {
		names = parse(cert.EmailAddresses)
	}
	if len(names) == 0 && s.ClientIdentity == "common_name" {
		names = s.named(cert.Subject.CommonName)
	}
	var list []jid.JID
	for _, j := range names[:min(len(names), maxNames)] {
		if !j.IsDomain() && j.IsBare() && s.Server.Serves(j.Domain()) {
			list = append(list, j)
		}
	}
	return list, nil
}

// named are the accounts that a common name may mean: an address, or somebody at each of our
// domains. The client says by its stream's header which domain it wants.
func (s *Service) named(name string) (list []jid.JID) {
	if list = parse([]string{name}); len(list) > 0 && !list[0].IsDomain() {
		return list
	}
	list = nil
	for _, domain := range s.Server.Domains() {
		if j, err := jid.New(name, domain, ""); err == nil {
			list = append(list, j)
		}
	}
	return list
}

func parse(texts []string) (list []jid.JID) {
	for _, text := range texts {
		if j, err := jid.Parse(text); err == nil {
			list = append(list, j)
		}
	}
	return list
}
