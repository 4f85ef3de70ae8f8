// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"net"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/stonechat-im/stonechat/config"
)

// Where its ports are taken the demo takes others, both of them.
func TestDemoPorts(t *testing.T) {
	host := "127.0.0.1"
	if runtime.GOOS == "linux" { // an address of its own, where nobody else has ports
		pid := os.Getpid()
		host = fmt.Sprintf("127.77.%d.%d", pid>>8&0xff, pid&0xff)
	}
	taken, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close() //nolint:errcheck // only to be taken
	port := taken.Addr().(*net.TCPAddr).Port
	for _, first := range []int{port, port - 1} {
		c := config.Default()
		c.Data, c.Log.Level = t.TempDir(), "error"
		c.Listen.HTTP, c.Listen.HTTPS, c.Listen.Metrics, c.Listen.Server, c.Listen.ServerTLS = nil, nil, nil, nil, nil
		in, err := Demo{Host: host, Port: first}.start(c)
		if err != nil {
			t.Fatal(err)
		}
		for _, key := range []string{"client", "client_tls"} {
			if a := in.address(key); a == "" || a == taken.Addr().String() || strings.HasSuffix(a, ":0") {
				t.Errorf("from %d on: %s at %q", first, key, a)
			}
		}
		if err := in.stop(); err != nil {
			t.Error(err)
		}
	}
}
