// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"encoding/binary"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// fakeMQTT is a broker that forwards messages with the quality they came with.
type fakeMQTT struct {
	addr string
	acks atomic.Int64 // PUBACKs received
	// drops: every third message is acknowledged and goes nowhere.
	drops atomic.Bool

	mu     sync.Mutex
	count  int
	topics map[string]net.Conn
}

func startFakeMQTT(t *testing.T) *fakeMQTT {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &fakeMQTT{addr: l.Addr().String(), topics: make(map[string]net.Conn)}
	var serving sync.WaitGroup
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		serving.Wait()
	})
	serving.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				defer func() { _ = conn.Close() }()
				f.serve(conn)
			})
		}
	})
	return f
}

func (f *fakeMQTT) target() Target {
	return Target{Name: "fake-mqtt", Kind: MQTT, Security: Plain, Addr: f.addr}
}

func (f *fakeMQTT) serve(conn net.Conn) {
	var buf []byte
	chunk := make([]byte, 4096)
	for {
		n, err := cutMQTT(buf)
		if err != nil {
			return
		}
		if n == 0 {
			n, err := conn.Read(chunk)
			if err != nil {
				return
			}
			buf = append(buf, chunk[:n]...)
			continue
		}
		f.packet(conn, buf[:n])
		buf = buf[n:]
	}
}

// packet handles one packet; writes to those who have left are lost, as they should be.
func (f *fakeMQTT) packet(conn net.Conn, p []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	body := mqttBody(p)
	switch p[0] & 0xf0 {
	case mqttConnect:
		_, _ = conn.Write([]byte{mqttConnAck, 2, 0, 0})
	case mqttSubscribe & 0xf0:
		topic := string(body[4 : 4+binary.BigEndian.Uint16(body[2:])])
		f.topics[topic] = conn
		_, _ = conn.Write([]byte{mqttSubAck, 3, body[0], body[1], body[len(body)-1]})
		if topic == "$SYS/broker/version" {
			_, _ = conn.Write(appendPublish(nil, topic, 0, []byte("fake broker 1")))
		}
	case mqttPublish:
		end := 2 + binary.BigEndian.Uint16(body)
		if p[0]>>1&3 == 1 {
			_, _ = conn.Write([]byte{mqttPubAck, 2, body[end], body[end+1]})
		}
		topic := string(body[2:end])
		to := f.topics[topic]
		if to == nil { // by the only pattern there is
			to = f.topics[topic[:strings.LastIndexByte(topic, '/')+1]+"+"]
		}
		if f.count++; to != nil && (!f.drops.Load() || f.count%3 != 0) {
			_, _ = to.Write(p)
		}
	case mqttPubAck:
		f.acks.Add(1)
	}
}
