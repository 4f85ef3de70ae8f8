// SPDX-License-Identifier: Apache-2.0

package conformance_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stonechat-im/stonechat/test/conformance"
)

var update = flag.Bool("update", false, "write the lists of scripts by use case: scripts/ROOMS.md and the like")

// A useCase is a section of a specification that a script must name.
type useCase struct{ section, title string }

// The use cases of XEP-0045 (1.35.5), by section. A section that has scripts of its own sections is not repeated.
var roomUseCases = []useCase{
	{"6.1", "Discovering a MUC service"},
	{"6.2", "Discovering the features of a service"},
	{"6.3", "Discovering rooms"},
	{"6.4", "Querying for room information"},
	{"6.5", "Querying for room items"},
	{"6.6", "Querying a room occupant"},
	{"6.7", "Discovering client support"},
	{"7.1", "Order of events"},
	{"7.2.1", "Entering: basic protocol"},
	{"7.2.2", "Presence broadcast"},
	{"7.2.3", "Non-anonymous rooms"},
	{"7.2.4", "Semi-anonymous rooms"},
	{"7.2.5", "Password-protected rooms"},
	{"7.2.6", "Members-only rooms"},
	{"7.2.7", "Banned users"},
	{"7.2.8", "Nickname conflict, several devices"},
	{"7.2.9", "Maximum of users"},
	{"7.2.10", "Locked room"},
	{"7.2.11", "Nonexistent room"},
	{"7.2.12", "Room logging"},
	{"7.2.13", "Discussion history"},
	{"7.2.14", "Managing discussion history"},
	{"7.2.15", "Room subject"},
	{"7.2.16", "Live messages"},
	{"7.2.17", "Error conditions"},
	{"7.2.18", "Groupchat 1.0"},
	{"7.3", "Occupant modifies the subject"},
	{"7.4", "Message to all"},
	{"7.5", "Private message"},
	{"7.6", "Changing nickname"},
	{"7.7", "Changing availability"},
	{"7.8.1", "Direct invitation"},
	{"7.8.2", "Mediated invitation"},
	{"7.9", "One-to-one chat becomes a conference"},
	{"7.10", "Registering"},
	{"7.11", "Getting the member list"},
	{"7.12", "Reserved nickname"},
	{"7.13", "Requesting voice"},
	{"7.14", "Exiting"},
	{"8.1", "Modifying the subject"},
	{"8.2", "Kicking"},
	{"8.3", "Granting voice"},
	{"8.4", "Revoking voice"},
	{"8.5", "Voice list"},
	{"8.6", "Approving voice requests"},
	{"9.1", "Banning"},
	{"9.2", "Ban list"},
	{"9.3", "Granting membership"},
	{"9.4", "Revoking membership"},
	{"9.5", "Member list"},
	{"9.6", "Granting moderator status"},
	{"9.7", "Revoking moderator status"},
	{"9.8", "Moderator list"},
	{"9.9", "Approving registrations"},
	{"10.1.1", "Creating a room"},
	{"10.1.2", "Instant room"},
	{"10.1.3", "Reserved room"},
	{"10.2", "Subsequent configuration"},
	{"10.2.1", "Notification of configuration changes"},
	{"10.3", "Granting owner status"},
	{"10.4", "Revoking owner status"},
	{"10.5", "Owner list"},
	{"10.6", "Granting admin status"},
	{"10.7", "Revoking admin status"},
	{"10.8", "Admin list"},
	{"10.9", "Destroying a room"},
	{"11.1", "Removal because of an error"},
	{"17.2", "Rules: messages"},
	{"17.3", "Rules: presence"},
	{"17.4", "Rules: requests"},
	{"18.1.1", "Allowable traffic"},
	{"18.1.2", "Ghosts"},
}

// TestRooms keeps scripts/ROOMS.md, from which one sees that no use case of XEP-0045 is without a script. §11.2, shutdown,
// needs a server that ends, which scripts cannot.
func TestRooms(t *testing.T) { keepIndex(t, "ROOMS.md", "XEP-0045", "1.35.5", roomUseCases) }

// TestNodes keeps scripts/NODES.md for XEP-0060. §6.1.5, a subscription that must be configured first, and §6.1.6, several
// of one address, are optional and not built.
func TestNodes(t *testing.T) { keepIndex(t, "NODES.md", "XEP-0060", "1.30.0", nodeUseCases) }

// TestArchives keeps scripts/ARCHIVES.md for XEP-0313.
func TestArchives(t *testing.T) { keepIndex(t, "ARCHIVES.md", "XEP-0313", "1.1.3", archiveUseCases) }

// TestEvents keeps scripts/EVENTS.md for XEP-0163.
func TestEvents(t *testing.T) { keepIndex(t, "EVENTS.md", "XEP-0163", "1.2.2", eventUseCases) }

// TestCopies keeps scripts/COPIES.md for XEP-0280. §10.4 and §10.5 are for clients.
func TestCopies(t *testing.T) { keepIndex(t, "COPIES.md", "XEP-0280", "1.0.1", copyUseCases) }

// keepIndex compares or, with -update, writes a list of scripts by section.
func keepIndex(t *testing.T, file, spec, version string, cases []useCase) {
	files, err := filepath.Glob("scripts/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	names := map[string][]string{}
	for _, file := range files {
		s, err := conformance.Load(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, section := range s.Sections {
			if number, ok := strings.CutPrefix(section, spec+" §"); ok && !slices.Contains(names[number], s.Name) {
				names[number] = append(names[number], s.Name)
			}
		}
	}
	run := strings.TrimPrefix(t.Name(), "Test")
	var b strings.Builder
	fmt.Fprintf(&b, "# Scripts by use case of %s (%s)\n\nWritten by `go test ./test/conformance -run %s -update`.\n\n| section | use case | scripts |\n|---|---|---|\n", spec, version, run)
	for _, u := range cases {
		if names[u.section] == nil {
			t.Errorf("no script names %s §%s (%s)", spec, u.section, u.title)
		}
		fmt.Fprintf(&b, "| %s | %s | %s |\n", u.section, u.title, strings.Join(names[u.section], ", "))
	}
	index := "scripts/" + file
	if *update {
		if err := os.WriteFile(index, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if data, err := os.ReadFile(index); err != nil || string(data) != b.String() {
		t.Errorf("%s is not what the scripts say (%v): go test ./test/conformance -run %s -update", index, err, run)
	}
}
