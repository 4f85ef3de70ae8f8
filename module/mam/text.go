// SPDX-License-Identifier: Apache-2.0

package mam

import (
	"context"
	"time"

	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

const (
	indexLag  = 2 * time.Second // until then a message may still be told of for its second archive
	indexRows = 100
)

// index puts the texts of what has come since the last time into the index. Where it stopped the store knows, so that it goes on
// from there after a restart.
func (m *Module) index(ctx context.Context, now time.Time) error {
	if !m.config.Load().FullText {
		return nil
	}
	// What has a lower number than that is in the store then: what the index has passed it does not look at again.
	if err := m.settle(ctx, nil); err != nil {
		return err
	}
	for {
		page, err := m.store.Unindexed(ctx, now.Add(-indexLag).UnixMicro(), indexRows)
		if err != nil || len(page) == 0 {
			return err
		}
		op := store.IndexArchived{UpTo: page[len(page)-1].Seq}
		for _, row := range page {
			if s, err := stanza.Parse(row.Stanza); err == nil {
				if text := textOf(s); text != "" {
					op.Texts = append(op.Texts, store.ArchivedText{Seq: row.Seq, Text: text})
				}
			}
		}
		if err := m.slice(ctx, op); err != nil {
			return err
		}
	}
}

// textOf is what people have written in a message: subject and body, in all languages.
func textOf(s *stanza.Stanza) string {
	text := ""
	for i := range s.Len() {
		space, local, ok := s.Child(i)
		if ok && string(space) == stanza.NSClient && (string(local) == "body" || string(local) == "subject") {
			text += s.Reader(i).Text() + "\n"
		}
	}
	return text
}
