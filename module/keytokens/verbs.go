// SPDX-License-Identifier: Apache-2.0

package keytokens

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/server/chat"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

func (m *Module) addVerbs() {
	m.service.Verb(chat.Verb{Name: "tokens", Help: "lists the tokens that you were given for your keys", Do: m.sayTokens})
	m.service.Verb(chat.Verb{Name: "withdraw", Usage: "TOKEN", Help: "takes one of your tokens back: nobody may do anything by it any more", Do: m.sayWithdraw})
}

// none is said to who has no tokens.
const none = "You have none."

func (m *Module) sayTokens(t *server.Turn, msg *chat.Message, args []string) (string, error) {
	if len(args) > 0 {
		return "", chat.ErrUsage
	}
	list, err := m.tokensOf(context.Background(), msg.Who(), t.Now)
	switch {
	case err != nil:
		return "", err
	case len(list) == 0:
		return none, nil
	}
	b := new(strings.Builder)
	for i := range list {
		x := &list[i]
		fmt.Fprintf(b, "%s: %s, until %s\n", x.Token, called(x.Name), x.Expires.Format(time.DateOnly))
	}
	b.WriteString("\"withdraw TOKEN\" takes one back.")
	return b.String(), nil
}

// called is the name in a certificate.
func called(name string) string {
	if name == "" {
		return "a key without a name"
	}
	return "the key of " + name
}

func (m *Module) sayWithdraw(_ *server.Turn, msg *chat.Message, args []string) (string, error) {
	if len(args) != 1 {
		return "", chat.ErrUsage
	}
	return m.withdraw(context.Background(), msg.Who(), args[0])
}

// withdraw takes a token back from who has it, and returns what to say when that holds.
func (m *Module) withdraw(ctx context.Context, who jid.JID, token string) (string, error) {
	err := fmt.Errorf("token of %s: %w", who, store.ErrNotFound)
	if m.server.Serves(who.Domain()) && !who.IsDomain() && len(token) <= store.MaxKeyToken {
		err = m.store.Commit(store.RemoveKeyToken{Account: who, Token: token}).Wait(ctx)
	}
	switch {
	case errors.Is(err, store.ErrNotFound):
		return "", stanza.ItemNotFound.Err("you have no such token")
	case err != nil:
		return "", err
	}
	m.metrics.removed.Inc()
	return "Nobody may do anything by that token any more. Its key gets another one if it is shown again.", nil
}
