// SPDX-License-Identifier: Apache-2.0

package control_test

import (
	"errors"
	"fmt"

	"github.com/stonechat-im/stonechat/xmpp/control"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// A thing says what can be set, and sees whether a command sets that.
func Example() {
	can := []control.Description{{Name: "Percent", Type: control.TypeInt, Label: "Output (%)", Min: "0", Max: "100"}}
	for _, value := range []int32{75, 120} {
		command := control.Set{Parameters: []control.Parameter{control.Int("Percent", value)}}
		set, err := command.Resolve(can)
		var e *stanza.Error
		if errors.As(err, &e) {
			fmt.Println(e.Condition, string(e.App.AppendXML(nil)))
			continue
		}
		fmt.Println(set[0].Name, set[0].Value)
	}
	fmt.Println(control.Form("Lamp", "", can).Field("Percent").Validate.Max)
	// Output:
	// Percent 75
	// bad-request <paramError xmlns='urn:xmpp:iot:control' var='Percent'>not above 100</paramError>
	// 100
}
