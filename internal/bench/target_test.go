// SPDX-License-Identifier: Apache-2.0

package bench_test

import (
	"testing"

	"github.com/stonechat-im/stonechat/internal/bench"
)

func TestParseTarget(t *testing.T) {
	tests := []struct {
		in   string
		want bench.Target
	}{
		{"raw", bench.Target{Name: "raw", Kind: bench.Raw, Security: bench.Plain}},
		{"xmpp://127.0.0.1:5222/example.org", bench.Target{Name: "127.0.0.1:5222", Kind: bench.XMPP, Security: bench.StartTLS, Addr: "127.0.0.1:5222", Domain: "example.org"}},
		{"xmpps://[::1]:5223/example.org?pid=7&name=ours", bench.Target{Name: "ours", Kind: bench.XMPP, Security: bench.DirectTLS, Addr: "[::1]:5223", Domain: "example.org", PID: 7}},
		{"xmpp+plain://localhost:5222", bench.Target{Name: "localhost:5222", Kind: bench.XMPP, Security: bench.Plain, Addr: "localhost:5222", Domain: "localhost"}},
		{"mqtt://example.org:1883", bench.Target{Name: "example.org:1883", Kind: bench.MQTT, Security: bench.Plain, Addr: "example.org:1883"}},
		{"mqtts://example.org:8883?pid=9", bench.Target{Name: "example.org:8883", Kind: bench.MQTT, Security: bench.DirectTLS, Addr: "example.org:8883", PID: 9}},
		{"xmpp://a:1/b?rooms=r.b&nodes=n.b&share=10", bench.Target{Name: "a:1", Kind: bench.XMPP, Security: bench.StartTLS, Addr: "a:1", Domain: "b", Rooms: "r.b", Nodes: "n.b", Share: 10}},
	}
	for _, tt := range tests {
		if got, err := bench.ParseTarget(tt.in); err != nil || got != tt.want {
			t.Errorf("%s: %+v, %v; want %+v", tt.in, got, err, tt.want)
		}
	}
	for _, in := range []string{"", "raw2", "http://example.org:1/", "xmpp://example.org/example.org", "xmpp://:5222/x", "mqtt://example.org:1?pid=-1", "mqtt://example.org:1?pid=x", "mqtt://example.org:1?qos=1", "xmpp://a:1/b?share=0", "xmpp://a:1/b?share=x", "xmpp://%"} {
		if got, err := bench.ParseTarget(in); err == nil {
			t.Errorf("%q was taken as %+v", in, got)
		}
	}
}

func FuzzParseTarget(f *testing.F) {
	f.Add("xmpps://[::1]:5223/example.org?pid=7&name=ours")
	f.Fuzz(func(t *testing.T, s string) {
		if got, err := bench.ParseTarget(s); err == nil && got.Kind != bench.Raw && got.Addr == "" {
			t.Errorf("%q gives no address: %+v", s, got)
		}
	})
}
