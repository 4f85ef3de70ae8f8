// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stonechat-im/stonechat/client"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
)

// TestOnboardCertificate: a certificate of the fleet's authority makes the account that it names, once, as a thing, if the
// operator wants that, and no other account; nobody logs in to it by a password.
func TestOnboardCertificate(t *testing.T) {
	ours, foreign := newFleet(t), newFleet(t)
	ca := filepath.Join(t.TempDir(), "fleet.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ours.cert.Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	login := func(in *instance, account string, cert *tls.Certificate, password string) error {
		c, err := client.Dial(t.Context(), client.Config{
			Account: jid.MustParse(account), Password: password, Address: in.address("client"), Certificate: cert,
			TLS: &tls.Config{InsecureSkipVerify: true, GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { //nolint:gosec // its certificate was made a moment ago
				if cert == nil {
					return new(tls.Certificate), nil
				}
				return cert, nil
			}},
		})
		if err == nil {
			_ = c.Close()
		}
		return err
	}
	const create = "modules: {onboard: {certificates: create, groups: [fleet], per_hour: 2}}\n"
	lamp := func(f *fleet) *tls.Certificate { return f.certificate(addressed(t, "lamp@d.test")) }
	nameless := ours.certificate(x509.Certificate{})
	for _, c := range []struct {
		name, lines, account string
		cert                 *tls.Certificate
		password             string
		made                 bool
	}{
		{"made", create, "lamp@d.test", lamp(ours), "", true},
		{"not wanted", "", "lamp@d.test", lamp(ours), "", false},
		{"turned off", "modules: {onboard: false}\n", "lamp@d.test", lamp(ours), "", false},
		{"another authority", create, "lamp@d.test", lamp(foreign), "", false},
		{"another authority, with a password", create, "lamp@d.test", lamp(foreign), "x", false},
		{"another name", create, "door@d.test", lamp(ours), "", false},
		{"another name, with a password", create, "door@d.test", lamp(ours), "x", false},
		{"another domain", create, "lamp@d.test", ours.certificate(addressed(t, "lamp@e.test")), "", false},
		{"no name", create, "lamp@d.test", nameless, "", false},
		{"a password alone", create, "lamp@d.test", nil, "x", false},
	} {
		in := started(t, "tls: {client_ca: "+ca+"}\n"+c.lines)
		err := login(in, c.account, c.cert, c.password)
		if (err == nil) != c.made {
			t.Errorf("%s: %v", c.name, err)
		}
		_, err = in.store.Account(t.Context(), jid.MustParse(c.account))
		if (err == nil) != c.made || err != nil && !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%s: the account: %v", c.name, err)
		}
		if !c.made {
			continue
		}
		x, err := in.store.Thing(t.Context(), store.ThingName{JID: jid.MustParse(c.account)})
		if err != nil || len(x.Groups) != 1 || x.Groups[0] != "fleet" || !x.Owner.IsZero() {
			t.Errorf("%s: %+v, %v", c.name, x, err)
		}
		if err := login(in, c.account, c.cert, ""); err != nil {
			t.Errorf("%s, again: %v", c.name, err)
		}
		if err := login(in, c.account, nil, "x"); err == nil {
			t.Errorf("%s: let in by a password", c.name)
		}
		if err := in.store.Commit(store.SetDisabled{User: jid.MustParse(c.account), Disabled: true}).Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := login(in, c.account, c.cert, ""); err == nil {
			t.Errorf("%s: let in although it is disabled", c.name)
		}
		// So many in an hour, and no more; the same thing on several connections at once counts once or is refused.
		var work sync.WaitGroup
		for i := range 6 {
			cert := ours.certificate(addressed(t, fmt.Sprintf("more-%d@d.test", i%3)))
			work.Go(func() { _ = login(in, fmt.Sprintf("more-%d@d.test", i%3), cert, "") })
		}
		work.Wait()
		if n, err := in.store.CountAccounts(t.Context(), ""); err != nil || n > 2 {
			t.Errorf("%d accounts in an hour, %v", n, err)
		}
	}
}
