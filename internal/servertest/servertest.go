// SPDX-License-Identifier: Apache-2.0

// Package servertest is for tests of modules: a server on a real store, without sockets, and clients on streams in memory.
// Tests run in bubbles of testing/synctest, so that after Send all has been done that comes of it, commits included.
package servertest

import (
	"log/slog"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/internal/metrics"
	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/store/sqlite"
	"github.com/stonechat-im/stonechat/xmpp/jid"
)

// Server is a server under test. Each Restart makes it anew, on the same folder.
type Server struct {
	*server.Server
	T       testing.TB
	Disk    *Disk
	Metrics *metrics.Registry

	options Options
	folder  string
}

// Options say what the server is made of.
type Options struct {
	Domains []string       // d, unless it says others
	Limits  *server.Limits // nil: the default
	Modules func() []server.Module
}

// Start starts a server, which is stopped with the test.
func Start(t testing.TB, o Options) *Server {
	t.Helper()
	s := &Server{T: t, options: o, folder: t.TempDir()}
	s.start()
	t.Cleanup(s.stop)
	return s
}

func (s *Server) start() {
	s.T.Helper()
	d := new(Disk)
	st, err := sqlite.Open(sqlite.Options{Folder: s.folder, Log: slog.New(slog.DiscardHandler), BeforeCommit: d.wait})
	if err != nil {
		s.T.Fatal(err)
	}
	d.Store = st
	c := server.Config{Domains: s.options.Domains, Limits: server.DefaultLimits(), Store: d, Log: slog.New(slog.DiscardHandler), Metrics: metrics.New()}
	if c.Domains == nil {
		c.Domains = []string{"d"}
	}
	if s.options.Limits != nil {
		c.Limits = *s.options.Limits
	}
	s.Disk, s.Metrics = d, c.Metrics
	if s.Server, err = server.New(c, s.options.Modules()); err != nil {
		s.T.Fatal(err)
	}
	s.Server.Start()
}

func (s *Server) stop() {
	s.Disk.Failing.Store(false)
	if err := s.Stop(s.T.Context()); err != nil && s.T.Context().Err() == nil {
		s.T.Error(err)
	}
	if err := s.Disk.Close(); err != nil {
		s.T.Error(err)
	}
}

// Restart is what an operator does.
func (s *Server) Restart() {
	s.stop()
	s.start()
}

// Account makes an account, with those contacts.
func (s *Server) Account(address string, contacts ...store.RosterItem) jid.JID {
	s.T.Helper()
	j := jid.MustParse(address)
	ops := []store.Op{store.CreateAccount{Account: store.Account{JID: j, Created: time.Now()}}}
	for i, it := range contacts {
		it.Version = int64(i + 1)
		ops = append(ops, store.SetRosterItem{User: j, Item: it})
	}
	if err := s.Disk.Commit(ops...).Wait(s.T.Context()); err != nil {
		s.T.Fatal(err)
	}
	return j
}

// Metric is the value of a metric, with its labels as they are written; "" where it has none.
func (s *Server) Metric(name string) string {
	w := httptest.NewRecorder()
	s.Metrics.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	for line := range strings.Lines(w.Body.String()) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// Counts reports whether the metrics say that: a name and its value.
func (s *Server) Counts(sample string) bool {
	i := strings.LastIndexByte(sample, ' ')
	return s.Metric(sample[:i]) == sample[i+1:]
}

// Disk is a store whose disk may be slow or full.
type Disk struct {
	store.Store
	Failing atomic.Bool  // commits fail, later
	Topic   string       // of those that do; "": all
	Commits atomic.Int64 // calls of Commit with operations

	gate atomic.Pointer[chan struct{}]
}

// Commit implements store.Store.
func (d *Disk) Commit(ops ...store.Op) *store.Pending {
	if len(ops) > 0 {
		d.Commits.Add(1)
	}
	if d.Failing.Load() && len(ops) > 0 && (d.Topic == "" || ops[0].Topic() == d.Topic) {
		p := new(store.Pending)
		d.Store.Commit().OnDone(func(error) { p.Resolve(store.ErrNoSpace) })
		return p
	}
	return d.Store.Commit(ops...)
}

// Stall holds the disk until the function that it returns is called.
func (d *Disk) Stall() (release func()) {
	gate := make(chan struct{})
	d.gate.Store(&gate)
	return func() {
		d.gate.Store(nil)
		close(gate)
	}
}

func (d *Disk) wait() {
	if gate := d.gate.Load(); gate != nil {
		<-*gate
	}
}
