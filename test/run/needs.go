// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
)

// need is something a stage asks of the machine. It may bring what is missing.
// It returns "" when the need is met, else the reason why it is not.
type need func(context.Context) string

func all(needs ...need) []need { return needs }

func linux(context.Context) string {
	if runtime.GOOS != "linux" {
		return "runs on Linux only"
	}
	return ""
}

// amd64 runs programs for 386 too.
func amd64(context.Context) string {
	if runtime.GOARCH != "amd64" {
		return "needs a machine that runs programs for 386"
	}
	return ""
}

// raceDetector needs cgo and a C compiler beside a supported platform.
func raceDetector(ctx context.Context) string {
	out, err := prepare(ctx, "go", "env", "CGO_ENABLED", "CC").Output()
	if err != nil {
		return "go env: " + err.Error()
	}
	enabled, cc, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	if enabled != "1" {
		return "the race detector needs cgo (CGO_ENABLED=1 and a C compiler)"
	}
	if _, err := exec.LookPath(strings.Fields(cc + " cc")[0]); err != nil {
		return "the race detector needs a C compiler: " + err.Error()
	}
	if out, err := prepare(ctx, "go", "list", "-race", "std").CombinedOutput(); err != nil {
		return "the race detector: " + strings.TrimSpace(string(out))
	}
	return ""
}

// debian needs packages of Debian's. As root on Debian they are installed,
// without starting their services, by scripts/peers.
func debian(packages ...string) need {
	return func(ctx context.Context) string {
		missing := missingPackages(ctx, packages)
		if len(missing) == 0 {
			return ""
		}
		names := strings.Join(missing, " ")
		if _, err := exec.LookPath("apt-get"); err != nil {
			return "needs Debian's " + names
		}
		if os.Geteuid() != 0 {
			return fmt.Sprintf("needs Debian's %s; `sudo scripts/peers %s` installs them without starting their services", names, names)
		}
		c := prepare(ctx, "bash", append([]string{"scripts/peers"}, missing...)...)
		c.Stdout, c.Stderr = os.Stdout, os.Stderr
		if err := c.Run(); err != nil {
			return fmt.Sprintf("could not install Debian's %s: %v", names, err)
		}
		return ""
	}
}

// program needs a program, which is a package of Debian's where it is missing: it may have come from
// elsewhere, and what has does not go together with that package.
func program(name, pkg string) need {
	return func(ctx context.Context) string {
		if _, err := exec.LookPath(name); err == nil {
			return ""
		}
		return debian(pkg)(ctx)
	}
}

// missingPackages asks dpkg which packages are not installed.
func missingPackages(ctx context.Context, packages []string) []string {
	var missing []string
	for _, p := range packages {
		out, err := prepare(ctx, "dpkg-query", "-W", "-f", "${Status}", p).Output()
		if err != nil || string(out) != "install ok installed" {
			missing = append(missing, p)
		}
	}
	return missing
}
