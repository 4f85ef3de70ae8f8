// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"bytes"
	"fmt"
	"strings"
	"time"
)

// The words of rooms (XEP-0045) and nodes (XEP-0060).

const (
	nsMUC      = "http://jabber.org/protocol/muc"
	nsPubSub   = "http://jabber.org/protocol/pubsub"
	nsMAM      = "urn:xmpp:mam:2"
	selfStatus = "110" // of the presence that ends a join
)

func nick(number int) string { return fmt.Sprintf("n%d", number) }

func joinRequest(room string, number int) string {
	return "<presence to='" + room + "/" + nick(number) + "'><x xmlns='" + nsMUC + "'><history maxstanzas='0'/></x></presence>"
}

func leaveRequest(room string, number int) string {
	return "<presence type='unavailable' to='" + room + "/" + nick(number) + "'/>"
}

func hasStatus(unit []byte, code string) bool {
	return bytes.Contains(unit, []byte("code='"+code+"'")) || bytes.Contains(unit, []byte(`code="`+code+`"`))
}

// join enters a room and waits until it is entered.
func (w *wire) join(room string, number int) error {
	w.s.countSent(1)
	if err := w.s.write([]byte(joinRequest(room, number))); err != nil {
		return err
	}
	return w.presence(room, number)
}

// presence waits for the own presence in a room.
func (w *wire) presence(room string, number int) error {
	from := room + "/" + nick(number)
	unit, err := w.await(func(unit []byte) bool {
		return string(localName(unit)) == "presence" && (string(attr(unit, "from")) == from && (hasStatus(unit, selfStatus) || attr(unit, "type") != nil) ||
			string(attr(unit, "type")) == "error" && bytes.HasPrefix(attr(unit, "from"), []byte(room)))
	})
	if err != nil {
		return fmt.Errorf("waiting for the own presence in %s: %w", room, err)
	}
	if string(attr(unit, "type")) == "error" {
		return fmt.Errorf("not let into %s: %.300s", room, unit)
	}
	return nil
}

// makeRoom creates a room, enters it and opens it for others (XEP-0045 §10.1).
func (w *wire) makeRoom(room string, number int, fields ...string) error {
	if err := w.join(room, number); err != nil {
		return err
	}
	if len(fields) > 0 {
		fields = append([]string{"FORM_TYPE", nsMUC + "#roomconfig"}, fields...)
	}
	_, err := w.askTo(room, "config", "set", "<query xmlns='"+nsMUC+"#owner'>"+form(fields)+"</query>")
	return err
}

// createNode is the payload that creates a node (XEP-0060 §8.1.3).
func createNode(node string, kept bool) string {
	fields := []string{"FORM_TYPE", nsPubSub + "#node_config", "pubsub#send_last_published_item", "never", "pubsub#max_items", "1", "pubsub#persist_items", "0"}
	if kept {
		fields[len(fields)-1] = "1"
	}
	return "<pubsub xmlns='" + nsPubSub + "'><create node='" + node + "'/><configure>" + form(fields) + "</configure></pubsub>"
}

func subscribeNode(node, who string) string {
	return "<pubsub xmlns='" + nsPubSub + "'><subscribe node='" + node + "' jid='" + who + "'/></pubsub>"
}

// form is a submitted data form (XEP-0004) of names and values in turn.
func form(fields []string) string {
	var b strings.Builder
	b.WriteString("<x xmlns='jabber:x:data' type='submit'>")
	for i := 0; i+1 < len(fields); i += 2 {
		hidden := ""
		if fields[i] == "FORM_TYPE" {
			hidden = " type='hidden'"
		}
		fmt.Fprintf(&b, "<field var='%s'%s><value>%s</value></field>", fields[i], hidden, fields[i+1])
	}
	return b.String() + "</x>"
}

// bare is an address without its resource.
func bare(address string) string {
	b, _, _ := strings.Cut(address, "/")
	return b
}

// subscribeTopics subscribes to topics of a broker.
func (w *wire) subscribeTopics(numbers []int, name func(int) string) error {
	for _, n := range numbers {
		if err := w.s.write(appendSubscribe(nil, uint16(n)+2, name(n), w.s.qos)); err != nil {
			return err
		}
		ack, err := w.next()
		if err != nil {
			return err
		}
		if ack[0] != mqttSubAck {
			return fmt.Errorf("subscription answered by %#x", ack[0])
		}
		if err := w.s.packet(ack, time.Time{}, nil); err != nil {
			return err
		}
	}
	return nil
}
