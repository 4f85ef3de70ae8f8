// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
)

// child is a process that this one started: it ends when its input does.
type child struct {
	cmd     *exec.Cmd
	stdin   *os.File
	out     *os.File
	answers *json.Decoder // of a worker
}

// startChild starts this program again with one more argument.
func startChild(self []string, arg string) (*child, error) {
	if len(self) == 0 {
		return nil, fmt.Errorf("bench: no command to start %s with", arg)
	}
	theirIn, stdin, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("bench: starting %s: %w", arg, err)
	}
	out, theirOut, err := os.Pipe()
	if err != nil {
		_, _ = theirIn.Close(), stdin.Close()
		return nil, fmt.Errorf("bench: starting %s: %w", arg, err)
	}
	cmd := exec.Command(self[0], append(append([]string(nil), self[1:]...), arg)...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = theirIn, theirOut, os.Stderr
	err = cmd.Start()
	_, _ = theirIn.Close(), theirOut.Close()
	if err != nil {
		_, _ = stdin.Close(), out.Close()
		return nil, fmt.Errorf("bench: starting %s: %w", arg, err)
	}
	return &child{cmd: cmd, stdin: stdin, out: out}, nil
}

// endWith has the child killed when ctx ends, so that nobody waits for what it was told to do.
func (c *child) endWith(ctx context.Context) {
	context.AfterFunc(ctx, func() { _ = c.cmd.Process.Kill() }) // it may have ended by itself
}

// stop ends the child, if there is one, by closing its input.
func (c *child) stop() error {
	if c == nil {
		return nil
	}
	err := c.stdin.Close()
	if werr := c.cmd.Wait(); err == nil {
		err = werr
	}
	_ = c.out.Close() // all that was awaited has been read
	if err != nil {
		return fmt.Errorf("bench: ending a child: %w", err)
	}
	return nil
}
