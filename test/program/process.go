// SPDX-License-Identifier: Apache-2.0

package program

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// Process is a server that runs, or has.
type Process struct {
	Command *exec.Cmd
	Address map[string]string // of its listeners, by their keys
	Ended   chan struct{}     // is closed when it has ended
	Err     error             // how, when it has

	log string
}

// Start starts a server, whose configuration is in the command, and returns when it is ready. It is bound to this program (Bind). Its
// log goes to the end of a file.
func Start(c *exec.Cmd, log string, patience time.Duration) (*Process, error) {
	f, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // the server has it now
	c.Stderr = f
	Bind(c)
	out, err := c.StdoutPipe()
	if err == nil {
		err = c.Start()
	}
	if err != nil {
		return nil, err
	}
	p := &Process{Command: c, Address: map[string]string{}, Ended: make(chan struct{}), log: log}
	ready := make(chan struct{})
	go p.follow(out, ready)
	select {
	case <-ready:
		return p, nil
	case <-p.Ended:
		return nil, fmt.Errorf("the server did not start: %v\n%s", p.Err, p.Log())
	case <-time.After(patience):
		p.Kill()
		return nil, fmt.Errorf("the server is not ready\n%s", p.Log())
	}
}

// follow reads what the server says of itself, until it ends.
func (p *Process) follow(out io.Reader, ready chan struct{}) {
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		f := strings.Fields(lines.Text())
		if len(f) == 3 && f[0] == "listening" {
			p.Address[f[1]] = f[2]
		}
		if len(f) > 0 && f[0] == "ready" {
			close(ready)
			break
		}
	}
	_, _ = io.Copy(io.Discard, out)
	p.Err = p.Command.Wait()
	close(p.Ended)
}

// PID is that of the server itself, also where another program runs it, such as strace: it starts none.
func (p *Process) PID() int {
	pid := p.Command.Process.Pid
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		return pid
	}
	var child int
	if _, err := fmt.Sscan(string(children), &child); err != nil {
		return pid
	}
	return child
}

func (p *Process) signal(s os.Signal) {
	select {
	case <-p.Ended:
		return // its number may be somebody else's by now
	default:
	}
	if own, err := os.FindProcess(p.PID()); err == nil {
		_ = own.Signal(s)
	}
}

// Kill is kill -9.
func (p *Process) Kill() {
	p.signal(os.Kill)
	<-p.Ended
}

// Terminate is an operator's stop. The error says that it was not in order.
func (p *Process) Terminate(patience time.Duration) error {
	p.signal(syscall.SIGTERM)
	select {
	case <-p.Ended:
		if p.Err != nil {
			return fmt.Errorf("the server stopped: %w\n%s", p.Err, p.Log())
		}
		return nil
	case <-time.After(patience):
		p.signal(syscall.SIGQUIT) // it writes what its goroutines do
		<-p.Ended
		return fmt.Errorf("the server did not stop\n%s", p.Log())
	}
}

// Log is the end of what the server wrote to its standard error.
func (p *Process) Log() string {
	b, _ := os.ReadFile(p.log)
	if len(b) > 4000 {
		b = append([]byte("…"), b[len(b)-4000:]...)
	}
	return string(b)
}

// Trouble is the first line of a log that tells of what must not be, or has one of those words; "" if there is none.
func Trouble(log []byte, words ...string) string {
	for line := range bytes.Lines(log) {
		for _, word := range append([]string{"panic", "goroutine ", "DATA RACE"}, words...) {
			if bytes.Contains(line, []byte(word)) {
				return string(line)
			}
		}
	}
	return ""
}
