// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

func TestCutMQTT(t *testing.T) {
	long := appendPublish(nil, "t", 0, bytes.Repeat([]byte{'x'}, 20_000))
	for _, p := range [][]byte{{mqttConnAck, 2, 0, 0}, {mqttPingResp, 0}, appendConnect(nil, "client"), long} {
		for i := range len(p) {
			if n, err := cutMQTT(p[:i]); n != 0 || err != nil {
				t.Fatalf("%d of %d bytes of % .10x: %d, %v", i, len(p), p, n, err)
			}
		}
		if n, err := cutMQTT(append(bytes.Clone(p), 1, 2, 3)); n != len(p) || err != nil {
			t.Errorf("% .10x: %d, %v; want %d", p, n, err, len(p))
		}
	}
	if _, err := cutMQTT([]byte{mqttPublish, 0xff, 0xff, 0xff, 0xff, 1}); err == nil {
		t.Error("a length of five bytes was taken")
	}
}

// MQTT 3.1.1 §3.1.4 and §3.3.5 give the packets in outline.
func TestMQTTPackets(t *testing.T) {
	if got, want := appendConnect(nil, "ab"), "\x10\x0e\x00\x04MQTT\x04\x02\x00\x00\x00\x02ab"; string(got) != want {
		t.Errorf("CONNECT %q; want %q", got, want)
	}
	if got, want := appendSubscribe(nil, 10, "a/b", 1), "\x82\x08\x00\x0a\x00\x03a/b\x01"; string(got) != want {
		t.Errorf("SUBSCRIBE %q; want %q", got, want)
	}
	s := &session{kind: MQTT, qos: 1}
	var body string
	take := func(_ *session, b []byte, _ time.Time) { body = string(b) }
	if err := s.packet([]byte("\x32\x0a\x00\x03a/b\x00\x0ahey"), time.Time{}, take); err != nil || body != "hey" || string(s.answers) != "\x40\x02\x00\x0a" {
		t.Errorf("PUBLISH: %q, answers %q, %v", body, s.answers, err)
	}
	for name, p := range map[string]string{
		"PUBACK unasked":       "\x40\x02\x00\x01",
		"topic beyond the end": "\x30\x03\x00\x09a",
		"QoS 2":                "\x34\x06\x00\x01a\x00\x01x",
		"refused SUBACK":       "\x90\x03\x00\x01\x80",
		"CONNECT":              "\x10\x00",
	} {
		if err := s.packet([]byte(p), time.Time{}, take); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
}

func FuzzMQTT(f *testing.F) {
	f.Add([]byte("\x32\x0a\x00\x03a/b\x00\x0ahey"))
	f.Add([]byte("\x90\x03\x00\x01\x00"))
	f.Add([]byte{mqttPubAck, 0x82, 0})
	f.Fuzz(func(t *testing.T, data []byte) {
		n, err := cutMQTT(data)
		if err != nil || n == 0 {
			return
		}
		s := &session{kind: MQTT, sent: 1}
		_ = s.packet(data[:n], time.Time{}, func(_ *session, b []byte, _ time.Time) {
			if !strings.Contains(string(data[:n]), string(b)) {
				t.Fatalf("payload %q is not in % x", b, data[:n])
			}
		}) // malformed packets give an error, which is all that is asked
	})
}
