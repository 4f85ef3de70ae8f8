// SPDX-License-Identifier: Apache-2.0

package thing_test

import (
	"encoding/json"
	"testing"

	"github.com/stonechat-im/stonechat/thing"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/jsonmsg"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// FuzzFields: whatever a thing reports, each of its values has a kind, and all of it can be said in JSON.
func FuzzFields(f *testing.F) {
	for _, seed := range []string{
		`[{"n":"temperature","u":"Cel","v":21.5,"t":1700000000.125}]`, `[{"bn":"a","bt":1e300,"v":-0},{"n":"b","vb":false},{"vs":"","bu":"W"},{}]`,
		`[{"n":"x","v":1,"t":1e18}]`, `{}`, `[null]`, `[{"v":1e999}]`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		s := stanza.New(stanza.Message, stanza.Chat, jid.MustParse("a@b"), &jsonmsg.Payload{Datatype: thing.Datatype, JSON: data})
		fields, err := thing.FieldsOf(s)
		if err != nil {
			return
		}
		for _, x := range fields {
			if x.Value.Kind() == 0 || x.String() == "" {
				t.Fatalf("%s made %+v", data, x)
			}
			if _, err := json.Marshal(x.Time); err != nil {
				t.Fatalf("%s made %v: %v", data, x.Time, err)
			}
			if _, err := json.Marshal(x.Value.Number()); err != nil {
				t.Fatalf("%s made %v: %v", data, x.Value, err)
			}
		}
	})
}
