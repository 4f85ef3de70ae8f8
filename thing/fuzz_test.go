// SPDX-License-Identifier: Apache-2.0

package thing_test

import (
	"encoding/json"
	"fmt"
	"hash/crc32"
	"testing"

	"github.com/stonechat-im/stonechat/thing"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/jsonmsg"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// FuzzJournal holds that whatever a disk has made of the file, what is read of it can be written
// and read again.
func FuzzJournal(f *testing.F) {
	const kept = `{"id":"x","at":"2000-01-01T00:00:00Z","fields":[{"n":"a","v":1,"t":946684800},{"n":"b","vs":"c"}]}`
	whole := fmt.Sprintf("+ 7 %08x %s\n", crc32.ChecksumIEEE([]byte(kept)), kept)
	if n, _, err := thing.Reread([]byte(whole)); n != 1 || err != nil {
		f.Fatalf("%d readings, %v", n, err)
	}
	f.Add([]byte(whole + "- 8\n"))
	f.Add([]byte(whole + "- 7\n"))
	f.Add([]byte(whole + "\x00\x00\n- \n+"))
	f.Fuzz(func(t *testing.T, data []byte) {
		first, second, err := thing.Reread(data)
		if err != nil || first != second {
			t.Errorf("%d readings, then %d: %v", first, second, err)
		}
	})
}

// FuzzFieldsOf holds that what anybody writes for a reading is a reading or an error.
func FuzzFieldsOf(f *testing.F) {
	f.Add(`[{"bn":"dev:","bt":1320067464,"bu":"W"},{"n":"p","v":3,"t":0.5},{"n":"q","vs":"4"}]`)
	f.Add(`[{"n":"a","v":1e999}]`)
	f.Add(`[{"n":"x","v":1,"t":1e18}]`)
	f.Fuzz(func(t *testing.T, pack string) {
		s := stanza.New(stanza.Message, stanza.Chat, jid.MustParse(owner), &jsonmsg.Payload{Datatype: thing.Datatype, JSON: []byte(pack)})
		fields, err := thing.FieldsOf(s)
		if err != nil && fields != nil {
			t.Errorf("%v beside %v", fields, err)
		}
		for _, x := range fields {
			if x.Value.Kind() == 0 {
				t.Errorf("a field without a value: %v", x)
			}
			if _, err := json.Marshal(x.Time); err != nil { // stonechat listen says it like that
				t.Errorf("a time that is none: %v", err)
			}
		}
	})
}
