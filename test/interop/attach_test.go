// SPDX-License-Identifier: Apache-2.0

//go:build linux

package interop

// How to read this file: attaching is a server that components attach to: ours, Prosody, ejabberd. On each
// the suite of package component is played, the example of the documents, and traffic while the server dies and
// comes back.

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/component"
	"github.com/stonechat-im/stonechat/internal/componenttest"
	"github.com/stonechat-im/stonechat/test/program"
	"github.com/stonechat-im/stonechat/xmpp/disco"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

// attaching is a server that gateway and guest may attach to, with secret.
type attaching struct {
	name    string
	needs   []string // programs
	command func(t *testing.T, folder, host string, port int) *exec.Cmd
}

func attachings() []attaching {
	return []attaching{
		{"stonechat", nil, func(t *testing.T, folder, host string, port int) *exec.Cmd {
			conf := filepath.Join(folder, "stonechat.yaml")
			write(t, conf, fmt.Sprintf(`domains: [%s]
data: %s
listen: {client: [], client_tls: [], server: [], server_tls: [], http: [], https: [], metrics: [], component: ["%s:%d"]}
components: {%s: {secret: %q}, %s: {secret: %[6]q}}
`, domain, filepath.Join(folder, "data"), host, port, gateway, secret, guest))
			return exec.Command(stonechat.MustPath(t), "serve", "-c", conf)
		}},
		{"prosody", []string{"prosody"}, func(t *testing.T, folder, host string, port int) *exec.Cmd {
			conf := filepath.Join(folder, "prosody.cfg.lua")
			write(t, conf, fmt.Sprintf(`daemonize = false
run_as_root = true
pidfile = %[1]q
data_path = %[2]q
storage = "internal"
modules_enabled = { "disco" }
modules_disabled = { "s2s", "c2s" }
log = "*console"
component_interfaces = { %[3]q }
component_ports = { %[4]d }
VirtualHost %[5]q
Component %[6]q
	component_secret = %[8]q
Component %[7]q
	component_secret = %[8]q
`, filepath.Join(folder, "pid"), folder, host, port, domain, gateway, guest, secret))
			return exec.Command("prosody", "--config", conf, "-F")
		}},
		{"ejabberd", []string{"ejabberdctl", "erl"}, func(t *testing.T, folder, host string, port int) *exec.Cmd {
			conf := filepath.Join(folder, "ejabberd.yml")
			write(t, conf, fmt.Sprintf(`hosts: [%s]
loglevel: warning
listen:
  - {port: %d, ip: %q, module: ejabberd_service, access: all, shaper_rule: none, global_routes: false, hosts: {%s: {password: %q}, %s: {password: %[5]q}}}
modules: {mod_disco: {}}
`, domain, port, host, gateway, secret, guest))
			libraries, err := filepath.Glob("/usr/lib/*/ejabberd*/ebin")
			if err != nil || len(libraries) == 0 {
				t.Skipf("ejabberd's code is not where Debian puts it: %v", err)
			}
			args := append([]string{"-noinput", "-pa"}, libraries...)
			c := exec.Command("erl", append(args, "-mnesia", "dir", `"`+folder+`/db"`, "-ejabberd", "config", `"`+conf+`"`,
				"-ejabberd", "log_path", `"`+folder+`/e.log"`, "-sname", "attach"+strconv.Itoa(port)+"@localhost", "-s", "ejabberd")...)
			c.Env = append(os.Environ(), "HOME="+folder)
			return c
		}},
	}
}

// onEach runs a test on each server.
func onEach(t *testing.T, test func(*testing.T, *host)) {
	for _, a := range attachings() {
		t.Run(a.name, func(t *testing.T) {
			for _, name := range a.needs {
				if _, err := exec.LookPath(name); err != nil {
					t.Skipf("%s is not installed: %v", a.name, err)
				}
			}
			l, err := net.Listen("tcp", program.Loopback()+":0")
			if err != nil {
				t.Fatal(err)
			}
			at := l.Addr().(*net.TCPAddr)
			_ = l.Close()
			h := &host{t: t, attaching: a, folder: t.TempDir(), address: at}
			h.start()
			t.Cleanup(func() { h.stop() })
			test(t, h)
		})
	}
}

// host is a running one.
type host struct {
	t *testing.T
	attaching
	folder  string
	address *net.TCPAddr
	process *exec.Cmd
}

func (h *host) start() {
	h.t.Helper()
	h.process = h.command(h.t, h.folder, h.address.IP.String(), h.address.Port)
	h.process.Dir = h.folder
	program.Bind(h.process)
	log, err := os.OpenFile(filepath.Join(h.folder, "out.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		h.t.Fatal(err)
	}
	defer log.Close()
	h.process.Stdout, h.process.Stderr = log, log
	if err := h.process.Start(); err != nil {
		h.t.Fatal(err)
	}
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(2 * time.Minute); ; <-tick.C {
		if conn, err := net.Dial("tcp", h.address.String()); err == nil {
			_ = conn.Close()
			return
		}
		if time.Now().After(end) {
			b, _ := os.ReadFile(log.Name())
			keep(h.t, h.name+".log", b)
			h.t.Fatalf("%s does not listen", h.name)
		}
	}
}

// stop kills it, as a power cut does.
func (h *host) stop() {
	if h.process == nil {
		return
	}
	_ = h.process.Process.Kill()
	_ = h.process.Wait()
	h.process = nil
}

func (h *host) config(domain string) component.Config {
	return component.Config{
		Domain: jid.MustParse(domain), Secret: secret, Address: h.address.String(),
		BackoffMin: 50 * time.Millisecond, BackoffMax: 200 * time.Millisecond,
	}
}

// TestAttach plays the suite of package component.
func TestAttach(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, h *host) {
		componenttest.Run(t, func(*testing.T) (component.Config, component.Config) {
			return h.config(gateway), h.config(guest)
		})
	})
}

// TestExample runs the example of the documents, a program of its own, and has one transcript on all servers.
func TestExample(t *testing.T) {
	t.Parallel()
	weather := filepath.Join(t.TempDir(), "weather")
	if err := output("", "go", "build", "-o", weather, "../../component/examples/weather"); err != nil {
		t.Fatal(err)
	}
	const want = `info: gateway/weather Weather
message from london@sms.interop.test: london: 11 °C
presence from london@sms.interop.test subscribed:
presence from london@sms.interop.test available: london: 11 °C
presence from prague@sms.interop.test available: prague: 33 °C
`
	onEach(t, func(t *testing.T, h *host) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		c := exec.CommandContext(ctx, weather)
		c.Env = append(os.Environ(), "STONECHAT_DOMAIN="+gateway, "STONECHAT_SECRET="+secret, "STONECHAT_ADDRESS="+h.address.String())
		var said strings.Builder
		c.Stderr = &said
		c.Cancel = func() error { return c.Process.Signal(syscall.SIGTERM) }
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		config := h.config(guest)
		heard := make(chan *stanza.Stanza, 10)
		g, err := component.New(config)
		if err != nil {
			t.Fatal(err)
		}
		defer g.Close()
		hear := func(_ context.Context, s *stanza.Stanza) { heard <- s }
		g.Handle(stanza.Message, xmlstream.Name{}, hear)
		g.Handle(stanza.Presence, xmlstream.Name{}, hear)
		if err := g.Connect(ctx); err != nil {
			t.Fatal(err)
		}
		var transcript strings.Builder
		tell := func() {
			select {
			case s := <-heard:
				text := stanza.BodyOf(s)
				if i := s.Find(stanza.NSClient, "status"); i >= 0 {
					text = s.Reader(i).Text()
				}
				typ := s.Type.String()
				if s.Kind == stanza.Presence && s.Type == stanza.Available {
					typ = "available"
				}
				if s.Kind == stanza.Message {
					fmt.Fprintf(&transcript, "message from %s: %s\n", s.From, text)
				} else {
					fmt.Fprintln(&transcript, strings.TrimSpace(fmt.Sprintf("presence from %s %s: %s", s.From, typ, text)))
				}
			case <-ctx.Done():
				t.Fatalf("nothing comes; until now\n%s", transcript.String())
			}
		}
		user, london, prague := jid.MustParse("juliet@"+guest), jid.MustParse("london@"+gateway), jid.MustParse("prague@"+gateway)
		info := new(disco.Info)
		for err = errors.New("not asked"); err != nil && ctx.Err() == nil; { // until it has connected
			err = g.Ask(ctx, user, jid.MustParse(gateway), &disco.Info{}, info)
		}
		for _, i := range info.Identities {
			fmt.Fprintf(&transcript, "info: %s/%s %s\n", i.Category, i.Type, i.Name)
		}
		for _, x := range []struct {
			s       *stanza.Stanza
			answers int
		}{
			{stanza.Text(stanza.Chat, london, "?"), 1},
			{stanza.New(stanza.Presence, stanza.Subscribe, london), 2},
			{stanza.New(stanza.Presence, stanza.Probe, prague), 1},
		} {
			x.s.From = user
			if err := g.Send(ctx, x.s); err != nil {
				t.Fatal(err)
			}
			for range x.answers {
				tell()
			}
		}
		if transcript.String() != want {
			t.Errorf("got\n%s\nwant\n%s", transcript.String(), want)
		}
		cancel()
		if err := c.Wait(); err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("the example ended: %v\n%s", err, said.String())
		}
	})
}

// TestServerDies kills the server under traffic, twice. Everything that was sent arrives or comes back but for what
// died with the server itself, in order, and more than once only what no fence has covered.
func TestServerDies(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, h *host) {
		ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
		defer cancel()
		var mu sync.Mutex
		var got []int
		came := make(chan bool, 1)
		to, err := component.New(h.config(gateway))
		if err != nil {
			t.Fatal(err)
		}
		defer to.Close()
		to.Handle(stanza.Message, xmlstream.Name{}, func(_ context.Context, s *stanza.Stanza) {
			n, _ := strconv.Atoi(string(s.ID))
			mu.Lock()
			got = append(got, n)
			mu.Unlock()
			select {
			case came <- true:
			default:
			}
		})
		from, err := component.New(h.config(guest))
		if err != nil {
			t.Fatal(err)
		}
		defer from.Close()
		back := map[int]bool{}
		from.HandleErrors(func(_ context.Context, s *stanza.Stanza) {
			n, _ := strconv.Atoi(string(s.ID))
			mu.Lock()
			back[n] = true
			mu.Unlock()
			select {
			case came <- true:
			default:
			}
		})
		if err := errors.Join(to.Connect(ctx), from.Connect(ctx)); err != nil {
			t.Fatal(err)
		}
		const n, window = 3000, 2 * 256 // Config.FenceStanzas, twice
		for i := range n {
			s := stanza.Text(stanza.Chat, jid.MustParse("a@"+gateway), "x")
			s.ID = strconv.AppendInt(nil, int64(i), 10)
			if err := from.Send(ctx, s); err != nil {
				t.Fatal(err)
			}
			if i == n/3 || i == 2*n/3 {
				h.stop()
				h.start()
			}
		}
		if err := from.Flush(ctx); err != nil {
			t.Fatal(err)
		}
		// What has been taken is on its way: the last of it tells that all is there.
		missing := func() (list []int) {
			mu.Lock()
			defer mu.Unlock()
			here := make(map[int]bool)
			for _, i := range got {
				here[i] = true
			}
			for i := range n {
				if !back[i] && !here[i] {
					list = append(list, i)
				}
			}
			return list
		}
		for list := missing(); len(list) > 0 && list[len(list)-1] == n-1; list = missing() {
			select {
			case <-came:
			case <-ctx.Done():
				t.Fatal("the last does not come")
			}
		}
		mu.Lock()
		defer mu.Unlock()
		seen, last, again := map[int]bool{}, -1, 0
		for _, i := range got {
			switch {
			case seen[i]:
				again++
			case i < last:
				t.Errorf("%d comes behind %d", i, last)
			}
			if !seen[i] {
				last = i
			}
			seen[i] = true
		}
		lost := 0
		for i := range n {
			if !seen[i] && !back[i] {
				lost++
			}
		}
		t.Logf("%d arrived, %d came back, %d were lost with the server, %d came again", len(seen), len(back), lost, again)
		if lost > 2*window || again > 2*window {
			t.Errorf("more than the window")
		}
	})
}
