// SPDX-License-Identifier: Apache-2.0

package client_test

import (
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/client"
	"github.com/stonechat-im/stonechat/internal/testserver"
)

func TestEnvironment(t *testing.T) {
	folder := t.TempDir()
	file := func(name, text string) string {
		name = filepath.Join(folder, name)
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	certificate := testserver.Certificate(time.Now().Add(time.Hour), testserver.Domain)
	ca := file("ca.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Leaf.Raw})))
	key, err := x509.MarshalPKCS8PrivateKey(certificate.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	own := file("own.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Leaf.Raw}))+
		string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})))
	for _, c := range []struct {
		name, jid, password, passwordFile, address, ca, certificate, key string
		want                                                             client.Config
		trusts, shows, ok                                                bool
	}{
		{name: "all", jid: testserver.Account, password: "a", address: "tls://h:1", ca: ca, trusts: true, ok: true,
			want: client.Config{Account: juliet, Password: "a", Address: "h:1", DirectTLS: true}},
		{name: "little", jid: testserver.Account, passwordFile: file("pass", "b c\r\nd"), address: "[::1]:5222", ok: true,
			want: client.Config{Account: juliet, Password: "b c", Address: "[::1]:5222"}},
		{name: "certificate", jid: testserver.Account, certificate: own, shows: true, ok: true, want: client.Config{Account: juliet}},
		{name: "certificate and key", jid: testserver.Account, certificate: ca, key: own, shows: true, ok: true, want: client.Config{Account: juliet}},
		{name: "certificate without key", jid: testserver.Account, certificate: ca},
		{name: "no such certificate", jid: testserver.Account, certificate: "missing"},
		{name: "no jid", password: "a"},
		{name: "no such file", jid: testserver.Account, passwordFile: "missing"},
		{name: "empty file", jid: testserver.Account, passwordFile: file("empty", "\nx")},
		{name: "no port", jid: testserver.Account, password: "a", address: "tls://h"},
		{name: "no such authority", jid: testserver.Account, password: "a", ca: "missing"},
		{name: "no authority", jid: testserver.Account, password: "a", ca: file("no.pem", "x")},
	} {
		t.Run(c.name, func(t *testing.T) {
			for name, value := range map[string]string{"JID": c.jid, "PASSWORD": c.password, "PASSWORD_FILE": c.passwordFile,
				"ADDRESS": c.address, "CA": c.ca, "CERTIFICATE": c.certificate, "KEY": c.key} {
				t.Setenv("STONECHAT_"+name, value)
			}
			got, err := client.Environment()
			if (err == nil) != c.ok {
				t.Fatal(err)
			}
			if c.ok && (got.Account != c.want.Account || got.Password != c.want.Password || got.Address != c.want.Address ||
				got.DirectTLS != c.want.DirectTLS || (got.RootCAs != nil) != c.trusts || (got.Certificate != nil) != c.shows) {
				t.Errorf("%+v", got)
			}
		})
	}
}
