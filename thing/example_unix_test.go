// SPDX-License-Identifier: Apache-2.0

//go:build unix

package thing_test

import (
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/internal/testserver"
)

// forExamples gives the examples an environment and, for their whole life, a server with an owner
// who plays with what comes online.
func forExamples() (stop func(int)) {
	certificate := testserver.Certificate(time.Now().Add(time.Hour), testserver.Domain)
	folder, err := os.MkdirTemp("", "thing")
	must(err)
	ca := filepath.Join(folder, "ca.pem")
	must(os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Leaf.Raw}), 0o600))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(err)
	for name, value := range map[string]string{
		"JID": testserver.Account, "PASSWORD": testserver.Password, "OWNER": owner, "CA": ca,
		"ADDRESS": "tls://" + listener.Addr().String(),
	} {
		must(os.Setenv("STONECHAT_"+name, value))
	}
	var work sync.WaitGroup
	work.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			work.Go(func() {
				play(testserver.NewPeer(failing{}, conn, testserver.Options{TLS: certificate, Direct: true, Keys: testserver.Keys()}))
			})
		}
	})
	return func(code int) {
		_ = listener.Close()
		work.Wait()
		_ = os.RemoveAll(folder)
		os.Exit(code)
	}
}

// play is the server and the owner in one.
func play(p *testserver.Peer) {
	p.Session("")
	if strings.Contains(p.Expect("(<presence .*)")[1], "Lamp") {
		fmt.Println("the owner writes: set lamp on")
		p.Say("<message from='%s/phone' type='chat'><body>set lamp on</body></message>", owner)
	}
	body := regexp.MustCompile("<body>(.*)</body>").FindStringSubmatch(p.Expect("(<message .*)")[1])
	fmt.Println("the owner reads:", body[1])
	must(syscall.Kill(os.Getpid(), syscall.SIGINT))
	must(p.End())
}

// failing is where examples fail.
type failing struct{ testing.TB }

func (failing) Helper() {}

func (failing) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }

func must(err error) {
	if err != nil {
		panic(err)
	}
}
