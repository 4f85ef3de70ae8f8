// SPDX-License-Identifier: Apache-2.0

//go:build linux

package scenario

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stonechat-im/stonechat/xmpp/jid"
)

// fleet is how many things are imported.
const fleet = 5000

// TestFleet: 5,000 things by a table with mistakes in it, in under a minute; roles of people at one of them, and who was refused what.
func TestFleet(t *testing.T) {
	s := start(t, options{})
	admin, other := s.account("admin"), s.account("other")
	file := s.write("fleet.csv", table(admin, other, "twice,,not an owner,hall 1,1\n", ",,"+admin+",hall 1,2\n", "press-17,,"+admin+",hall 2,3\n"))
	began := time.Now()
	_, err := s.try("thing", "import", file)
	figure(t, fmt.Sprintf("%d things from a table", fleet), time.Since(began), time.Minute)
	if err == nil {
		t.Fatal("bad lines are not told of")
	}
	for _, line := range []int{fleet + 2, fleet + 3, fleet + 4} {
		if !strings.Contains(err.Error(), fmt.Sprintf("fleet.csv:%d: ", line)) {
			t.Errorf("line %d is not told of: %v", line, err)
		}
	}
	count(t, "things", s.things(), fleet)
	count(t, "things of one owner", s.things("--owner", admin), fleet/2)
	count(t, "things in one group", s.things("--group", "hall 2"), fleet/2)

	// One of them, with the password that was made for it.
	const own = "press-1@home.test"
	press := execute(t, own, append(s.environment(own), "STONECHAT_PASSWORD="+passwordOf(t, filepath.Join(s.folder, "fleet.results.csv"), own)),
		"thing", "run", "--owner", admin, "--sine", "18,24,1h", "--field", "temperature", "--unit", "Cel", "--every", "1s", "--set", "drive=boolean")
	boss := s.person(admin)
	boss.hears(own, `temperature \d`)
	fields, at, err := boss.reads(own)
	if err != nil || fields != "drive temperature" {
		t.Fatalf("the owner reads %q, %v", fields, err)
	}
	people := make(map[string]*person)
	for _, name := range []string{"viewer", "operator", "stranger"} {
		people[name] = s.person(s.account(name))
		if name != "stranger" {
			if err := boss.client.SetContact(t.Context(), jid.MustParse(name+"@home.test"), name, name+"s"); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, rule := range []string{"group:viewers to read", "group:operators to read", "group:operators to control"} {
		boss.asks(service, "allow "+rule+" press-1", "revoke")
	}
	refusals := 0
	for _, role := range []struct {
		who            *person
		read, set, own bool
	}{{people["stranger"], false, false, false}, {people["viewer"], true, false, false}, {people["operator"], true, true, false}, {boss, true, true, true}} {
		name := role.who.own.Local()
		may := func(what string, want bool, err error) {
			t.Helper()
			if want && err != nil {
				t.Errorf("%s: %s: %v", name, what, err)
			}
			if !want {
				refused(t, name+": "+what, err)
				refusals++
			}
		}
		_, _, err := role.who.reads(at.String(), "temperature")
		may("read", role.read, err)
		may("control", role.set, role.who.sets(at.String(), "drive", true))
		if role.set {
			press.expect("^drive on")
			may("control", true, role.who.sets(at.String(), "drive", false))
			press.expect("^drive off")
		}
		answer, _ := role.who.asks(service, "rules press-1", "^.*(group|no thing).*")
		if is := !strings.Contains(answer[0], "no thing"); is != role.own {
			t.Errorf("%s: the rules: %s", name, answer[0])
		}
	}
	var list []string // they are written a moment later
	until(t, "every refusal", func() bool {
		list, _ = boss.asks(service, "refusals press-1", "(?s)^.* UTC: .*|^Nobody was.*")
		return strings.Count(list[0], " UTC: ") >= refusals
	})
	count(t, "refusals that are written down", strings.Count(list[0], " UTC: "), refusals)
	for _, who := range []string{"stranger@home.test", "viewer@home.test"} {
		if !strings.Contains(list[0], who) {
			t.Errorf("no refusal of %s in %s", who, list[0])
		}
	}

	// The operator of the machine, at the socket: whoever does not run the server has no way there.
	info, err := os.Stat(filepath.Join(s.folder, "data", "admin.sock"))
	if err != nil || info.Mode().Perm()&0o077 != 0 {
		t.Errorf("the operator's socket: %v, %v", info, err)
	}
}

// TestFleetKilled: the server is killed in the middle of an import, and the import goes on where it was.
func TestFleetKilled(t *testing.T) {
	s := start(t, options{})
	admin, other := s.account("admin"), s.account("other")
	file := s.write("fleet.csv", table(admin, other))
	c := exec.Command(stonechat.MustPath(t), "thing", "import", file, "-c", filepath.Join(s.folder, "stonechat.yaml"))
	var said bytes.Buffer
	c.Stdout, c.Stderr = &said, &said
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	var half int
	until(t, "a part of the things", func() bool { half = s.things("--limit", "500"); return half >= 500 })
	s.kill()
	if err := c.Wait(); err == nil {
		t.Fatalf("all was imported before the server was killed: %s", said.String())
	}
	s.run()
	there := s.things()
	fmt.Printf("%s: when the server was killed: %d things\n", t.Name(), there)
	if there < half {
		t.Errorf("%d things are left of %d", there, half)
	}
	s.command("thing", "import", file)
	count(t, "things of one owner", s.things("--owner", admin), fleet/2)
	count(t, "things of the other", s.things("--owner", other), fleet/2)
	own := "press-1@home.test"
	secret := passwordOf(t, filepath.Join(s.folder, "fleet.results.csv"), own)
	execute(t, own, append(s.environment(own), "STONECHAT_PASSWORD="+secret), "thing", "run", "--owner", admin, "--sine", "18,24,1h", "--every", "1s")
	s.person(admin).hears(own, `value \d`)
}

// table is a table of a fleet in two halls, each with an owner of its own, and further lines.
func table(first, second string, more ...string) string {
	b := new(strings.Builder)
	b.WriteString("name,password,owner,group,tag:SN\n")
	owners := [2]string{first, second}
	for i := range fleet {
		fmt.Fprintf(b, "press-%d,,%s,hall %d,SN%d\n", i+1, owners[i%2], i%2+1, i)
	}
	return b.String() + strings.Join(more, "")
}

// things counts what the operator's list has.
func (s *server) things(args ...string) int {
	s.t.Helper()
	return strings.Count(s.command(append([]string{"thing", "list"}, args...)...), "\n")
}

// passwordOf is what an import has made for an account.
func passwordOf(t *testing.T, file, own string) string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(bytes.NewReader(data)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range rows {
		if row[0] == own {
			return row[1]
		}
	}
	t.Fatalf("no password of %s in %s", own, file)
	return ""
}
