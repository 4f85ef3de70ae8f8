// SPDX-License-Identifier: Apache-2.0

// Command weather is a gateway to the weather: the place is the name before the @. Write to it, or put it into your
// contacts and see.
package main

import (
	"context"
	"fmt"
	"hash/fnv"

	"github.com/stonechat-im/stonechat/component"
	"github.com/stonechat-im/stonechat/xmpp/disco"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

func weather(place string) string {
	h := fnv.New32()
	h.Write([]byte(place))
	return fmt.Sprintf("%s: %d °C", place, h.Sum32()%40)
}

func main() {
	component.Main(component.Config{
		Identity: disco.Identity{Category: "gateway", Type: "weather", Name: "Weather"},
	}, func(c *component.Component) {
		c.Handle(stanza.Message, stanza.Body("").XMLName(), func(ctx context.Context, s *stanza.Stanza) {
			answer := stanza.Text(s.Type, s.From, weather(s.To.Local()))
			answer.From = s.To
			_ = c.Send(ctx, answer)
		})
		c.HandleContacts(component.Contacts{Presence: func(_ context.Context, _, place jid.JID) component.Presence {
			return component.Presence{Status: weather(place.Local())}
		}})
	})
}
