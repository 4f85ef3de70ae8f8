// SPDX-License-Identifier: Apache-2.0

package thing_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stonechat-im/stonechat/thing"
	"github.com/stonechat-im/stonechat/xmpp/concentrator"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// A reader is told what happens to the nodes that it watches: by who has them, of that source, until either side leaves; and why not.
func TestWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, c := readersClient(t)
		r := thing.NewReader(c)
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		defer func() {
			_ = c.Close()
			n.Close()
		}()
		p := n.Accept()
		p.Session("s")
		bus := jid.MustParse("bus@example.org/x")
		var told string
		watch := thing.Watch{Told: func(from jid.JID, e *concentrator.Event) {
			if from != bus {
				t.Errorf("told by %s", from)
			}
			told += e.Info.Node.ID + " "
		}}
		// asks is what a call makes of an answer to what it asks.
		asks := func(f func(ctx context.Context) error, want, answer string) error {
			t.Helper()
			done := make(chan error)
			go func() { done <- f(t.Context()) }()
			id := p.Expect("<iq to='bus@example.org/x' id='([^']+)' type='set'>" + want + "</iq>")[1]
			p.Say("<iq from='bus@example.org/x' id='%s' type='result'>%s</iq>", id, answer)
			return <-done
		}
		watches := func(w thing.Watch, want, result string) error {
			t.Helper()
			return asks(func(ctx context.Context) error { return r.Watch(ctx, bus, w) }, "<subscribe xmlns='urn:xmpp:iot:concentrators' "+want+"/>",
				"<subscribeResponse xmlns='urn:xmpp:iot:concentrators' result='"+result+"'/>")
		}
		happens := func(from, what string) string {
			t.Helper()
			told = ""
			p.Say("<message from='%s' type='headline'>%s</message>", from, what)
			synctest.Wait()
			return told
		}
		const removed = "<nodeRemoved xmlns='urn:xmpp:iot:concentrators' nodeId='a' sourceId='MeteringTopology'/>"
		const both = "<nodeStatusChanged xmlns='urn:xmpp:iot:concentrators' nodeId='b' sourceId='MeteringTopology' state='Broken'/>" + removed +
			"<nodeMovedUp xmlns='urn:xmpp:iot:concentrators' nodeId='c' sourceId='MeteringTopology'/>"

		for result, want := range map[string]stanza.Condition{"NotFound": stanza.ItemNotFound, "InsufficientPrivileges": stanza.Forbidden,
			"NotImplemented": stanza.FeatureNotImplemented, "OtherError": stanza.UndefinedCondition} {
			var refused *stanza.Error
			if err := watches(watch, "sourceId='MeteringTopology'", result); !errors.As(err, &refused) || refused.Condition != want {
				t.Errorf("%s is %v", result, err)
			}
		}
		if got := happens("bus@example.org/x", removed); got != "" {
			t.Errorf("though refused: %s", got)
		}
		if err := watches(watch, "sourceId='MeteringTopology'", "OK"); err != nil {
			t.Fatal(err)
		}
		if got := happens("bus@example.org/x", both); got != "a c " { // and not what cannot be read
			t.Errorf("told %q", got)
		}
		for _, x := range [][2]string{
			{"bus@example.org/y", removed}, {"bus@example.org", removed}, {"mallory@example.org/x", removed},
			{"bus@example.org/x", strings.ReplaceAll(removed, "MeteringTopology", "other")},
		} {
			if got := happens(x[0], x[1]); got != "" {
				t.Errorf("of %s: %q", x, got)
			}
		}
		since := watch
		since.Source, since.Messages, since.Without, since.Since = "other", true, concentrator.NodeMovedUp|concentrator.NodeMovedDown, time.Date(2000, 1, 1, 0, 0, 0, 5e8, time.UTC)
		asked := "sourceId='other' messages='true' getEventsSince='2000-01-01T00:00:00.5Z' nodeMovedUp='false' nodeMovedDown='false'"
		if err := watches(since, asked, "NotImplemented"); !errors.Is(err, thing.ErrForgotten) {
			t.Errorf("what is forgotten is %v", err)
		}
		if err := watches(since, asked, "OK"); err != nil {
			t.Fatal(err)
		}
		if got := happens("bus@example.org/x", removed+strings.ReplaceAll(removed, "MeteringTopology", "other")); got != "a a " {
			t.Errorf("told %q", got)
		}
		// What is refused leaves what was.
		if err := watches(since, asked, "NotImplemented"); err == nil {
			t.Error("nothing")
		}
		if got := happens("bus@example.org/x", strings.ReplaceAll(removed, "MeteringTopology", "other")); got != "a " {
			t.Errorf("told %q", got)
		}
		if err := asks(func(ctx context.Context) error { return r.Unwatch(ctx, bus, "other") }, "<unsubscribe xmlns='urn:xmpp:iot:concentrators' sourceId='other'/>",
			"<unsubscribeResponse xmlns='urn:xmpp:iot:concentrators' result='OK'/>"); err != nil {
			t.Error(err)
		}
		if got := happens("bus@example.org/x", removed+strings.ReplaceAll(removed, "MeteringTopology", "other")); got != "a " {
			t.Errorf("told %q", got)
		}
		p.Say("<presence from='bus@example.org/x' type='unavailable'/>")
		if got := happens("bus@example.org/x", removed); got != "" {
			t.Errorf("by who has left: %q", got)
		}
		if err := r.Watch(t.Context(), jid.MustParse("nobody@example.org"), watch); err == nil {
			t.Error("who is not there is watched")
		}
	})
}
