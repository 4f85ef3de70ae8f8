// SPDX-License-Identifier: Apache-2.0

//go:build linux

package interop

import (
	"os"
	"path/filepath"
	"strconv"
	"sync"
)

// smack is Smack, a library for Java, from Maven's repository, with its classes for things.
var smack = client{
	name:      "smack",
	available: func() error { _, err := java(); return err },
	person:    func(s *server, name string, trusted *authority) person { return newSmack(s, name, trusted) },
}

// java is the class path of the compiled agent and what it needs.
var java = sync.OnceValues(func() (string, error) {
	folder := filepath.Join(tools.folder, "smack")
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return "", err
	}
	libraries, classes := filepath.Join(folder, "lib"), filepath.Join(folder, "classes")
	if err := output("clients/smack", "mvn", "--batch-mode", "--quiet", "dependency:copy-dependencies", "-DoutputDirectory="+libraries); err != nil {
		return "", err
	}
	path := classes + ":" + filepath.Join(libraries, "*")
	return path, output("clients/smack", "javac", "-encoding", "UTF-8", "-proc:none", "-cp", path, "-d", classes, "SmackAgent.java")
})

func newSmack(s *server, name string, trusted *authority) *agent {
	s.t.Helper()
	path, err := java()
	if err != nil {
		s.t.Fatal(err)
	}
	own := name + "@" + domain
	return startAgent(s.t, "smack-"+name, own, nil, "java", "-Xmx128m", "-XX:TieredStopAtLevel=1", "-Dfile.encoding=UTF-8", "-Dstdout.encoding=UTF-8",
		"-cp", path, "SmackAgent", own, password, s.client.IP.String(), strconv.Itoa(s.client.Port), trusted.file)
}
