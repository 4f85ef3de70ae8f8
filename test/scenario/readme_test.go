// SPDX-License-Identifier: Apache-2.0

//go:build linux

package scenario

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/client"
	"github.com/stonechat-im/stonechat/xmpp/jid"
)

// root is where the sources are.
const root = "../.."

// TestReadme: from the sources to a thing that is claimed and read in a chat, with nothing but what README says: its first command, and
// what that prints.
func TestReadme(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)```sh show\n(.*?)```").FindSubmatch(text)
	if block == nil {
		t.Fatal("README has no commands")
	}
	first, _, _ := strings.Cut(string(block[1]), "\n")
	services := regexp.MustCompile("`(registry@things\\.[a-z.]+)`").FindSubmatch(text)
	words := regexp.MustCompile(`Write "(read)" .* and "(set lamp on)"`).FindSubmatch(text)
	if services == nil || words == nil {
		t.Fatal("README does not say what to write, and to whom")
	}
	folder := t.TempDir()
	copySources(t, folder)

	began := time.Now()
	c := exec.Command("sh", "-c", first)
	c.Dir = folder
	demo := launch(t, "demo", nil, c)
	demo.patience = 5 * time.Minute // it is built
	demo.expect("Log in with any XMPP client")
	demo.patience = patience
	you := demo.expect(`^  (\S+@\S+)\s+password\s+(\S+)`)
	address := demo.expect(`^  server (\S+) \(STARTTLS\)`)[1]
	demo.expect("certificate itself")
	authority := filepath.Join(folder, demo.expect(`^(\S+\.crt)`)[1])
	p := login(t, client.Config{Account: jid.MustParse(you[1]), Password: you[2], Address: address}, authority)
	claims := make(map[string]string)
	for len(claims) < 5 {
		m := demo.expect(`^\d+\. (\S+) has no owner\. .* write to ` + regexp.QuoteMeta(string(services[1])))
		claims[m[1]] = demo.expect("^(claim IoTDisco;.*)")[1]
	}
	for _, name := range []string{"thermometer", "lamp"} {
		p.asks(string(services[1]), claims[name], "is yours")
	}
	domain := "@" + strings.TrimPrefix(string(services[1]), "registry@things.")
	p.asks("thermometer"+domain, string(words[1]), `(?s)temperature \d.* °C`)
	figure(t, "from README to a reading in the chat", time.Since(began), 5*time.Minute)
	p.asks("lamp"+domain, string(words[2]), "lamp")
}

// copySources copies what is built, for a demo that leaves nothing here.
func copySources(t *testing.T, to string) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		switch {
		case d.IsDir() && (name == ".git" || name == "bin" || name == "demo-data" || name == ".cache" || d.Name() == "testdata" || name == "test"):
			return fs.SkipDir
		case d.IsDir():
			return os.MkdirAll(filepath.Join(to, name), 0o700)
		case !d.Type().IsRegular():
			return nil
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, name), data, 0o600)
	})
	if err != nil {
		t.Fatal(err)
	}
}
