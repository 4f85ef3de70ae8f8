// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// The raw relay is the yardstick: what it costs on this machine to move the
// bytes of the same messages over the same number of sockets when nothing is
// parsed, routed or encrypted, and everything that one read gave goes on in
// one write. A client says the number of its pair once; the relay echoes that
// line and from then on copies between the two sessions of the pair.

// helloLen is the length of the line by which a client names its pair.
const helloLen = len("pair 00000000\n")

func appendHello(dst []byte, pair int) []byte { return fmt.Appendf(dst, "pair %08d\n", pair) }

func parseHello(line []byte) (int, error) {
	text, ok := strings.CutPrefix(string(line), "pair ")
	n, err := strconv.Atoi(strings.TrimSuffix(text, "\n"))
	if !ok || err != nil || n < 0 {
		return 0, fmt.Errorf("bench: raw relay: greeted with %.40q", line)
	}
	return n, nil
}

// startRaw starts a raw relay and fills in the target's address and process.
func startRaw(self []string, t *Target) (*child, error) {
	c, err := startChild(self, "raw-relay")
	if err != nil {
		return nil, err
	}
	var addr string
	if _, err := fmt.Fscanln(c.out, &addr); err != nil {
		return nil, fmt.Errorf("bench: raw relay: no address: %w", errors.Join(err, c.stop()))
	}
	t.Addr, t.PID = addr, c.cmd.Process.Pid
	return c, nil
}
