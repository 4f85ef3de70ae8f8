// SPDX-License-Identifier: Apache-2.0

package drive_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"testing"

	"github.com/stonechat-im/stonechat/internal/drive"
)

// call makes a connection to an echo of the same driver, and serves it as a machine of functions.
func (b *bed) call(address string, model machine, made func(*machine)) {
	b.Helper()
	nc := b.dialTCP(address)
	b.driver.Serve(nc, nil, start(model, made))
}

// A machine that has made the connection is TLS's client, at once or after some words in the clear.
func TestConnectTLS(t *testing.T) {
	for _, direct := range []bool{true, false} {
		onEach(t, drive.Patience{}, func(b *bed) {
			if b.tls != direct {
				return
			}
			address := b.listen(machine{input: func(m *machine, data []byte) {
				if string(data) == "starttls" {
					m.Queue([]byte("proceed"))
					m.StartTLS(serverTLS())
					return
				}
				echo(m, data)
			}}, nil)
			want, got := noise(7, 300_000), []byte{}
			all := make(chan struct{})
			ready := make(chan *machine, 1)
			secure := false
			b.call(address, machine{
				input: func(m *machine, data []byte) {
					if !secure {
						if string(data) != "proceed" {
							b.Errorf("in the clear: %q", data)
						}
						m.ConnectTLS(clientTLS())
						return
					}
					if got = append(got, data...); len(got) == len("queued ")+len(want) {
						close(all)
					}
				},
				secured: func(m *machine) {
					secure = true
					m.Queue([]byte("queued "))
					m.Queue(want)
					m.Flush()
				},
			}, func(m *machine) {
				if direct {
					m.ConnectTLS(clientTLS())
				} else {
					m.Queue([]byte("starttls"))
					m.Flush()
				}
				ready <- m
			})
			m := await(b, ready, "the machine")
			await(b, all, "the echo")
			if !bytes.Equal(got, append([]byte("queued "), want...)) {
				b.Error("other bytes came back")
			}
			m.Close()
			await(b, m.gone, "Gone")
		})
	}
}

// A certificate that the client does not believe ends the connection; so does a peer that is no TLS.
func TestConnectTLSRefused(t *testing.T) {
	onEach(t, drive.Patience{}, func(b *bed) {
		address := b.listen(machine{input: echo}, nil)
		ready := make(chan *machine, 1)
		b.call(address, machine{secured: func(*machine) { b.Error("secured") }}, func(m *machine) {
			m.ConnectTLS(&tls.Config{RootCAs: x509.NewCertPool(), ServerName: "localhost"})
			ready <- m
		})
		if err := await(b, await(b, ready, "the machine").gone, "Gone"); !errors.Is(err, drive.ErrHandshake) {
			b.Errorf("gone: %v", err)
		}
	})
}
