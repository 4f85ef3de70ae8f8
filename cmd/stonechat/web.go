// SPDX-License-Identifier: Apache-2.0

package main

import (
	"net/http"

	"github.com/stonechat-im/stonechat/internal/metrics"
	"github.com/stonechat-im/stonechat/server/hostmeta"
	"github.com/stonechat-im/stonechat/server/httpd"
	"github.com/stonechat-im/stonechat/server/websocket"
)

// serveHTTP makes what listens for HTTP, and THE list of what it serves.
func (in *instance) serveHTTP(reg *metrics.Registry) {
	c := in.config
	in.websocket = websocket.New(websocket.Config{
		Machine: in.clients.Framed, AllowPlaintext: c.AllowPlaintext, DeadAfter: c.Limits.DeadAfter.D(),
		Log: in.log, Metrics: reg,
	})
	var routes []httpd.Route
	add := func(pattern string, h http.Handler) {
		routes = append(routes, httpd.Route{Pattern: pattern, Handler: h})
	}
	add(websocket.Path, in.websocket)
	routes = append(routes, hostmeta.Routes(hostmeta.Config{
		Serves: in.server.Serves, PublicURL: c.HTTP.PublicURL,
		Links: []hostmeta.Link{
			{Relation: hostmeta.WebSocket, Scheme: "wss", Path: websocket.Path},
		},
	})...)
	limits := httpd.DefaultLimits()
	limits.HeaderBytes, limits.Timeout = int(c.Limits.HTTPHeaderBytes), c.Limits.HTTPTimeout.D()
	in.http = httpd.New(httpd.Config{
		Routes: routes, Proxies: c.HTTP.Proxies(), Admit: in.clients.Admit,
		Limits: limits, Log: in.log, Metrics: reg,
	})
}
