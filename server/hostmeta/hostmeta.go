// SPDX-License-Identifier: Apache-2.0

// Package hostmeta tells clients that cannot ask the DNS, in browsers above all, where else than over
// TCP a domain is served.
//
// XEP-0156 (complete, 1.4.0)
//
// It answers for the domains served here, by the name that the client asked for, in both formats of
// RFC 6415. The addresses are those of http.public_url where that is set; otherwise the name and port
// that the client has just used over TLS. Without TLS there is no address to tell (XEP-0156 §2.2).
package hostmeta

import (
	"encoding/json"
	"net/http"
	"net/netip"
	"strings"

	"github.com/stonechat-im/stonechat/server/httpd"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// WebSocket is the relation of a WebSocket's address. XEP-0156 §2.1.
const WebSocket = "urn:xmpp:alt-connections:websocket"

// Path is where the XML is; with ".json" behind it, where the JSON is.
const Path = "/.well-known/host-meta"

// Link is one way to connect.
type Link struct {
	Relation string
	Scheme   string // of its address: wss or https
	Path     string // on the listener
}

// Config says what is told.
type Config struct {
	Serves    func(domain string) bool // prepared domainparts
	PublicURL string                   // like https://example.org/path, under which others see the listener; "" to find out
	Links     []Link
}

// Routes serve both formats.
func Routes(c Config) []httpd.Route {
	return []httpd.Route{
		{Pattern: Path, Handler: c.handler("application/xrd+xml", appendXRD)},
		{Pattern: Path + ".json", Handler: c.handler("application/json", appendJRD)},
	}
}

// link is a Link with its whole address.
type link struct {
	Relation string `json:"rel"`
	Address  string `json:"href"`
}

func (c Config) handler(kind string, write func([]link) []byte) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "*") // XEP-0156 §3: pages of any origin may read it
		switch r.Method {
		case http.MethodGet, http.MethodHead:
		case http.MethodOptions:
			w.Header().Set("Access-Control-Allow-Methods", "GET, HEAD, OPTIONS")
			w.Header().Set("Access-Control-Allow-Headers", "*")
			w.WriteHeader(http.StatusNoContent)
			return
		default:
			w.Header().Set("Allow", "GET, HEAD, OPTIONS")
			http.Error(w, "only GET", http.StatusMethodNotAllowed)
			return
		}
		peer := httpd.PeerOf(r)
		base, refusal := c.base(peer)
		if refusal != "" {
			http.Error(w, refusal, http.StatusNotFound)
			return
		}
		links := make([]link, len(c.Links))
		for i, l := range c.Links {
			links[i] = link{l.Relation, l.Scheme + "://" + base + l.Path}
		}
		w.Header().Set("Content-Type", kind)
		_, _ = w.Write(write(links))
	})
}

// base is host, port and path before each link's, or why there is none to tell.
func (c Config) base(peer *httpd.Peer) (base, refusal string) {
	switch domain, ok := domainOf(peer.Host); {
	case !ok || !c.Serves(domain):
		return "", "This domain is not served here."
	case c.PublicURL != "":
		return strings.TrimSuffix(strings.TrimPrefix(c.PublicURL, "https://"), "/"), ""
	case !peer.Secure:
		return "", "There is no address to tell: ask over https, let the proxy in front say that you did (X-Forwarded-Proto), or set http.public_url."
	}
	return strings.ToLower(peer.Host), ""
}

// domainOf is the domain, prepared, of a request's host.
func domainOf(host string) (domain string, ok bool) {
	if i := strings.LastIndexByte(host, ':'); i >= 0 && !strings.HasSuffix(host, "]") {
		if _, err := netip.ParseAddrPort("0.0.0.0" + host[i:]); err != nil {
			return "", false
		}
		host = host[:i]
	}
	j, err := jid.Parse(strings.TrimSuffix(host, "."))
	if err != nil || !j.IsDomain() || !j.IsBare() {
		return "", false
	}
	return j.Domain(), true
}

// appendXRD writes RFC 6415 §3.
func appendXRD(links []link) []byte {
	b := []byte("<?xml version='1.0' encoding='utf-8'?>\n<XRD xmlns='http://docs.oasis-open.org/ns/xri/xrd-1.0'>\n")
	for _, l := range links {
		b = append(b, "  <Link"...)
		b = xmlstream.AppendAttr(b, "rel", l.Relation)
		b = xmlstream.AppendAttr(b, "href", l.Address)
		b = append(b, "/>\n"...)
	}
	return append(b, "</XRD>\n"...)
}

// appendJRD writes RFC 6415 §A.
func appendJRD(links []link) []byte {
	b, err := json.Marshal(map[string][]link{"links": links})
	if err != nil {
		panic("hostmeta: " + err.Error()) // strings always marshal
	}
	return append(b, '\n')
}
