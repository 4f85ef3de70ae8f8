// SPDX-License-Identifier: Apache-2.0

//go:build linux

package federation

import (
	"strings"
	"testing"

	"github.com/stonechat-im/stonechat/test/conformance"
)

// TestRefusals has a server that shows a bad certificate, and one that insists on good ones: nothing passes, in neither
// direction, and who refused can read why in its log.
func TestRefusals(t *testing.T) {
	script, err := conformance.Load("scripts-refused/refused.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range []kindOf{expired, wrongName, untrusted} {
		for _, x := range []struct{ strict, bad software }{{stonechat(), prosody()}, {stonechat(), ejabberd()}, {stonechat(), stonechat()}, {prosody(), stonechat()}, {ejabberd(), stonechat()}} {
			t.Run(x.strict.name+" refuses "+x.bad.name+" "+string(kind), func(t *testing.T) {
				t.Parallel()
				b := newBed(t)
				strict := b.add(x.strict, "verona.example", setting{})
				bad := b.add(x.bad, "mantua.example", setting{certificate: kind, lenient: true})
				b.start()
				for _, way := range [][2]*server{{strict, bad}, {bad, strict}} {
					server := pair(way[0], way[1])
					server.Timeout *= 2 // until the server gives up
					if dialogue, err := script.Play(server, conformance.Transports()[0]); err != nil {
						t.Errorf("from %s: %v\n%s", way[0].name, err, strings.Join(dialogue, "\n"))
					}
				}
				if x.strict.name != "stonechat" {
					return // what others write in their logs is theirs
				}
				log := strict.log()
				for _, word := range strict.reasons[kind] {
					if strings.Contains(log, word) {
						return
					}
				}
				t.Errorf("the log has none of %q", strict.reasons[kind])
			})
		}
	}
}
