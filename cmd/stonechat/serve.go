// SPDX-License-Identifier: Apache-2.0

package main

// How to read this file: Serve.Run is the command, start brings an instance up and
// stop ends it; what follows turns the configuration into what the parts take.

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/stonechat-im/stonechat/config"
	"github.com/stonechat-im/stonechat/internal/dns"
	"github.com/stonechat-im/stonechat/internal/drive"
	"github.com/stonechat-im/stonechat/internal/metrics"
	"github.com/stonechat-im/stonechat/internal/tlsconfig"
	"github.com/stonechat-im/stonechat/module/onboard"
	"github.com/stonechat-im/stonechat/module/sm"
	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/server/admin"
	"github.com/stonechat-im/stonechat/server/c2s"
	"github.com/stonechat-im/stonechat/server/components"
	"github.com/stonechat-im/stonechat/server/httpd"
	"github.com/stonechat-im/stonechat/server/s2s"
	"github.com/stonechat-im/stonechat/server/websocket"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/store/sqlite"
	"github.com/stonechat-im/stonechat/xmpp/jid"
)

// Serve runs the server.
type Serve struct {
	Config string `short:"c" placeholder:"FILE" help:"The configuration; without one everything has its default: the embedded store in ./data, the domain localhost, a self-signed certificate."`
	Driver string `hidden:"" default:"auto" enum:"auto,goroutine" help:"How connections are moved; for measuring one against the other."`
}

// Run implements the command.
func (s Serve) Run() error {
	c := config.Default()
	if s.Config != "" {
		var err error
		if c, err = config.Load(s.Config); err != nil {
			return err
		}
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	in, err := start(c, s.Driver)
	if err != nil {
		return err
	}
	in.announce(os.Stdout)
	in.reloadOnHangup(ctx, s.Config)
	go keepMemoryLow(ctx)
	go in.certs.Watch(ctx, certificateCheck, func(err error) {
		in.log.Error("certificates not reloaded, the old ones stay", "err", err)
	})
	<-ctx.Done()
	stop() // a second signal ends the program at once
	in.drain()
	return in.stop()
}

// instance is a running server with all that belongs to it.
type instance struct {
	config  *config.Config // that it was started with
	live    *config.Config // of which the live keys are in force
	logging *logging
	log     *slog.Logger
	modules []server.Module
	store   store.Store
	certs   *tlsconfig.Certificates
	server  *server.Server
	clients *c2s.Service
	parts   *components.Service // external components
	dns     *dns.Resolver       // as servers
	servers *s2s.Service        // other servers; nil where the configuration turns them off
	admin   *admin.Service
	watch   *watch
	listens []listen

	http      *httpd.Server
	websocket *websocket.Service
}

// address is where clients of that key connect to.
func (in *instance) address(key string) string {
	for _, l := range in.listens {
		if l.key == key {
			return l.address.String()
		}
	}
	return ""
}

// listen is one address of a listener.
type listen struct {
	key     string // in the configuration
	address net.Addr
}

// start brings everything up, or nothing.
func start(c *config.Config, driver string) (_ *instance, err error) {
	in := &instance{config: c, live: c, logging: newLogging(c.Log, os.Stderr)}
	in.log = in.logging.logger()
	defer func() {
		if err != nil && in.store != nil {
			err = errors.Join(err, in.store.Close())
		}
		err = startAdvice(err)
	}()
	if in.modules, err = modules(c); err != nil {
		return nil, err
	}
	if in.certs, err = certificates(c); err != nil {
		return nil, err
	}
	if missing := in.certs.Uncovered(); len(missing) > 0 {
		in.log.Warn("domains without a certificate: clients will refuse them", "domains", missing)
	}
	in.warnOfTime(time.Now())
	st, err := sqlite.Open(sqlite.Options{Folder: c.Data, Log: in.log, BeforeCommit: beforeCommit(), BeforeRead: beforeRead()})
	if err != nil {
		return nil, err
	}
	in.store = st
	secret, err := secret(in.store, "login secret")
	if err != nil {
		return nil, err
	}
	reg := metrics.New()
	in.server, err = server.New(server.Config{
		Domains: c.Domains, Limits: serverLimits(c), Store: in.store, Log: in.log, Metrics: reg,
	}, in.modules)
	if err != nil {
		return nil, err
	}
	var d drive.Driver = drive.NewGoroutines(in.log)
	if driver == "auto" {
		if d, err = drive.New(in.log); err != nil {
			return nil, err
		}
	}
	d.Time(reg.Histogram("stonechat_loop_batch_seconds", "How long what was read at one time took, until all that came of it had left: so long others waited for the same loop.",
		[]float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, 1}))
	in.clients = c2s.New(c2s.Config{
		Server: in.server, Store: in.store, Driver: d,
		TLS: in.certs.Asking(), Log: in.log, Metrics: reg,
		Anonymous:         guestsAt(c),
		ClientCertificate: in.certs.Client, ClientIdentity: c.TLS.ClientIdentity,
		Enrol:          enrolling(in.modules),
		AllowPlaintext: c.AllowPlaintext, Secret: secret, Limits: clientLimits(c),
	})
	in.parts, err = components.New(components.Config{
		Server: in.server, Driver: d, Secrets: secretsOf(c.Components), Log: in.log, Metrics: reg, Limits: componentLimits(c),
	})
	if err != nil {
		return nil, err
	}
	if err = in.federate(d, reg); err != nil {
		return nil, err
	}
	in.serveHTTP(reg)
	ls, err := in.bind()
	if err != nil {
		return nil, err
	}
	if in.admin, err = admin.Listen(in.server, in.store, c.Data, in.modules...); err != nil {
		for _, l := range ls {
			err = errors.Join(err, l.Close())
		}
		return nil, err
	}
	in.server.Start()
	if in.servers != nil {
		if err := in.servers.Start(context.Background()); err != nil {
			return nil, err
		}
	}
	in.watch = newWatch(reg)
	for i, l := range ls {
		switch in.listens[i].key {
		case "metrics":
			in.watch.listen(l, func(err error) { in.log.Error("metrics listener failed", "err", err) })
		case "component":
			in.parts.Listen(l)
		case "server", "server_tls":
			in.servers.Listen(l, in.listens[i].key == "server_tls")
		case "client_tls":
			in.clients.Listen(l, in.certs.Asking("xmpp-client"))
		case "http":
			in.http.Listen(l, nil)
		case "https":
			in.http.Listen(l, in.certs.Config("http/1.1"))
		default:
			in.clients.Listen(l, nil)
		}
	}
	in.watch.ready.Store(true)
	return in, nil
}

// warnOfTime says which certificates nobody will believe now.
func (in *instance) warnOfTime(now time.Time) {
	for _, c := range in.certs.Status() {
		valid := fmt.Errorf("valid from %s to %s", c.NotBefore.Format(time.RFC3339), c.NotAfter.Format(time.RFC3339))
		switch {
		case now.After(c.NotAfter):
			in.log.Warn("a certificate, or its chain, has expired, and clients will refuse it: renew it, unless this machine's clock is wrong", "domains", c.Names, "err", valid)
		case now.Before(c.NotBefore):
			in.log.Warn("a certificate is not valid yet, and clients will refuse it: is this machine's clock wrong?", "domains", c.Names, "err", valid)
		}
	}
}

// startAdvice adds to what keeps a server from starting what one may do about it.
func startAdvice(err error) error {
	var listens *net.OpError
	at := errors.As(err, &listens)
	switch {
	case at && errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("%w\nAnother program has that port: end it (\"ss -ltnp\" lists who listens where), or give this server another port there", err)
	case at && errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w\nThis user may not listen there: ports below 1024 are for root, and for programs with the capability CAP_NET_BIND_SERVICE", err)
	case at && errors.Is(err, syscall.EADDRNOTAVAIL):
		return fmt.Errorf("%w\nThis machine has no such address: [::] and a port is all that it has", err)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w\nThis user has no right to that: the data folder (data) must be his, and he must be able to read the certificates (tls)", err)
	}
	return err
}

// enrolling is the method of the module that makes accounts of certificates, nil for none.
func enrolling(mods []server.Module) func(context.Context, jid.JID) (bool, error) {
	for _, m := range mods {
		if x, ok := m.(*onboard.Module); ok {
			return x.Enrol
		}
	}
	return nil
}

// bind listens at every address of the configuration, or at none.
func (in *instance) bind() (ls []net.Listener, err error) {
	c := in.config
	component := c.Listen.Component
	if len(c.Components) == 0 {
		component = nil // nobody could connect
	}
	server, serverTLS := c.Listen.Server, c.Listen.ServerTLS
	if !c.Federation.Enabled {
		server, serverTLS = nil, nil
	}
	for _, k := range []struct {
		key       string
		addresses []string
	}{
		{"client", c.Listen.Client}, {"client_tls", c.Listen.ClientTLS}, {"component", component},
		{"server", server}, {"server_tls", serverTLS},
		{"http", c.Listen.HTTP}, {"https", c.Listen.HTTPS}, {"metrics", c.Listen.Metrics},
	} {
		for _, a := range k.addresses {
			l, err := drive.Listen(a, c.Limits.DeadAfter.D())
			if err != nil {
				for _, l := range ls {
					_ = l.Close()
				}
				return nil, fmt.Errorf("listen.%s: %w", k.key, err)
			}
			ls = append(ls, l)
			in.listens = append(in.listens, listen{k.key, l.Addr()})
		}
	}
	return ls, nil
}

// announce says where the server listens: a line each, "listening KEY ADDRESS", and then
// "ready". Scripts and tests read it, so that they may listen at port 0.
func (in *instance) announce(w *os.File) {
	for _, l := range in.listens {
		fmt.Fprintln(w, "listening", l.key, l.address)
	}
	fmt.Fprintln(w, "ready", in.config.Domains[0])
}

// certificateCheck is how often certificate files are looked at.
const certificateCheck = time.Minute

const (
	stopTime      = 20 * time.Second // for the disk, at the end
	lastBytesTime = time.Second      // for clients to take their last bytes and to close
)

// drain says that nobody is to come here any more, and gives those who send clients here the time
// to hear of it.
func (in *instance) drain() {
	in.watch.ready.Store(false)
	if d := in.config.Drain.D(); d > 0 {
		in.log.Info("draining: clients are let in, and told nothing yet", "time", d)
		time.Sleep(d)
	}
	in.log.Info("ending: streams are closed, what is not acknowledged is stored")
}

func (in *instance) stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), stopTime)
	defer cancel()
	in.watch.ready.Store(false)
	in.clients.StopListening()
	in.http.StopListening()
	// Components first: what they have not had comes back to sessions that still live.
	last, cancel := context.WithTimeout(ctx, lastBytesTime)
	in.parts.Shutdown(last)
	cancel()
	if in.servers != nil {
		in.servers.StopListening()
	}
	err := errors.Join(in.admin.Close(ctx), in.server.Stop(ctx))
	// Other servers last: they hear that sessions are gone.
	if in.servers != nil {
		err = errors.Join(err, in.servers.Shutdown(ctx))
		in.dns.Close()
	}
	// Streams are closed. Clients that close their side too, which most do at once, end now.
	last, cancel = context.WithTimeout(ctx, lastBytesTime)
	defer cancel()
	var closing sync.WaitGroup
	for _, part := range []interface{ Close(context.Context) }{in.clients, in.websocket, in.http} {
		closing.Go(func() { part.Close(last) })
	}
	closing.Wait()
	return errors.Join(err, in.watch.close(last), in.store.Close())
}

func serverLimits(c *config.Config) server.Limits {
	l := c.Limits
	var stream sm.Config
	_ = c.Modules.Decode("sm", &stream) // modules has reported what is wrong with it
	return server.Limits{
		SessionsPerAccount: int(l.SessionsPerAccount),
		Sessions:           int(l.Sessions),
		StanzasPerSecond:   int(l.StanzasPerSecond),
		QueueBytes:         int(l.QueueBytes),
		WindowBytes:        int(l.WindowBytes),
		WindowStanzas:      int(l.WindowStanzas),
		UnackedStanzas:     int(l.UnackedStanzas),
		FanoutCopies:       int(l.FanoutCopies),
		Questions:          int(l.Questions),
		SpoolMessages:      int(l.SpoolMessages),
		SpoolAge:           l.SpoolAge.D(),
		SpoolAfter:         stream.SpoolAfter.D(),
	}
}

func clientLimits(c *config.Config) c2s.Limits {
	l := c.Limits
	return c2s.Limits{
		StanzaBytes:                          int(l.StanzaBytes),
		Depth:                                int(l.StanzaDepth),
		Attributes:                           int(l.StanzaAttributes),
		Children:                             int(l.StanzaChildren),
		UnauthenticatedConnectionsPerAddress: int(l.UnauthenticatedConnectionsPerAddress),
		UnauthenticatedConnections:           int(l.UnauthenticatedConnections),
		FailedLoginsPerMinute:                int(l.FailedLoginsPerMinute),
		GuestsPerAddress:                     int(l.GuestsPerAddress),
		Guests:                               int(l.Guests),
		UnreadBytes:                          int(l.UnreadBytes),
		LoginTimeout:                         l.LoginTimeout.D(),
	}
}

func componentLimits(c *config.Config) components.Limits {
	l := c.Limits
	return components.Limits{
		StanzaBytes:                int(l.StanzaBytes),
		Depth:                      int(l.StanzaDepth),
		Attributes:                 int(l.StanzaAttributes),
		Children:                   int(l.StanzaChildren),
		QueueBytes:                 int(l.QueueBytes),
		UnauthenticatedConnections: int(l.UnauthenticatedConnections),
		LoginTimeout:               l.LoginTimeout.D(),
	}
}

// guestsAt are the domains that let guests in: none without the module that keeps them in their place.
func guestsAt(c *config.Config) []string {
	if c.Modules.Off("anonymous") {
		return nil
	}
	return c.Anonymous
}

func secretsOf(all map[string]config.Component) map[string]string {
	secrets := make(map[string]string, len(all))
	for domain, c := range all {
		secrets[domain] = c.Secret
	}
	return secrets
}

func certificates(c *config.Config) (*tlsconfig.Certificates, error) {
	return tlsconfig.Open(certificateOptions(c))
}

func certificateOptions(c *config.Config) tlsconfig.Options {
	var more []tlsconfig.Pair
	for _, domain := range slices.Sorted(maps.Keys(c.TLS.Domains)) {
		more = append(more, tlsconfig.Pair(c.TLS.Domains[domain]))
	}
	return tlsconfig.Options{
		Certificate: c.TLS.Certificate, Key: c.TLS.Key, ClientCA: c.TLS.ClientCA, More: more,
		Folder: filepath.Join(c.Data, "tls"), Domains: c.Domains,
	}
}

// secret is 32 random bytes that the store keeps under that name.
func secret(st store.Store, name string) ([]byte, error) {
	b, err := st.Setting(context.Background(), name)
	if !errors.Is(err, store.ErrNotFound) {
		return b, err
	}
	b = make([]byte, 32)
	_, _ = rand.Read(b) // it never fails
	return b, st.Commit(store.SetSetting{Name: name, Value: b}).Wait(context.Background())
}
