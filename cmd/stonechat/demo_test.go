// SPDX-License-Identifier: Apache-2.0

package main

import (
	"net"
	"strings"
	"testing"

	"github.com/stonechat-im/stonechat/config"
)

// Where its ports are taken the demo takes others, both of them.
func TestDemoPorts(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close() //nolint:errcheck // only to be taken
	port := taken.Addr().(*net.TCPAddr).Port
	for _, first := range []int{port, port - 1} {
		c := config.Default()
		c.Data, c.Log.Level = t.TempDir(), "error"
		c.Listen.HTTP, c.Listen.HTTPS, c.Listen.Metrics = nil, nil, nil
		in, err := Demo{Host: "127.0.0.1", Port: first}.start(c)
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
