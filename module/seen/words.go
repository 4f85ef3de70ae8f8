// SPDX-License-Identifier: Apache-2.0

package seen

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/server/chat"
	"github.com/stonechat-im/stonechat/store"
)

// Verb is what people say to the service of things to hear which of theirs are away.
func (m *Module) Verb() chat.Verb {
	return chat.Verb{Name: "offline", Usage: "[GROUP]", Help: "lists those of your things that are not there, since when and why", Do: m.sayOffline}
}

func (m *Module) sayOffline(t *server.Turn, q *chat.Message, args []string) (string, error) {
	if len(args) > 1 {
		return "", chat.ErrUsage
	}
	f := store.ThingFilter{Owner: q.Who()}
	if len(args) == 1 {
		f.Group = args[0]
	}
	var away []string
	all := 0
	for {
		page, err := m.store.ListThings(context.Background(), f)
		if err != nil {
			return "", err
		}
		if len(page) == 0 {
			break
		}
		f.After = page[len(page)-1].Row
		for i := range page {
			x := &page[i]
			if x.ID != "" {
				continue // it is there as whatever it is behind
			}
			all++
			s, err := m.Now(context.Background(), x.JID)
			if err != nil && !errors.Is(err, store.ErrNotFound) {
				return "", err
			}
			if s.State != store.Online {
				away = append(away, called(x)+": "+Words(s, t.Now))
			}
		}
	}
	switch {
	case all == 0:
		return "You have no such things.", nil
	case len(away) == 0:
		return fmt.Sprintf("All %d are there.", all), nil
	}
	return fmt.Sprintf("%d of %d are not there:\n%s", len(away), all, strings.Join(away, "\n")), nil
}

func called(x *store.Thing) string {
	if x.Label != "" {
		return x.Label
	}
	return x.JID.Local()
}

// Words is a state as people read it.
func Words(s store.Seen, now time.Time) string {
	at := func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05Z") }
	switch s.State {
	case store.Online:
		return "online since " + at(s.Since)
	case store.Unsteady:
		return "unsteady since " + at(s.Since)
	case store.Sleeping:
		if now.After(s.Until) {
			return "asleep, and should have woken at " + at(s.Until)
		}
		return "asleep until " + at(s.Until)
	case store.Offline:
		text := "offline since " + at(s.Since)
		if s.Reason != "" {
			text += " (" + s.Reason + ")"
		}
		return text
	}
	return "never seen"
}
