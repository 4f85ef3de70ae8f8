// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// First bytes of the packets used, MQTT 3.1.1 §2.2 with the flags of §2.2.2.
const (
	mqttConnect    = 0x10
	mqttConnAck    = 0x20
	mqttPublish    = 0x30
	mqttPubAck     = 0x40
	mqttSubscribe  = 0x82
	mqttSubAck     = 0x90
	mqttPingResp   = 0xd0
	mqttDisconnect = 0xe0
)

var errMQTT = errors.New("bench: malformed MQTT packet")

// cutMQTT returns the length of the first packet of b, 0 when it is incomplete.
func cutMQTT(b []byte) (int, error) {
	length, shift := 0, 0
	for i := 1; i < len(b); i++ {
		length |= int(b[i]&0x7f) << shift
		if b[i] < 0x80 {
			if n := i + 1 + length; n <= len(b) {
				return n, nil
			}
			return 0, nil
		}
		if shift += 7; shift > 21 {
			return 0, errMQTT
		}
	}
	return 0, nil
}

// mqttBody is a packet without its fixed header.
func mqttBody(p []byte) []byte {
	i := 1
	for p[i] >= 0x80 {
		i++
	}
	return p[i+1:]
}

// packet handles one packet from the broker: it acknowledges a QoS 1 message,
// hands the payload on and counts acks.
func (s *session) packet(p []byte, now time.Time, message func(*session, []byte, time.Time)) error {
	body := mqttBody(p)
	switch p[0] & 0xf0 {
	case mqttPublish:
		if len(body) < 2 {
			return errMQTT
		}
		payload := 2 + int(binary.BigEndian.Uint16(body))
		qos := p[0] >> 1 & 3
		if qos > 0 {
			payload += 2
		}
		if payload > len(body) || qos > 1 {
			return errMQTT
		}
		if qos == 1 {
			s.answers = append(s.answers, mqttPubAck, 2, body[payload-2], body[payload-1])
		}
		message(s, body[payload:], now)
	case mqttPubAck:
		if s.acked == s.sent {
			return fmt.Errorf("bench: PUBACK with %d sent", s.sent)
		}
		s.acked++
	case mqttSubAck:
		if len(body) != 3 || body[2] > 2 {
			return fmt.Errorf("bench: subscription refused: % x", body)
		}
	case mqttPingResp:
	default:
		return fmt.Errorf("bench: unexpected MQTT packet type %#x", p[0])
	}
	return nil
}

// appendConnect appends CONNECT with a clean session and no keepalive.
func appendConnect(dst []byte, client string) []byte {
	body := mqttString(nil, "MQTT")
	body = append(body, 4, 2, 0, 0)
	return appendPacket(dst, mqttConnect, mqttString(body, client))
}

func appendSubscribe(dst []byte, id uint16, topic string, qos byte) []byte {
	body := binary.BigEndian.AppendUint16(nil, id)
	return appendPacket(dst, mqttSubscribe, append(mqttString(body, topic), qos))
}

// appendPublish appends PUBLISH; the packet identifier, when there is one,
// stands right before the payload.
func appendPublish(dst []byte, topic string, qos byte, payload []byte) []byte {
	body := mqttString(nil, topic)
	if qos > 0 {
		body = append(body, 0, 1)
	}
	return appendPacket(dst, mqttPublish|qos<<1, append(body, payload...))
}

func appendPacket(dst []byte, first byte, body []byte) []byte {
	dst = append(dst, first)
	n := len(body)
	for ; n > 0x7f; n >>= 7 {
		dst = append(dst, byte(n)|0x80)
	}
	return append(append(dst, byte(n)), body...)
}

func mqttString(dst []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint16(dst, uint16(len(s))), s...)
}
