// SPDX-License-Identifier: Apache-2.0

//go:build linux

package storm

import (
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/internal/bench"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/store/sqlite"
	"github.com/stonechat-im/stonechat/test/program"
	"github.com/stonechat-im/stonechat/xmpp/form"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/pubsub"
	"github.com/stonechat-im/stonechat/xmpp/sasl"
)

var (
	sessions = flag.Int("storm.sessions", 10_000, "sessions that come back at once")
	contacts = flag.Int("storm.contacts", 0, "contacts of each, an even number; then they send presence, and ask for what their contacts publish")
	nodes    = flag.Int("storm.nodes", 0, "nodes of each, up to 3, with an item each, which its contacts are sent when they come")
)

// notify are nodes that clients ask for.
const notify = "urn:xmpp:avatar:metadata http://jabber.org/protocol/nick urn:xmpp:bookmarks:1"

const (
	domain   = "storm.test"
	password = "after-the-rain"
	pairs    = 50 // that are in first
	within   = time.Minute
)

var stonechat program.Binary

// TestMain lets the test be its own worker processes, which hold the sessions.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == "worker" {
		if err := bench.Worker(os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(program.Run(m, 0, &stonechat))
}

// The server is killed and started again; all sessions log in at once.
func TestStorm(t *testing.T) {
	s := &server{t: t, folder: t.TempDir(), address: net.JoinHostPort(program.Loopback(), "5222")}
	s.configure()
	s.makeAccounts(2*pairs + *sessions)
	s.start()
	defer func() { s.process.Kill() }()
	target := bench.Target{
		Name: "stonechat", Kind: bench.XMPP, Security: bench.StartTLS, Addr: s.address, Domain: domain, PID: s.process.PID(),
		Accounts: bench.Accounts{Pattern: "thing%d", Password: password},
	}
	session := bench.Session{SM: true, Roster: true}
	if *contacts > 0 {
		session.Presence, session.Notify = true, notify
	}
	run := &bench.Run{Rounds: 1, Self: []string{os.Args[0]}, Log: t.Logf, Restart: func(_ context.Context, to *bench.Target) error {
		s.process.Kill()
		s.start()
		to.PID = s.process.PID()
		return nil
	}}
	rep, err := run.Storm(t.Context(), []bench.Target{target}, bench.StormOptions{
		Sessions: *sessions, Session: session, Patience: 3 * within,
		Live: bench.RelayOptions{Pairs: pairs, Rate: 200, Body: 150, Duration: time.Second},
	})
	if err != nil {
		for _, r := range rep.Results {
			t.Log(r.Faults)
		}
		t.Fatal(err)
	}
	// A minute is what operators are promised; here it takes a third of that.
	if span := rep.Results[0].Figure(bench.RecoverySpan); span.Median > within.Seconds() {
		t.Errorf("all are back after %.0f s, later than %s", span.Median, within)
	}
}

// server is the program, with the limits of one without configuration.
type server struct {
	t       *testing.T
	folder  string
	address string
	process *program.Process
}

func (s *server) data() string { return filepath.Join(s.folder, "data") }

func (s *server) configure() {
	conf := fmt.Sprintf("domains: [%s]\ndata: %s\nlisten: {client: [%q], client_tls: [], server: [], server_tls: [], http: [], https: [], metrics: []}\n", domain, s.data(), s.address)
	if err := os.WriteFile(filepath.Join(s.folder, "stonechat.yaml"), []byte(conf), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// makeAccounts writes them into the store, all with one password.
func (s *server) makeAccounts(n int) {
	st, err := sqlite.Open(sqlite.Options{Folder: s.data(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		s.t.Fatal(err)
	}
	keys, err := sasl.DeriveKeys(password, sasl.DefaultIterations, rand.Reader)
	if err != nil {
		s.t.Fatal(err)
	}
	var last *store.Pending
	name := func(i int) jid.JID { return jid.MustParse(fmt.Sprintf("thing%d@%s", i, domain)) }
	for i := range n {
		last = st.Commit(store.CreateAccount{Account: store.Account{JID: name(i), Keys: keys, Created: time.Now()}})
		if i%1000 == 0 {
			s.wait(last)
		}
	}
	// Everybody's contacts are those who come before and after him in a ring.
	for i := range *sessions {
		var ops []store.Op
		for k := range *contacts {
			at := (i + *sessions - *contacts/2 + k + k/(*contacts/2)) % *sessions
			it := store.RosterItem{Contact: name(2*pairs + at), Subscription: store.SubscriptionBoth, Version: int64(k + 1)}
			ops = append(ops, store.SetRosterItem{User: name(2*pairs + i), Item: it})
		}
		for _, node := range strings.Fields(notify)[:*nodes] {
			ops = append(ops, published(name(2*pairs+i), node)...)
		}
		if last = st.Commit(ops...); i%100 == 0 {
			s.wait(last)
		}
	}
	if err := errors.Join(last.Wait(s.t.Context()), st.Close()); err != nil {
		s.t.Fatal(err)
	}
}

// published makes a node, as for PEP, with an item.
func published(owner jid.JID, node string) []store.Op {
	n := store.NodeName{JID: owner, Node: node}
	conf := form.New(form.Submit, pubsub.FormConfig, form.Value("pubsub#access_model", string(pubsub.AccessPresence)),
		form.Value("pubsub#send_last_published_item", string(pubsub.SendOnPresence)), form.Value("pubsub#max_items", "1"))
	return []store.Op{
		store.CreateNode{Node: store.Node{Name: n, Creator: owner, Created: time.Now(), Config: conf.AppendXML(nil)}, Account: true, Owner: owner},
		store.PublishItem{Name: n, Keep: 1, Item: store.Item{ID: "current", Publisher: owner, At: time.Now(), Payload: []byte("<x xmlns='urn:x'>" + strings.Repeat("x", 200) + "</x>")}},
	}
}

func (s *server) wait(p *store.Pending) {
	if err := p.Wait(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
}

func (s *server) start() {
	c := exec.Command(stonechat.MustPath(s.t), "serve", "-c", filepath.Join(s.folder, "stonechat.yaml"))
	var err error
	if s.process, err = program.Start(c, filepath.Join(s.folder, "log"), within); err != nil {
		s.t.Fatal(err)
	}
}
