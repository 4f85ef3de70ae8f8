// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// tick is the unit of times in /proc/PID/stat: USER_HZ is 100 on every Linux
// that Go runs on.
const tick = 10 * time.Millisecond

// cpuTime returns the CPU time that a process has used so far, user and system
// time of all its threads, ended ones included.
func cpuTime(pid int) (time.Duration, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, fmt.Errorf("bench: CPU time: %w", err)
	}
	// The command name in parentheses may hold anything; count from its end.
	i := bytes.LastIndexByte(stat, ')')
	fields := strings.Fields(string(stat[i+1:]))
	if i < 0 || len(fields) < 13 {
		return 0, fmt.Errorf("bench: CPU time of %d: cannot read stat", pid)
	}
	user, err1 := strconv.ParseInt(fields[11], 10, 64)
	system, err2 := strconv.ParseInt(fields[12], 10, 64)
	if err := errors.Join(err1, err2); err != nil {
		return 0, fmt.Errorf("bench: CPU time of %d: %w", pid, err)
	}
	return time.Duration(user+system) * tick, nil
}

// resident returns the resident bytes of a process. smaps_rollup walks the
// page tables and is exact; VmRSS in status, the fallback, may be off by some
// hundred kilobytes.
func resident(pid int) (int64, error) {
	n, err := procField(fmt.Sprintf("/proc/%d/smaps_rollup", pid), "Rss:")
	if err != nil {
		n, err = procField(fmt.Sprintf("/proc/%d/status", pid), "VmRSS:")
	}
	if err != nil {
		return 0, fmt.Errorf("bench: resident bytes: %w", err)
	}
	return n, nil
}

// procField reads a "Name: N kB" line as bytes.
func procField(file, name string) (int64, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(data)) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == name && f[2] == "kB" {
			n, err := strconv.ParseInt(f[1], 10, 64)
			return n << 10, err
		}
	}
	return 0, fmt.Errorf("%s has no %s", file, name)
}

// settle waits until a process uses less than 2 % of one CPU over half a
// second, at most for limit: servers tidy up after sessions that have left.
func settle(ctx context.Context, pid int, limit time.Duration) error {
	if pid == 0 {
		return nil
	}
	const span = 500 * time.Millisecond
	before, err := cpuTime(pid)
	for end := time.Now().Add(limit); err == nil && time.Now().Before(end); {
		if err = pause(ctx, span); err != nil {
			break
		}
		var now time.Duration
		if now, err = cpuTime(pid); now-before <= span/50 {
			break
		}
		before = now
	}
	return err
}

// Machine says where a report was made.
type Machine struct {
	CPU    string `json:"cpu"`
	Cores  int    `json:"cores"`
	Memory int64  `json:"memory_bytes"`
	Kernel string `json:"kernel"`
	OS     string `json:"os"`
	Go     string `json:"go"`
}

// ThisMachine describes the machine that the program runs on, as far as it tells.
func ThisMachine() Machine {
	m := Machine{Cores: runtime.NumCPU(), OS: runtime.GOOS + "/" + runtime.GOARCH, Go: runtime.Version()}
	m.CPU = fileField("/proc/cpuinfo", "model name", ":")
	if name := strings.Trim(fileField("/etc/os-release", "PRETTY_NAME", "="), `"`); name != "" {
		m.OS = name + ", " + m.OS
	}
	if release, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		m.Kernel = strings.TrimSpace(string(release))
	}
	m.Memory, _ = procField("/proc/meminfo", "MemTotal:") // 0 where there is no /proc
	return m
}

// fileField returns the value of the first line that begins with name, empty
// when the file or the line is missing.
func fileField(file, name, separator string) string {
	data, err := os.ReadFile(file)
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(data)) {
		if key, value, ok := strings.Cut(line, separator); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
