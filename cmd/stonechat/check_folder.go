// SPDX-License-Identifier: Apache-2.0

package main

// How to read this file: inside is the order; readConfig, data, certificate and listeners are its
// steps.

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"

	"github.com/stonechat-im/stonechat/config"
	"github.com/stonechat-im/stonechat/server/admin"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/store/sqlite"
)

const (
	fewBytes  = 1 << 30 // that a disk may have left
	othersMay = 0o077   // of a file's permissions
)

// inside looks at what the server is made of.
func (c *checkup) inside(o operator) {
	if !c.readConfig(o) {
		return
	}
	c.data(c.config.Data)
	c.certificate(c.config)
	c.listeners(c.config)
}

func (c *checkup) readConfig(o operator) bool {
	const where = "config"
	conf, name := config.Default(), "the defaults"
	if o.Config != "" {
		name = o.Config
		var err error
		if conf, err = config.Load(o.Config); err != nil {
			c.mistakes(err)
			return false
		}
	}
	if o.Data != "" {
		conf.Data = o.Data
	}
	if _, err := modules(conf); err != nil {
		c.mistakes(err)
		return false
	}
	c.config = conf
	c.note(well, where, "", "%s: every key is known and has a good value", name)
	if conf.AllowPlaintext {
		c.note(warning, where, "allow_plaintext: false", "passwords and messages may go over the network for all to read (allow_plaintext)")
	}
	if conf.Registration == "open" {
		c.note(warning, where, "registration: closed, unless you want it so", "anybody may make an account (registration)")
	}
	for _, a := range conf.Listen.Metrics {
		if !local(a) {
			c.note(warning, where, `listen: {metrics: ["127.0.0.1:9090"]}, or a firewall before it`,
				"metrics and profiles are for whoever can connect to %s (listen.metrics)", a)
		}
	}
	return true
}

// mistakes notes what is wrong with a configuration file.
func (c *checkup) mistakes(err error) {
	var all config.Errors
	if !errors.As(err, &all) {
		c.note(wrong, "config", "", "%v", err)
	}
	for _, e := range all {
		c.note(wrong, "config", "", "%v", e)
	}
}

// local reports whether only this machine can connect to an address.
func local(address string) bool {
	host, _, err := net.SplitHostPort(address)
	ip, err2 := netip.ParseAddr(host)
	return err == nil && (host == "localhost" || err2 == nil && ip.IsLoopback())
}

func (c *checkup) data(folder string) {
	const where = "data"
	info, err := os.Stat(folder)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		c.note(well, where, "", "%s is not there yet: the first start makes it", folder)
		return
	case err != nil:
		c.note(wrong, where, "run this as the user that the server runs as", "%v", err)
		return
	case !info.IsDir():
		c.note(wrong, where, "name another folder (data)", "%s is no folder", folder)
		return
	}
	if runtime.GOOS != "windows" && info.Mode()&othersMay != 0 {
		c.note(warning, where, "chmod 700 "+folder, "other users may look into %s (%s)", folder, info.Mode())
	}
	if err := writable(folder); err != nil {
		c.note(wrong, where, "run this as the user that the server runs as; or that user must own the folder", "%s cannot be written: %v", folder, err)
	}
	c.space(folder)
	if caller, err := admin.Dial(folder); err == nil {
		if resp, err := caller.Get("http://localhost/accounts"); err == nil {
			_ = resp.Body.Close()
			c.running = true
		}
	}
	c.store(folder)
}

// writable makes a file and removes it.
func writable(folder string) error {
	f, err := os.CreateTemp(folder, "check-*.part")
	if err != nil {
		return err
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}

func (c *checkup) space(folder string) {
	free, err := freeBytes(folder)
	if err != nil {
		return // this system does not tell
	}
	// A migration and a long log may need as much again.
	needs := uint64(fewBytes)
	if info, err := os.Stat(filepath.Join(folder, sqlite.FileName)); err == nil {
		needs = max(needs, uint64(info.Size()))
	}
	if free < needs {
		c.note(warning, "data", "make room, or name a folder on another disk (data)", "%s are left on the disk of %s", bytesText(int64(free)), folder)
		return
	}
	c.note(well, "data", "", "%s are left on the disk", bytesText(int64(free)))
}

func (c *checkup) store(folder string) {
	err := sqlite.Check(folder)
	switch {
	case err == nil:
		state := "no server runs on it"
		if c.running {
			state = "a server runs on it"
		}
		c.note(well, "data", "", "the store is whole; %s", state)
	case errors.Is(err, sqlite.ErrNoData):
		c.note(well, "data", "", "there is no store yet: the first start makes it")
	case errors.Is(err, store.ErrNewer):
		c.note(wrong, "data", "run the version that wrote it or a later one, or put back the backup made before the upgrade", "%v", err)
	case errors.Is(err, store.ErrCorrupt):
		c.note(wrong, "data", "keep a copy of the folder, and put back a backup: stonechat restore", "%v", err)
	default:
		c.note(wrong, "data", "run this as the user that the server runs as", "%v", err)
	}
}

func (c *checkup) certificate(conf *config.Config) {
	const where = "certificate"
	if conf.TLS.Certificate == "" {
		c.note(warning, where, "tls: {certificate: …, key: …}, of an authority that clients trust",
			"the server makes its certificate itself: every client will ask whether to trust it, and other servers do not")
		c.selfMade = madeIn(conf.Data)
		return
	}
	for i, d := range conf.Domains {
		files, own := conf.TLS.Domains[d]
		if !own {
			files = config.Certificate{Certificate: conf.TLS.Certificate, Key: conf.TLS.Key}
		}
		pair, chain := c.pair(files)
		if chain == nil {
			continue
		}
		if i == 0 {
			c.shows = pair
		}
		c.judge(where, d, clients, chain)
		if c.federates(d) {
			c.judge(where, d, servers, chain)
		}
	}
}

// madeIn is the certificate that a server has made in its data folder; nil for none.
func madeIn(folder string) *x509.Certificate {
	text, err := os.ReadFile(filepath.Join(folder, "tls", "self-signed.crt"))
	block, _ := pem.Decode(text)
	if err != nil || block == nil {
		return nil
	}
	made, _ := x509.ParseCertificate(block.Bytes)
	return made
}

// pair reads a certificate with its chain, and notes what is wrong with its files.
func (c *checkup) pair(files config.Certificate) (_ *tls.Certificate, chain []*x509.Certificate) {
	const where = "certificate"
	pair, err := tls.LoadX509KeyPair(files.Certificate, files.Key)
	if err != nil {
		c.note(wrong, where, "certificate and key in PEM, of each other, readable for the server's user", "%s with %s: %v", files.Certificate, files.Key, err)
		return nil, nil
	}
	if info, err := os.Stat(files.Key); err == nil && runtime.GOOS != "windows" && info.Mode()&0o007 != 0 {
		c.note(warning, where, "chmod o= "+files.Key, "everybody on this machine may read the key (%s)", info.Mode())
	}
	for _, der := range pair.Certificate {
		link, err := x509.ParseCertificate(der)
		if err != nil {
			c.note(wrong, where, "get the chain anew", "the chain in %s: %v", files.Certificate, err)
			return nil, nil
		}
		chain = append(chain, link)
	}
	return &pair, chain
}

// listeners looks whether the ports are free for a server that does not run.
func (c *checkup) listeners(conf *config.Config) {
	if c.running {
		return // they are tried from outside
	}
	l := conf.Listen
	if len(conf.Components) == 0 {
		l.Component = nil // nobody listens there
	}
	for _, k := range []struct {
		key       string
		addresses []string
	}{{"client", l.Client}, {"client_tls", l.ClientTLS}, {"server", l.Server}, {"server_tls", l.ServerTLS}, {"component", l.Component}, {"http", l.HTTP}, {"https", l.HTTPS}, {"metrics", l.Metrics}} {
		for _, a := range k.addresses {
			in, err := net.Listen("tcp", a)
			if err != nil {
				c.note(wrong, "port", fmt.Sprintf("end the program that has it, or name another address (listen.%s)", k.key), "%v", err)
				continue
			}
			_ = in.Close()
		}
	}
}
