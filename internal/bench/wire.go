// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"bytes"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"slices"
	"strconv"
	"time"
)

// wire is a session while one goroutine logs it in: it writes a request and
// waits for the answer.
type wire struct {
	s   *session
	buf []byte // read and not yet used
}

// more reads at least one byte.
func (w *wire) more() error {
	if len(w.buf) > maxUnit {
		return fmt.Errorf("a unit of more than %d bytes", maxUnit)
	}
	w.buf = slices.Grow(w.buf, 2048)
	n, err := w.s.read(w.buf[len(w.buf):cap(w.buf)])
	w.buf = w.buf[:len(w.buf)+n]
	if n > 0 {
		return nil
	}
	return err
}

// next returns the next unit that means something; it stays valid, for later
// reads append behind it.
func (w *wire) next() ([]byte, error) {
	for {
		n, err := w.s.cut(w.buf)
		if err != nil {
			return nil, err
		}
		if n == 0 {
			if err := w.more(); err != nil {
				return nil, err
			}
			continue
		}
		unit := w.buf[:n:n]
		w.buf = w.buf[n:]
		if w.s.kind == MQTT || unit[0] == '<' && unit[1] != '?' {
			return unit, nil
		}
	}
}

// expect returns the next unit, which must bear that name.
func (w *wire) expect(name string) ([]byte, error) {
	unit, err := w.next()
	if err != nil {
		return nil, fmt.Errorf("waiting for <%s>: %w", name, err)
	}
	if string(localName(unit)) != name {
		return nil, fmt.Errorf("instead of <%s>: %.300s", name, unit)
	}
	return unit, nil
}

// open sends a stream header and returns the features of the answer.
func (w *wire) open(domain string) ([]byte, error) {
	header := "<?xml version='1.0'?><stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' to='" + domain + "' version='1.0'>"
	if err := w.s.write([]byte(header)); err != nil {
		return nil, err
	}
	if _, err := w.expect("stream"); err != nil {
		return nil, err
	}
	return w.expect("features")
}

// startTLS encrypts the connection and opens the stream again (RFC 6120 §5).
func (w *wire) startTLS(conf *tls.Config, domain string, features []byte) ([]byte, error) {
	if after(features, "<starttls") == 0 {
		return nil, fmt.Errorf("STARTTLS is not offered in %.300s", features)
	}
	if err := w.s.write([]byte("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")); err != nil {
		return nil, err
	}
	if _, err := w.expect("proceed"); err != nil {
		return nil, err
	}
	if len(w.buf) > 0 {
		return nil, fmt.Errorf("%d bytes behind <proceed/>", len(w.buf))
	}
	if err := w.secure(conf); err != nil {
		return nil, err
	}
	return w.open(domain)
}

func (w *wire) secure(conf *tls.Config) error {
	w.s.tls = tls.Client(w.s.sock, conf)
	// The connection has a deadline, which bounds the handshake as well.
	if err := w.s.tls.Handshake(); err != nil {
		return fmt.Errorf("TLS: %w", err)
	}
	return nil
}

func (w *wire) auth(mechanism string, initial []byte) error {
	return w.s.write([]byte("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='" + mechanism + "'>" +
		base64.StdEncoding.EncodeToString(initial) + "</auth>"))
}

// ask sends an IQ and returns its result. What else arrives meanwhile is
// handled as on a loop, answers are written later there.
func (w *wire) ask(id, typ, payload string) ([]byte, error) { return w.askTo("", id, typ, payload) }

func (w *wire) askTo(to, id, typ, payload string) ([]byte, error) {
	if err := w.request(to, id, typ, payload); err != nil {
		return nil, err
	}
	unit, err := w.await(func(unit []byte) bool {
		return string(localName(unit)) == "iq" && string(attr(unit, "id")) == id
	})
	if err != nil {
		return nil, fmt.Errorf("waiting for the answer to %s: %w", id, err)
	}
	if string(attr(unit, "type")) != "result" {
		return nil, fmt.Errorf("%s refused: %.300s", id, unit)
	}
	return unit, nil
}

func (w *wire) request(to, id, typ, payload string) error {
	request := "<iq type='" + typ + "' id='" + id + "'"
	if to != "" {
		request += " to='" + to + "'"
	}
	if err := w.s.write([]byte(request + ">" + payload + "</iq>")); err != nil {
		return err
	}
	w.s.countSent(1)
	return nil
}

// await handles what arrives until a unit is the one.
func (w *wire) await(is func(unit []byte) bool) ([]byte, error) {
	for {
		unit, err := w.next()
		if err != nil {
			return nil, err
		}
		if err := w.s.unit(unit, time.Time{}, func(*session, []byte, time.Time) {}); err != nil {
			return nil, err
		}
		if is(unit) {
			return unit, nil
		}
	}
}

const ahead = 32 // requests that askAll has under way

// askAll sends n requests, some of them ahead of the answers. All must be granted.
func (w *wire) askAll(to, typ string, n int, payload func(i int) string) error {
	sent := 0
	for answered := 0; answered < n; answered++ {
		for ; sent < n && sent < answered+ahead; sent++ {
			if err := w.request(to, "all"+strconv.Itoa(sent), typ, payload(sent)); err != nil {
				return err
			}
		}
		unit, err := w.await(func(unit []byte) bool {
			return string(localName(unit)) == "iq" && bytes.HasPrefix(attr(unit, "id"), []byte("all"))
		})
		if err != nil {
			return fmt.Errorf("waiting for answer %d of %d: %w", answered+1, n, err)
		}
		if string(attr(unit, "type")) != "result" {
			return fmt.Errorf("%s refused: %.300s", attr(unit, "id"), unit)
		}
	}
	return nil
}
