// SPDX-License-Identifier: Apache-2.0

package main

// How to read these tests: testdata/script has what people type, and what they see. Beside the
// commands of testscript there is
//
//	server [CONFIG DATA]
//	               starts a server, on stonechat.yaml with the folder data, and sets
//	               STONECHAT_ADDRESS, TLS_ADDRESS and STONECHAT_CA
//	demo ARGS      starts the demo, and sets what it says to export, and as CLAIM_… the words by
//	               which a thing is claimed
//	watch ARGS     runs stonechat beside the script, until its end, and returns when it says something
//	heard REGEXP   waits until that is in what it says; unheard is that it is not
//	acts NAME FILE logs in with an account whose password is $STONECHAT_PASSWORD, sends the stanzas of a file, one a line, is
//	               answered, and stays until the end
//	ends NAME      interrupts server or demo, which must end well

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/stonechat-im/stonechat/client"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"stonechat": main})
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		Deadline:            time.Now().Add(8 * time.Minute),
		Setup: func(e *testscript.Env) error {
			e.Values["running"] = map[string]*running{}
			e.Setenv("GORACE", os.Getenv("GORACE"))
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"server": cmdServer, "demo": cmdDemo, "ends": cmdEnds,
			"acts": cmdActs, "watch": cmdWatch, "heard": cmdHeard, "unheard": cmdUnheard, "claimed": cmdClaimed,
		},
	})
}

func cmdServer(ts *testscript.TestScript, _ bool, args []string) {
	config, data := "stonechat.yaml", "data"
	if len(args) == 2 {
		config, data = args[0], args[1]
	}
	background(ts, "server", []string{"serve", "-c", config}, func(line string) (ready bool) {
		word, rest, _ := strings.Cut(line, " ")
		switch key, address, _ := strings.Cut(rest, " "); key {
		case "client":
			ts.Setenv("STONECHAT_ADDRESS", address)
		case "client_tls":
			ts.Setenv("TLS_ADDRESS", "tls://"+address)
		}
		return word == "ready"
	})
	ts.Setenv("STONECHAT_CA", filepath.Join(ts.Getenv("WORK"), data, "tls", "self-signed.crt"))
}

func cmdDemo(ts *testscript.TestScript, _ bool, args []string) {
	background(ts, "demo", append([]string{"demo"}, args...), func(line string) (ready bool) {
		if exports, ok := strings.CutPrefix(line, "  export "); ok {
			for _, e := range strings.Fields(exports) {
				name, value, _ := strings.Cut(e, "=")
				ts.Setenv(name, value)
			}
		}
		if code, ok := strings.CutPrefix(line, "claim IoTDisco;SN:"); ok {
			name, _, _ := strings.Cut(code, ";")
			ts.Setenv("CLAIM_"+name, line)
		}
		return strings.HasPrefix(line, "Ctrl-C")
	})
}

func cmdWatch(ts *testscript.TestScript, _ bool, args []string) {
	said := new(lines)
	cmd := exec.Command(program(ts), args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = ts.Getenv("WORK"), said, said
	cmd.Env = os.Environ()
	for _, name := range []string{"JID", "PASSWORD", "ADDRESS", "CA"} {
		cmd.Env = append(cmd.Env, "STONECHAT_"+name+"="+ts.Getenv("STONECHAT_"+name))
	}
	ts.Check(cmd.Start())
	ts.Defer(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	ts.Value("running").(map[string]*running)["watch"] = &running{cmd: cmd, said: said, over: true}
	if text, ok := said.wait(0, func(s string) bool { return s != "" }); !ok {
		ts.Fatalf("it says nothing: %s", text)
	}
}

func cmdActs(ts *testscript.TestScript, _ bool, args []string) {
	config := client.Config{Account: jid.MustParse(args[0]), Password: ts.Getenv("STONECHAT_PASSWORD"), Address: ts.Getenv("STONECHAT_ADDRESS")}
	ts.Check(config.Trust(ts.Getenv("STONECHAT_CA")))
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	ts.Defer(cancel)
	c, err := client.Dial(ctx, config)
	ts.Check(err)
	ts.Defer(func() { _ = c.Close() })
	for line := range strings.SplitSeq(strings.TrimSpace(ts.ReadFile(args[1])), "\n") {
		s, err := stanza.Parse([]byte(line))
		ts.Check(err)
		if s.Kind != stanza.IQ {
			ts.Check(c.Send(ctx, s))
			continue
		}
		space, local, _ := s.Child(0)
		answer, err := c.IQ(ctx, s.To, s.Type, &stanza.Raw{Name: xmlstream.Name{Space: string(space), Local: string(local)}, Bytes: s.Bytes(0)})
		ts.Check(err)
		if answer.Type == stanza.TypeError {
			ts.Fatalf("%s is refused: %v", line, answer.Refusal())
		}
	}
}

func cmdHeard(ts *testscript.TestScript, _ bool, args []string) {
	re := regexp.MustCompile("(?m)" + args[0])
	if text, ok := ts.Value("running").(map[string]*running)["watch"].said.wait(0, re.MatchString); !ok {
		ts.Fatalf("%s is not in\n%s", args[0], text)
	}
}

// cmdClaimed claims what was heard last by its code, as somebody.
func cmdClaimed(ts *testscript.TestScript, _ bool, args []string) {
	code := regexp.MustCompile(`(?m)^IoTDisco;.*$`).FindString(ts.Value("running").(map[string]*running)["watch"].said.String())
	ts.Setenv("STONECHAT_JID", args[0])
	ts.Check(ts.Exec(program(ts), "send", "things.localhost", "claim "+code))
	ts.Check(ts.Exec(program(ts), "listen", "--from", args[0], "-n", "1")) // it tells its new owner
}

func cmdUnheard(ts *testscript.TestScript, _ bool, args []string) {
	if text := ts.Value("running").(map[string]*running)["watch"].said.String(); regexp.MustCompile(args[0]).MatchString(text) {
		ts.Fatalf("%s is in\n%s", args[0], text)
	}
}

func cmdEnds(ts *testscript.TestScript, _ bool, args []string) {
	r := ts.Value("running").(map[string]*running)[args[0]]
	if r.said != nil { // or it would come back to the next server, and take what is for others
		if r.cmd.Process.Signal(os.Interrupt) != nil {
			_ = r.cmd.Process.Kill()
		}
		_ = r.cmd.Wait()
		return
	}
	ts.Check(r.end())
}

// running is a program in the background.
type running struct {
	cmd    *exec.Cmd
	out    io.Reader
	stderr strings.Builder
	said   *lines // of watch
	over   bool
}

// program is the path of stonechat.
func program(ts *testscript.TestScript) string {
	path, err := filepath.Abs(filepath.Join(filepath.SplitList(ts.Getenv("PATH"))[0], "stonechat"))
	ts.Check(err)
	if runtime.GOOS == "windows" {
		path += ".exe"
	}
	return path
}

// background starts stonechat and returns when one of its lines makes it ready.
func background(ts *testscript.TestScript, name string, args []string, line func(string) (ready bool)) {
	r := &running{cmd: exec.Command(program(ts), args...)}
	r.cmd.Dir, r.cmd.Stderr = ts.Getenv("WORK"), &r.stderr
	out, err := r.cmd.StdoutPipe()
	ts.Check(err)
	ts.Check(r.cmd.Start())
	r.out = out
	ts.Value("running").(map[string]*running)[name] = r
	ts.Defer(func() { _ = r.end() }) // a script that ends it by itself hears of errors
	for lines := bufio.NewScanner(out); lines.Scan(); {
		ts.Logf("[%s] %s", name, lines.Text())
		if line(lines.Text()) {
			return
		}
	}
	ts.Fatalf("%s did not start: %v", name, r.end())
}

// end interrupts the program and waits for its end.
func (r *running) end() error {
	if r == nil {
		return errors.New("it does not run")
	}
	if r.over {
		return nil
	}
	r.over = true
	kill := r.cmd.Process.Signal(os.Interrupt)
	if kill != nil { // Windows can only
		_ = r.cmd.Process.Kill()
	}
	_, _ = io.Copy(io.Discard, r.out)
	if err := r.cmd.Wait(); err != nil && kill == nil {
		return fmt.Errorf("%w: %s", err, r.stderr.String())
	}
	return nil
}
