// SPDX-License-Identifier: Apache-2.0

package main

// How to read this file: web reads host-meta in both formats and goes where it leads; webSocket goes as far as a
// client before its login, which shows whether a proxy on the way passes on what it must.

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/stonechat-im/stonechat/server/hostmeta"
)

const (
	maxPage   = 64 << 10         // of what is read of a page, in bytes
	clockMay  = 10 * time.Second // be wrong before anybody notices
	relBOSH   = "urn:xmpp:alt-connections:xbosh"
	nsFraming = "urn:ietf:params:xml:ns:xmpp-framing"
	guide     = "for clients in browsers: see the operator's guide, Behind a reverse proxy"
)

// transport makes requests by the resolver of this run. Redirects are not followed: clients follow some or none of
// them, and who knows where they lead.
func (c *checkup) transport() *http.Transport {
	return &http.Transport{
		DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: c.roots, MinVersion: tls.VersionTLS12},
		MaxResponseHeaderBytes: maxPage, DialContext: c.dial,
	}
}

// get reads a page.
func (c *checkup) get(ctx context.Context, address string) (resp *http.Response, page []byte, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return nil, nil, err
	}
	if resp, err = c.transport().RoundTrip(req); err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	page, err = io.ReadAll(io.LimitReader(resp.Body, maxPage))
	return resp, page, err
}

// link is a way to connect that host-meta names.
type link struct {
	Relation string `xml:"rel,attr" json:"rel"`
	Address  string `xml:"href,attr" json:"href"`
}

// web looks at what clients in browsers need (XEP-0156 §3).
func (c *checkup) web(ctx context.Context, name string) {
	done := map[link]bool{}
	for _, suffix := range []string{"", ".json"} {
		list, answers := c.hostMeta(ctx, "https://"+name+hostmeta.Path+suffix, suffix == "")
		if !answers {
			return // nor will it for the other
		}
		for _, l := range list {
			if done[l] {
				continue
			}
			done[l] = true
			switch l.Relation {
			case hostmeta.WebSocket:
				c.webSocket(ctx, name, l.Address)
			case relBOSH:
				c.bosh(ctx, l.Address)
			}
		}
	}
}

// hostMeta looks at one of the two pages, and returns where it leads, and whether a web server answers.
func (c *checkup) hostMeta(ctx context.Context, address string, isXML bool) (list []link, answers bool) {
	const where = "web"
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	resp, page, err := c.get(ctx, address)
	if err != nil {
		c.note(warning, where, guide, "%s: %v", address, err)
		return nil, false
	}
	if isXML {
		c.clock(resp)
	}
	if resp.StatusCode != http.StatusOK {
		c.note(warning, where, guide, "%s: %s", address, resp.Status)
		return nil, true
	}
	if list, err = links(page, isXML); err != nil {
		c.note(warning, where, guide, "%s: %v", address, err)
		return nil, true
	}
	sockets := 0
	for _, l := range list {
		switch scheme, _, _ := strings.Cut(l.Address, ":"); {
		case l.Relation == hostmeta.WebSocket && scheme != "wss", l.Relation == relBOSH && scheme != "https":
			c.note(wrong, where, "wss:// and https:// alone (XEP-0156 §6)", "%s names %s, a way without TLS", address, l.Address)
		case l.Relation == hostmeta.WebSocket:
			sockets++
		}
	}
	switch {
	case sockets == 0:
		c.note(warning, where, guide, "%s names no WebSocket", address)
	case resp.Header.Get("Access-Control-Allow-Origin") != "*":
		c.note(warning, where, "the header Access-Control-Allow-Origin: * (XEP-0156 §3)", "%s may not be read by pages of other hosts", address)
	default:
		c.note(well, where, "", "%s names a WebSocket", address)
	}
	return list, true
}

// links reads host-meta. RFC 6415 §2, §3
func links(page []byte, isXML bool) ([]link, error) {
	var meta struct {
		Links []link `xml:"Link" json:"links"`
	}
	read := json.Unmarshal
	if isXML {
		read = xml.Unmarshal
	}
	err := read(page, &meta)
	return meta.Links, err
}

// clock compares the server's clock with ours.
func (c *checkup) clock(resp *http.Response) {
	at, err := http.ParseTime(resp.Header.Get("Date"))
	if err != nil {
		return
	}
	if off := time.Since(at).Round(time.Second); off > clockMay || off < -clockMay {
		c.note(warning, "clock", "let both get the time from the network (NTP): certificates and times of messages depend on it", "this machine's clock and the web server's are %s apart", off.Abs())
	}
}

// webSocket opens one and reads what is offered, as a client does before it logs in (RFC 7395 §3).
func (c *checkup) webSocket(ctx context.Context, name, address string) {
	const where = "web"
	at, ok := strings.CutPrefix(address, "wss://")
	u, err := url.Parse(address)
	if !ok || err != nil || u.Host == "" {
		return // said before, or nobody could
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	resp, err := c.upgrade(ctx, "https://"+at, nil)
	if err != nil {
		c.note(wrong, where, guide, "%s: %v", address, err)
		return
	}
	defer resp.Body.Close() //nolint:errcheck // nothing was sent that matters
	if resp.StatusCode != http.StatusSwitchingProtocols {
		c.refusedUpgrade(address, resp)
		return
	}
	text, err := features(resp, name)
	switch {
	case err != nil:
		c.note(wrong, where, guide, "%s: %v", address, err)
	case strings.Contains(text, "<mechanism"), strings.Contains(text, "<authentication"):
		c.note(well, where, "", "%s lets clients log in", address)
	default:
		c.note(wrong, where, guide, "%s answers, but lets nobody log in: %s", address, text)
	}
	if c.running && c.isLoopback(ctx, u.Hostname()) {
		return // from here the server believes a proxy, as which we would be taken
	}
	// A client could say anything about itself if the proxy does not write over it.
	forged, err := c.upgrade(ctx, "https://"+at, http.Header{"Forwarded": {"for=192.0.2.66;proto=http"}})
	if err == nil {
		defer forged.Body.Close() //nolint:errcheck // nothing was sent that matters
		if forged.StatusCode != resp.StatusCode {
			c.note(warning, where, "let the proxy delete the headers that it does not write itself: see the operator's guide, Behind a reverse proxy", "a proxy before %s passes on the header Forwarded as clients invent it (%s)", address, forged.Status)
		}
	}
}

func (c *checkup) isLoopback(ctx context.Context, host string) bool {
	list, err := c.resolver.LookupNetIP(ctx, "ip", host)
	return err == nil && slices.ContainsFunc(list, func(a netip.Addr) bool { return a.Unmap().IsLoopback() })
}

// refusedUpgrade says why there is no WebSocket.
func (c *checkup) refusedUpgrade(address string, resp *http.Response) {
	page, _ := io.ReadAll(io.LimitReader(resp.Body, 300))
	advice := guide
	switch resp.StatusCode {
	case http.StatusOK, http.StatusBadRequest, http.StatusUpgradeRequired:
		advice = "the proxy must pass on the headers Connection and Upgrade, over HTTP/1.1: see the operator's guide, Behind a reverse proxy"
	case http.StatusForbidden:
		advice = "the proxy must say X-Forwarded-Proto: https and X-Forwarded-For, and be listed in http.trusted_proxies"
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		advice = "see whether the server runs, and whether the proxy knows its address (listen.http)"
	case http.StatusNotFound:
		advice = "the proxy must pass on this path, or http.public_url must name the right one"
	}
	c.note(wrong, "web", advice, "%s: no WebSocket, %s %s", address, resp.Status, strings.TrimSpace(string(page)))
}

// upgrade asks for a WebSocket. RFC 6455 §4.1
func (c *checkup) upgrade(ctx context.Context, address string, more http.Header) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return nil, err
	}
	key := make([]byte, 16)
	_, _ = rand.Read(key)
	for k, v := range map[string]string{
		"Connection": "Upgrade", "Upgrade": "websocket", "Sec-Websocket-Version": "13",
		"Sec-Websocket-Protocol": "xmpp", "Sec-Websocket-Key": base64.StdEncoding.EncodeToString(key),
	} {
		req.Header.Set(k, v)
	}
	for k, v := range more {
		req.Header[k] = v
	}
	return c.transport().RoundTrip(req)
}

// features opens a stream over a WebSocket and returns what is offered.
func features(resp *http.Response, name string) (string, error) {
	conn, ok := resp.Body.(io.ReadWriter)
	if !ok {
		return "", errors.New("the connection cannot be written to")
	}
	if p := resp.Header.Get("Sec-Websocket-Protocol"); p != "xmpp" {
		return "", fmt.Errorf("the WebSocket is not for XMPP: its subprotocol is %q", p)
	}
	if _, err := conn.Write(frame("<open xmlns='" + nsFraming + "' to='" + name + "' version='1.0'/>")); err != nil {
		return "", err
	}
	in := bufio.NewReader(conn)
	for range 10 {
		opcode, text, err := readFrame(in)
		switch {
		case err != nil:
			return "", err
		case opcode == 8:
			return "", fmt.Errorf("the server closes the WebSocket: %s", bytes.TrimLeft(text, "\x00\x01\x02\x03"))
		case bytes.Contains(text, []byte("<close")), bytes.Contains(text, []byte("error")):
			return "", fmt.Errorf("the server answers %s", text)
		case bytes.Contains(text, []byte("features")):
			_, _ = conn.Write(frame("<close xmlns='" + nsFraming + "'/>"))
			return string(text), nil
		}
	}
	return "", errors.New("nothing is offered")
}

// frame wraps a short text as a client does, masked. RFC 6455 §5.2
func frame(text string) []byte {
	mask := make([]byte, 4)
	_, _ = rand.Read(mask)
	out := append([]byte{0x81, 0x80 | 126, byte(len(text) >> 8), byte(len(text))}, mask...)
	if len(text) < 126 {
		out = append([]byte{0x81, 0x80 | byte(len(text))}, mask...)
	}
	for i, b := range []byte(text) {
		out = append(out, b^mask[i%4])
	}
	return out
}

// readFrame reads what a server sends.
func readFrame(in io.Reader) (opcode byte, data []byte, err error) {
	head := make([]byte, 2)
	if _, err = io.ReadFull(in, head); err != nil {
		return 0, nil, err
	}
	size := int(head[1] & 0x7f)
	switch {
	case head[1]&0x80 != 0 || size == 127:
		return 0, nil, errors.New("no frame of a server")
	case size == 126:
		long := make([]byte, 2)
		if _, err = io.ReadFull(in, long); err != nil {
			return 0, nil, err
		}
		size = int(long[0])<<8 | int(long[1])
	}
	data = make([]byte, size)
	_, err = io.ReadFull(in, data)
	return head[0] & 0x0f, data, err
}

// bosh asks whether somebody answers there (XEP-0124 §7.1).
func (c *checkup) bosh(ctx context.Context, address string) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	resp, _, err := c.get(ctx, address)
	switch {
	case err != nil:
		c.note(wrong, "web", "take it out of host-meta, or let it answer", "%s (BOSH): %v", address, err)
	case resp.StatusCode == http.StatusNotFound || resp.StatusCode >= http.StatusInternalServerError:
		c.note(wrong, "web", "take it out of host-meta, or let it answer", "%s (BOSH): %s", address, resp.Status)
	default:
		c.note(well, "web", "", "%s (BOSH) answers", address)
	}
}
