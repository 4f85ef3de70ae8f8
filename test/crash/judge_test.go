// SPDX-License-Identifier: Apache-2.0

//go:build linux

package crash

import (
	"fmt"
	"strings"
	"testing"
)

// script writes a trace as strace does.
type script struct{ strings.Builder }

func hexed(s string) string {
	var b strings.Builder
	for i := range len(s) {
		fmt.Fprintf(&b, `\x%02x`, s[i])
	}
	return b.String()
}

func (s *script) line(thread int, text string) { fmt.Fprintf(s, "%d 1.0 %s\n", thread, text) }

// data is a call that moves data: read, write or pwrite64.
func (s *script) data(name, file, data string) {
	more := ""
	if name == "pwrite64" {
		more = ", 0"
	}
	s.line(1, fmt.Sprintf(`%s(7<%s>, "%s", %d%s) = %d`, name, hexed(file), hexed(data), len(data), more, len(data)))
}

func (s *script) reads(socket int, data string) {
	s.data("read", fmt.Sprintf("socket:[%d]", socket), data)
}
func (s *script) sends(socket int, data string) {
	s.data("write", fmt.Sprintf("socket:[%d]", socket), data)
}

// client is a connection up to its session.
func (s *script) client(socket int, user string, managed bool) {
	s.reads(socket, "<?xml version='1.0'?><stream:stream to='d'>")
	s.sends(socket, "<stream:stream from='d'><stream:features><bind/></stream:features>")
	s.sends(socket, "<iq type='result' id='b'><bind><jid>"+user+"@d/r</jid></bind></iq>")
	if managed {
		s.reads(socket, "<enable xmlns='urn:xmpp:sm:3' resume='true'/>")
		s.sends(socket, "<enabled xmlns='urn:xmpp:sm:3' id='>'/>")
	}
}

// frame writes one frame of the log.
func (s *script) frame(last bool, page string) {
	header := strings.Repeat("\x00", walFrameHeader)
	if last {
		header = "\x00\x00\x00\x01\x00\x00\x00\x09" + header[8:]
	}
	s.data("pwrite64", "/data/x.db-wal", header)
	s.data("pwrite64", "/data/x.db-wal", page)
}

func (s *script) sync(file string) { s.line(2, "fsync(9<"+hexed(file)+">) = 0") }

const (
	doctoredMessage = "<message to='offline@d' id='s1.offline.0'><body>s1.offline.0 x</body></message>"
	doctoredPage    = "\x00\x05abc<message xmlns='jabber:client' id='s1.offline.0'><body>s1.offline.0 x\xffrest"
	doctoredAck     = "<a xmlns='urn:xmpp:sm:3' h='1'/>"
)

// TestJudge shows the judge of TestOrder traces in which an acknowledgement is too early, and their honest twins.
func TestJudge(t *testing.T) {
	for _, c := range []struct {
		name   string
		trace  func(s *script)
		honest bool
	}{
		{"commit, sync, ack", func(s *script) {
			s.reads(1, doctoredMessage)
			s.frame(false, doctoredPage)
			s.frame(true, "root page")
			s.sync("/data/x.db-wal")
			s.sends(1, doctoredAck)
		}, true},
		{"the ack is in pieces, and the message too", func(s *script) {
			s.reads(1, doctoredMessage[:20])
			s.reads(1, doctoredMessage[20:])
			s.frame(true, doctoredPage)
			s.sync("/data/x.db-wal")
			s.sends(1, doctoredAck[:9])
			s.sends(1, doctoredAck[9:])
		}, true},
		{"ack before the sync", func(s *script) {
			s.reads(1, doctoredMessage)
			s.frame(true, doctoredPage)
			s.sends(1, doctoredAck)
			s.sync("/data/x.db-wal")
		}, false},
		{"ack while the sync is under way", func(s *script) {
			s.reads(1, doctoredMessage)
			s.frame(true, doctoredPage)
			s.line(2, "fsync(9<"+hexed("/data/x.db-wal")+"> <unfinished ...>")
			s.sends(1, doctoredAck)
			s.line(2, "<... fsync resumed>) = 0")
		}, false},
		{"the sync failed", func(s *script) {
			s.reads(1, doctoredMessage)
			s.frame(true, doctoredPage)
			s.line(2, "fsync(9<"+hexed("/data/x.db-wal")+">) = -1 EIO (Input/output error)")
			s.sends(1, doctoredAck)
		}, false},
		{"sync of another file", func(s *script) {
			s.reads(1, doctoredMessage)
			s.frame(true, doctoredPage)
			s.sync("/data/x.db")
			s.sends(1, doctoredAck)
		}, false},
		{"the transaction goes on behind the sync", func(s *script) {
			s.reads(1, doctoredMessage)
			s.frame(false, doctoredPage)
			s.sync("/data/x.db-wal")
			s.sends(1, doctoredAck)
			s.frame(true, "root page")
			s.sync("/data/x.db-wal")
		}, false},
		{"a page is written while the sync is under way", func(s *script) {
			s.reads(1, doctoredMessage)
			s.line(2, "fdatasync(9<"+hexed("/data/x.db-wal")+"> <unfinished ...>")
			s.frame(true, doctoredPage)
			s.line(2, "<... fdatasync resumed>) = 0")
			s.sends(1, doctoredAck)
		}, false},
		{"the ack covers one more", func(s *script) {
			s.reads(1, doctoredMessage+strings.ReplaceAll(doctoredMessage, "offline.0", "offline.1"))
			s.frame(true, doctoredPage)
			s.sync("/data/x.db-wal")
			s.sends(1, "<a xmlns='urn:xmpp:sm:3' h='2'/>")
		}, false},
		{"its receiver has acked", func(s *script) {
			s.client(2, "offline", true)
			s.reads(1, doctoredMessage)
			s.sends(2, "<presence/>"+doctoredMessage)
			s.reads(2, "<a xmlns='urn:xmpp:sm:3' h='2'/>")
			s.sends(1, doctoredAck)
		}, true},
		{"its receiver has acked what came before", func(s *script) {
			s.client(2, "offline", true)
			s.reads(1, doctoredMessage)
			s.sends(2, "<presence/>"+doctoredMessage)
			s.reads(2, "<a xmlns='urn:xmpp:sm:3' h='1'/>")
			s.sends(1, doctoredAck)
		}, false},
		{"its receiver acks later", func(s *script) {
			s.client(2, "offline", true)
			s.reads(1, doctoredMessage)
			s.sends(2, doctoredMessage)
			s.sends(1, doctoredAck)
			s.reads(2, "<a xmlns='urn:xmpp:sm:3' h='1'/>")
		}, false},
		{"it has left for its receiver", func(s *script) {
			s.client(2, "offline", false)
			s.reads(1, doctoredMessage)
			s.sends(2, doctoredMessage)
			s.sends(1, doctoredAck)
		}, true},
		{"half of it has left", func(s *script) {
			s.client(2, "offline", false)
			s.reads(1, doctoredMessage)
			s.sends(2, doctoredMessage[:30])
			s.sends(1, doctoredAck)
			s.sends(2, doctoredMessage[30:])
		}, false},
		{"a change, synced", func(s *script) {
			s.reads(1, "<iq type='set' id='7'><query><item name='_r.s1.1_'/></query></iq>")
			s.frame(true, "abc_r.s1.1_def")
			s.sync("/data/x.db-wal")
			s.sends(1, "<iq type='result' id='7'/>")
		}, true},
		{"a change, not synced", func(s *script) {
			s.reads(1, "<iq type='set' id='7'><query><item name='_r.s1.1_'/></query></iq>")
			s.frame(true, "abc_r.s1.1_def")
			s.sends(1, "<iq type='result' id='7'/>")
			s.sync("/data/x.db-wal")
		}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			var s script
			s.client(1, "s1", true)
			c.trace(&s)
			calls, err := parseTrace(strings.NewReader(s.String()))
			if err != nil {
				t.Fatal(err)
			}
			faults, kept := judge(calls)
			if c.honest != (len(faults) == 0) || c.honest && len(kept) == 0 {
				t.Errorf("faults: %v, kept: %v", faults, kept)
			}
		})
	}
}
