// SPDX-License-Identifier: Apache-2.0

package main

import "time"

// stages is THE list of what `make check`, `make test` and `make soak` run,
// in order. To add a stage, add one line, for example
//
//	{name: "crash", in: test, run: goTest("./test/crash"), needs: all(linux, debian("strace")), limit: 5 * time.Minute},
//
// Stages of check are quick, need nothing but Go, run on any operating system
// and are part of `make test` too. A stage whose needs this machine does not
// meet is left out and listed with the reason; with CI=true that, like a
// skipped test, fails the run.
func stages() []stage {
	return []stage{
		{name: "format", in: check, run: formatted},
		{name: "vet", in: check, run: command("go", "vet", "./...")},
		{name: "lint", in: check, run: goTest("./internal/lint", "-count=1")},
		{name: "staticcheck", in: check, run: command("go", "tool", "-modfile=tools/go.mod", "staticcheck", "./...")},
		{name: "removal", in: check, run: removal("ping", "offline")},
		{name: "unit", in: check, run: unitTests()},
		{name: "race", in: check, run: unitTests("-race", "-short", "-timeout=15m", "-tags=invariants"), needs: all(raceDetector), limit: 20 * time.Minute},
		{name: "fuzz", in: check, run: fuzz(time.Second, 2*time.Second), limit: 20 * time.Minute},
		{name: "tidy", in: test, run: command("go", "mod", "tidy", "-diff")},
		{name: "platforms", in: test, run: buildElsewhere(
			[]string{"linux/amd64", "linux/arm64", "linux/arm", "darwin/arm64", "windows/amd64", "freebsd/amd64"}, "..."),
			limit: 25 * time.Minute},
		{name: "386", in: test, run: goTestAs("386", "-short", "-count=1", "./xmpp/...", "./client/...", "./thing/...", "./component/...", "./store/...", "./server/..."),
			needs: all(linux, amd64), limit: 20 * time.Minute},
		{name: "thing", in: test, run: command("bash", "scripts/thing_size"), needs: all(linux)},
		{name: "conformance", in: test, run: goTest("./test/conformance", "-count=1", "-target=stonechat,prosody"),
			needs: all(linux, debian("prosody")), limit: 30 * time.Minute},
		{name: "crash", in: test, run: goTest("./test/crash", "-count=1"), needs: all(linux, debian("strace")), limit: 20 * time.Minute},
		{name: "hostile", in: test, run: goTest("./test/hostile", "-count=1"), needs: all(linux, debian("openssl")), limit: 10 * time.Minute},
		{name: "storm", in: test, run: goTest("./test/storm", "-count=1"), needs: all(linux), limit: 10 * time.Minute},
		{name: "interop", in: test, run: goTest("./test/interop", "-count=1"),
			needs: all(linux, debian("profanity", "tmux", "openssl", "python3-venv", "gcc", "libc6-dev", "libstrophe-dev", "go-sendxmpp", "libnss3-tools", "haproxy", "caddy", "biboumi", "ngircd", "prosody", "ejabberd"),
				program("node", "nodejs"), program("npm", "npm"), program("mvn", "maven"), program("javac", "default-jdk-headless"), program("chromium", "chromium"), program("nginx", "nginx-light")),
			limit: 20 * time.Minute},
		{name: "scenario", in: test, run: goTest("./test/scenario", "-v", "-count=1"), needs: all(linux, debian("iproute2", "util-linux")), limit: 20 * time.Minute},
		{name: "federation", in: test, run: goTest("./test/federation", "-count=1"),
			needs: all(linux, debian("prosody", "lua-unbound", "ejabberd", "dnsmasq-base", "iproute2", "util-linux")), limit: 15 * time.Minute},
		{name: "load", in: test, run: goTest("./test/load")},
		{name: "peers", in: test, run: goTest("-count=1", "-tags=peers", "-run=TestPeers", "./xmpp/stream"), needs: all(debian("prosody", "ejabberd"))},
		{name: "soak", in: soak, run: goTest("./test/crash", "-v", "-count=1", "-timeout=6h", "-run=Kill|Metamorphic", "-crash.rounds=200"),
			needs: all(linux), limit: 6 * time.Hour},
		{name: "soak-fuzz", in: soak, run: fuzz(time.Minute, time.Minute), limit: 4 * time.Hour},
		{name: "scripts", in: test, run: command("bash", "scripts/peers_test"), needs: all(linux)},
	}
}
