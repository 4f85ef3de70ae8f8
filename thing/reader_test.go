// SPDX-License-Identifier: Apache-2.0

package thing_test

import (
	"context"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stonechat-im/stonechat/client"
	"github.com/stonechat-im/stonechat/client/tokens"
	"github.com/stonechat-im/stonechat/internal/testserver"
	"github.com/stonechat-im/stonechat/thing"
	"github.com/stonechat-im/stonechat/xmpp/control"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/sensordata"
)

// What a reader asks bears the token that it was given, beside those that it is asked to send; and none before.
func TestReaderBears(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, c := readersClient(t)
		r, held := thing.NewReader(c), tokens.New(c)
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		defer func() {
			_ = c.Close()
			n.Close()
		}()
		p := n.Accept()
		p.Session("s")
		lamp := jid.MustParse("lamp@example.org/x")
		asks := func(f func(ctx context.Context) error, want string) {
			t.Helper()
			done := make(chan error)
			go func() { done <- f(t.Context()) }()
			id := p.Expect("<iq to='lamp@example.org/x' id='([^']+)' type='[gs]et'>" + want + ".*")[1]
			p.Say("<iq from='lamp@example.org/x' id='%s' type='error'><error type='cancel'><forbidden xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>", id)
			if err := <-done; err == nil {
				t.Error("what is refused is done")
			}
		}
		set := &control.Set{Parameters: []control.Parameter{{Name: "on", Type: control.TypeBoolean, Value: "true"}}}
		reads := func(ctx context.Context) error {
			_, err := r.Read(ctx, lamp, sensordata.Request{Tokens: sensordata.Tokens{Device: "other", User: "u"}})
			return err
		}
		sets := func(ctx context.Context) error { _, err := r.Set(ctx, lamp, set); return err }
		forms := func(ctx context.Context) error { _, err := r.Form(ctx, lamp); return err }
		asks(reads, "<req xmlns='urn:xmpp:iot:sensordata' seqnr='[^']+' deviceToken='other' userToken='u'")
		asks(sets, "<set xmlns='urn:xmpp:iot:control'>")
		r.Bear(held, "t0ken")
		asks(reads, "<req xmlns='urn:xmpp:iot:sensordata' seqnr='[^']+' deviceToken='other t0ken' userToken='u'")
		asks(sets, "<set xmlns='urn:xmpp:iot:control' deviceToken='t0ken'>")
		asks(forms, "<getForm xmlns='urn:xmpp:iot:control' deviceToken='t0ken'/>")
		if set.Tokens != (sensordata.Tokens{}) {
			t.Errorf("the caller's own request was changed: %+v", set.Tokens)
		}
	})
}

// readersClient is a client for a reader, that is not started, and the network on which its server is.
func readersClient(t *testing.T) (*testserver.Network, *client.Client) {
	t.Helper()
	n := testserver.NewNetwork(t, testserver.Options{})
	c, err := client.New(client.Config{
		Account: jid.MustParse(testserver.Account), Password: testserver.Password, Address: "x:1", WithoutTLS: true, RequestTime: time.Second,
		Dial: func(ctx context.Context, _, _ string) (net.Conn, error) { return n.Dial(ctx.Done()) },
	})
	if err != nil {
		t.Fatal(err)
	}
	return n, c
}
