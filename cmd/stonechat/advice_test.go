// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/config"
	"github.com/stonechat-im/stonechat/xmpp/stream"
)

// What commonly goes wrong is said with what to do about it, and the error itself stays what it was.
func TestAdvice(t *testing.T) {
	bind := func(err error) error {
		return fmt.Errorf("listen.client: %w", &net.OpError{Op: "listen", Net: "tcp", Err: os.NewSyscallError("bind", err)})
	}
	logIn := func(address string) func(error) error { return login{From: "romeo@d", Address: address}.advise }
	dropped := errors.New("client: cannot connect")
	for _, test := range []struct {
		advise func(error) error
		err    error
		want   string
	}{
		{startAdvice, bind(syscall.EADDRINUSE), "Another program has that port"},
		{startAdvice, bind(syscall.EACCES), "ports below 1024"},
		{startAdvice, bind(syscall.EADDRNOTAVAIL), "no such address"},
		{startAdvice, fmt.Errorf("tlsconfig: %w", &fs.PathError{Op: "mkdir", Path: "data", Err: syscall.EACCES}), "This user has no right to that"},
		{startAdvice, bind(syscall.EIO), ""},
		{logIn("x:1"), fmt.Errorf("logging in: %w", &stream.Error{Condition: stream.HostUnknown, Received: true}), "none of the domain of romeo@d"},
		{logIn("x:1"), x509.CertificateInvalidError{Reason: x509.Expired}, "If the clock of this machine is right"},
		{logIn("x:5223"), dropped, "--address tls://x:5223"},
		{logIn("tls://x:5223"), dropped, ""},
		{logIn("x:5222"), dropped, ""},
		{logIn(""), dropped, "DNS led there"},
	} {
		got := test.advise(test.err)
		if !strings.HasPrefix(got.Error(), test.err.Error()) || !strings.Contains(got.Error(), test.want) || test.want == "" && got.Error() != test.err.Error() {
			t.Errorf("%v: %q, want %q", test.err, got, test.want)
		}
	}
	if startAdvice(nil) != nil || logIn("")(nil) != nil {
		t.Error("advice where nothing is wrong")
	}
}

// A certificate whose time is over, or has not come, is told of when the server starts.
func TestWarnOfTime(t *testing.T) {
	c := config.Default()
	c.Data = t.TempDir()
	certs, err := certificates(c)
	if err != nil {
		t.Fatal(err)
	}
	for after, want := range map[time.Duration]string{0: "", -30 * 24 * time.Hour: "is not valid yet", 50 * 365 * 24 * time.Hour: "has expired"} {
		var b bytes.Buffer
		in := &instance{certs: certs, log: slog.New(slog.NewTextHandler(&b, nil))}
		in.warnOfTime(time.Now().Add(after))
		if got := b.String(); !strings.Contains(got, want) || want == "" && got != "" {
			t.Errorf("%s later: %q, want %q", after, got, want)
		}
	}
}
