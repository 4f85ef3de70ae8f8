// SPDX-License-Identifier: Apache-2.0

package client

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"strings"

	"github.com/stonechat-im/stonechat/xmpp/jid"
)

// Environment makes a Config of the environment, where services and containers get theirs from:
//
//	STONECHAT_JID            the account
//	STONECHAT_PASSWORD       its password, or
//	STONECHAT_PASSWORD_FILE  a file whose first line it is, or
//	STONECHAT_CERTIFICATE    a PEM file with a certificate to log in by, and
//	STONECHAT_KEY            one with its key; unset: the same file
//	STONECHAT_ADDRESS        host:port, or tls://host:port for direct TLS; unset: as DNS says
//	STONECHAT_CA             a PEM file with the authorities to trust; unset: the system's
func Environment() (Config, error) {
	var c Config
	var err error
	if c.Account, err = jid.Parse(os.Getenv("STONECHAT_JID")); err != nil {
		return c, fmt.Errorf("client: STONECHAT_JID is not the address of an account: %w", err)
	}
	c.Password = os.Getenv("STONECHAT_PASSWORD")
	if name := os.Getenv("STONECHAT_PASSWORD_FILE"); name != "" && c.Password == "" {
		if c.Password, err = ReadPassword(name); err != nil {
			return c, err
		}
	}
	if name := os.Getenv("STONECHAT_CERTIFICATE"); name != "" {
		if err := c.LoadCertificate(name, os.Getenv("STONECHAT_KEY")); err != nil {
			return c, err
		}
	}
	if err := c.SetAddress(os.Getenv("STONECHAT_ADDRESS")); err != nil {
		return c, err
	}
	return c, c.Trust(os.Getenv("STONECHAT_CA"))
}

// ReadPassword reads the first line of a file.
func ReadPassword(name string) (string, error) {
	data, err := os.ReadFile(name)
	if err != nil {
		return "", fmt.Errorf("client: reading the password: %w", err)
	}
	line, _, _ := strings.Cut(string(data), "\n")
	if line = strings.TrimSuffix(line, "\r"); line == "" {
		return "", fmt.Errorf("client: reading the password: the first line of %s is empty", name)
	}
	return line, nil
}

// SetAddress sets Address and DirectTLS to what people write: host:port, or tls://host:port.
// "" is what DNS says.
func (c *Config) SetAddress(s string) error {
	address, direct := strings.CutPrefix(s, "tls://")
	if _, _, err := net.SplitHostPort(address); err != nil && s != "" {
		return fmt.Errorf("client: the address %q is neither host:port nor tls://host:port", s)
	}
	c.Address, c.DirectTLS = address, direct
	return nil
}

// LoadCertificate sets Certificate to that of a PEM file, with its key from another, or from the
// same one for "".
func (c *Config) LoadCertificate(name, key string) error {
	if key == "" {
		key = name
	}
	pair, err := tls.LoadX509KeyPair(name, key)
	if err != nil {
		return fmt.Errorf("client: reading the certificate %s: %w", name, err)
	}
	c.Certificate = &pair
	return nil
}

// Trust sets RootCAs to the certificates of a PEM file. "" leaves it.
func (c *Config) Trust(name string) error {
	if name == "" {
		return nil
	}
	data, err := os.ReadFile(name)
	if err != nil {
		return fmt.Errorf("client: reading certificates: %w", err)
	}
	c.RootCAs = x509.NewCertPool()
	if !c.RootCAs.AppendCertsFromPEM(data) {
		return fmt.Errorf("client: there is no certificate in %s", name)
	}
	return nil
}
