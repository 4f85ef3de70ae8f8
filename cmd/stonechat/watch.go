// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/pprof"
	"sync/atomic"
	"time"

	"github.com/stonechat-im/stonechat/internal/metrics"
)

// watch is the listener for those who watch over the server: metrics, health, profiles. It is no
// place for strangers, which is why its default address is this machine's own.
type watch struct {
	http  http.Server
	ready atomic.Bool
}

func newWatch(reg *metrics.Registry) *watch {
	w := new(watch)
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", reg.Handler())
	mux.HandleFunc("GET /healthz", func(rw http.ResponseWriter, _ *http.Request) { w.say(rw, true) })
	mux.HandleFunc("GET /readyz", func(rw http.ResponseWriter, _ *http.Request) { w.say(rw, w.ready.Load()) })
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	w.http = http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 8 << 10}
	return w
}

// say answers a probe.
func (*watch) say(rw http.ResponseWriter, well bool) {
	if !well {
		http.Error(rw, "not ready", http.StatusServiceUnavailable)
		return
	}
	_, _ = rw.Write([]byte("ok\n"))
}

// listen serves l until close.
func (w *watch) listen(l net.Listener, failed func(error)) {
	go func() {
		if err := w.http.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			failed(err)
		}
	}()
}

// close lets an answer under way end, within ctx.
func (w *watch) close(ctx context.Context) error {
	if err := w.http.Shutdown(ctx); err != nil {
		return w.http.Close()
	}
	return nil
}
