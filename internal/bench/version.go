// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"strings"
	"time"
)

const versionTimeout = 2 * time.Second

// version returns the server's own name for itself: the software version of an
// XMPP server (XEP-0092), the value that a broker keeps in $SYS/broker/version.
// It is empty when the server does not say.
func (d *dialer) version(ctx context.Context) string {
	if d.target.Version != "" {
		return d.target.Version
	}
	switch d.target.Kind {
	case XMPP:
		return d.ask(ctx, d.versionXMPP)
	case MQTT:
		return d.ask(ctx, d.versionMQTT)
	}
	return ""
}

// ask sets a session up that only asks; that it failed shows in what follows.
func (d *dialer) ask(ctx context.Context, question func(*wire) (string, error)) string {
	asking := *d
	asking.session = Session{Timeout: d.session.Timeout}
	w, err := asking.connect(ctx, 0)
	if err != nil {
		return ""
	}
	defer func() { _ = w.s.sock.Close() }() // nothing was at stake
	if err := asking.setUp(w); err != nil {
		return ""
	}
	if err := w.s.sock.SetDeadline(time.Now().Add(versionTimeout)); err != nil {
		return ""
	}
	answer, err := question(w)
	if err != nil {
		return ""
	}
	w.s.leave()
	return strings.TrimSpace(answer)
}

func (d *dialer) versionXMPP(w *wire) (string, error) {
	answer, err := w.askTo(d.target.Domain, "version", "get", "<query xmlns='jabber:iq:version'/>")
	return string(inner(answer, "name")) + " " + string(inner(answer, "version")), err
}

func (d *dialer) versionMQTT(w *wire) (version string, err error) {
	if err := w.s.write(appendSubscribe(nil, 2, "$SYS/broker/version", 0)); err != nil {
		return "", err
	}
	for version == "" {
		p, err := w.next()
		if err != nil {
			return "", err
		}
		if err := w.s.packet(p, time.Time{}, func(_ *session, body []byte, _ time.Time) { version = string(body) }); err != nil {
			return "", err
		}
	}
	return version, nil
}
