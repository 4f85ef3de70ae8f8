// SPDX-License-Identifier: Apache-2.0

//go:build linux

package crash

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// How to read this file: record runs a server under strace and gives what it wrote to parseTrace, which makes calls of
// it. A call has the place of its beginning and of its end among all others. strace stops a thread at both and lets it
// go on when it has written the line, so that what a program does because a call has returned is further down.

// tracedCalls are those that read and write sockets and change files. copy_file_range and the like are there to be
// refused by whoever rebuilds files.
const tracedCalls = "read,readv,recvfrom,recvmsg,write,writev,sendto,sendmsg,sendfile,splice,copy_file_range," +
	"pwrite64,pwritev,pwritev2,fsync,fdatasync,sync_file_range,ftruncate,truncate,fallocate,mmap," +
	"openat,open,creat,rename,renameat,renameat2,unlink,unlinkat,link,linkat,symlink,symlinkat,mkdir,mkdirat,rmdir"

// call is one system call.
type call struct {
	name       string
	args       []string // as strace writes them
	ret        int64
	failed     bool
	start, end int // places in the trace
	time       string
}

// record runs a server, lets load use it and stops it in order. The trace is of its whole life.
func record(t *testing.T, load func(*server)) (calls []*call, folder string) {
	t.Helper()
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Skipf("strace is not installed: %v", err)
	}
	o := options{program: checked.MustPath(t), folder: t.TempDir()}
	out := filepath.Join(o.folder, "trace")
	o.under = []string{strace, "-f", "--seccomp-bpf", "-y", "-ttt", "-xx", "-s", "100000000", "-o", out, "-e", "trace=" + tracedCalls}
	s, err := start(o)
	if err != nil {
		if b, _ := os.ReadFile(filepath.Join(o.folder, "server.log")); strings.Contains(string(b), "ptrace") {
			t.Skipf("strace may not trace here: %s", b)
		}
		t.Fatal(err)
	}
	t.Cleanup(s.Kill)
	load(s)
	if err := s.terminate(); err != nil {
		t.Error(err)
	}
	f, err := os.Open(out)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	calls, err = parseTrace(f)
	if err != nil {
		t.Fatal(err)
	}
	return calls, o.folder
}

// parseTrace reads what strace has written, in order.
func parseTrace(r io.Reader) ([]*call, error) {
	var calls []*call
	open := map[string]*call{} // by thread: begun and not ended
	text := map[string]string{}
	lines := bufio.NewReaderSize(r, 1<<20)
	for n := 0; ; n++ {
		line, err := lines.ReadString('\n')
		if err == io.EOF && line == "" {
			return calls, nil
		}
		if err != nil && err != io.EOF {
			return nil, err
		}
		thread, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		time, rest, ok := strings.Cut(strings.TrimLeft(rest, " "), " ")
		if !ok || strings.HasPrefix(rest, "---") || strings.HasPrefix(rest, "+++") {
			continue
		}
		if head, ok := strings.CutSuffix(rest, " <unfinished ...>"); ok {
			c := &call{start: n, time: time}
			calls = append(calls, c)
			open[thread], text[thread] = c, head
			continue
		}
		c := open[thread]
		if strings.HasPrefix(rest, "<... ") {
			_, tail, ok := strings.Cut(rest, " resumed>")
			if !ok || c == nil {
				return nil, fmt.Errorf("line %d: %.100s", n+1, line)
			}
			rest = text[thread] + tail
			delete(open, thread)
		} else {
			c = &call{start: n, time: time}
			calls = append(calls, c)
		}
		c.end = n
		if err := c.parse(rest); err != nil {
			return nil, fmt.Errorf("line %d: %w: %.300s", n+1, err, rest)
		}
	}
}

// parse reads "name(arg, arg) = result".
func (c *call) parse(s string) error {
	name, rest, ok := strings.Cut(s, "(")
	at := strings.LastIndex(rest, ") ")
	if !ok || at < 0 {
		return errors.New("not a call")
	}
	c.name, c.args = name, splitArgs(rest[:at])
	_, result, ok := strings.Cut(rest[at:], "= ")
	if !ok {
		return errors.New("no result")
	}
	result, _, _ = strings.Cut(result, " ")
	result, _, _ = strings.Cut(result, "<") // of openat: the name that the descriptor has
	n, err := strconv.ParseInt(result, 0, 64)
	if err != nil { // "?": the process was gone before it returned
		c.failed = true
		return nil
	}
	c.ret, c.failed = n, n < 0 && n > -4096
	return nil
}

// splitArgs splits at commas outside of strings, of brackets, and of descriptors' names.
func splitArgs(s string) (args []string) {
	depth, from, quoted := 0, 0, false
	for i := 0; i < len(s); i++ {
		switch b := s[i]; {
		case b == '"':
			quoted = !quoted // quotes within strings are written as \x22
		case quoted:
		case b == '(' || b == '[' || b == '{' || b == '<':
			depth++
		case b == ')' || b == ']' || b == '}' || b == '>':
			depth--
		case b == ',' && depth == 0:
			args = append(args, strings.TrimSpace(s[from:i]))
			from = i + 1
		}
	}
	return append(args, strings.TrimSpace(s[from:]))
}

// file is the name of a descriptor, "socket:[123]" for one.
func (c *call) file(arg int) string {
	if arg >= len(c.args) {
		return ""
	}
	_, name, ok := strings.Cut(c.args[arg], "<")
	if !ok {
		return ""
	}
	name, deleted, _ := strings.Cut(name, ">")
	return string(unhex(name)) + deleted
}

// bytes is a string argument.
func (c *call) bytes(arg int) []byte {
	if arg >= len(c.args) {
		return nil
	}
	s := c.args[arg]
	if len(s) < 2 || s[0] != '"' || s[len(s)-1] != '"' {
		return nil
	}
	return unhex(s[1 : len(s)-1])
}

// unhex reads \x2f\x74…, the way in which -xx writes every string.
func unhex(s string) []byte {
	out := make([]byte, 0, len(s)/4)
	for len(s) >= 4 && s[0] == '\\' && s[1] == 'x' {
		out = append(out, nibble(s[2])<<4|nibble(s[3]))
		s = s[4:]
	}
	return append(out, s...)
}

func nibble(b byte) byte {
	if b >= 'a' {
		return b - 'a' + 10
	}
	return b - '0'
}

// number is an integer argument.
func (c *call) number(arg int) int64 {
	if arg >= len(c.args) {
		return -1
	}
	n, err := strconv.ParseInt(c.args[arg], 0, 64)
	if err != nil {
		return -1
	}
	return n
}
