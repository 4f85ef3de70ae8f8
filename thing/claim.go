// SPDX-License-Identifier: Apache-2.0

package thing

// How to read this file: a thing without an owner registers with a key (seekOwner) and shows it (Claim). The registry says when
// somebody has claimed it by that (claimedBy), and when he has given it up (disowned): then the key is a new one, and all begins
// again. So it is with a thing that was given its owner, from when the registry first speaks of it. life is what of this outlives a restart.

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/registry"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// Claim is how a thing that has no owner is claimed: whoever knows it can, once. XEP-0347 §3.9
type Claim struct {
	Code string // IoTDisco;SN:…;KEY:…, for programs that know XEP-0347
	Chat string // xmpp:things.DOMAIN?message;body=claim…, which a messenger opens
}

// life is what a thing knows of its owner.
type life struct {
	Account string `json:"account"`           // whose life it is
	Key     string `json:"key"`               // that it is claimed by
	Owner   string `json:"owner"`             // "" is nobody
	Settled bool   `json:"settled,omitempty"` // by the registry, whose word counts: also where the configuration says something else
	Former  bool   `json:"former,omitempty"`  // what is published is a former owner's
}

func lifeFile(state string) string { return filepath.Join(state, "owner") }

// restoreLife takes up what is known of the owner.
func (t *Thing) restoreLife(c *Config) error {
	data, err := os.ReadFile(lifeFile(c.State))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("thing: reading who its owner is: %w", err)
	}
	var l life
	if err := json.Unmarshal(data, &l); err != nil || l.Account != c.Client.Account.Bare().String() {
		t.log.Warn("what is kept of an owner is not this thing's", "err", err)
		return nil
	}
	t.key, t.settled = l.Key, l.Settled || l.Owner != ""
	if !t.settled {
		return nil
	}
	t.publisher.outdate(l.Former)
	var owner jid.JID
	if l.Owner != "" {
		if owner, err = jid.Parse(l.Owner); err != nil {
			return fmt.Errorf("thing: its owner in %s is no address: %w", lifeFile(c.State), err)
		}
	}
	if !c.Owner.IsZero() && owner != c.Owner {
		t.log.Warn("its owner is who the registry has said, not the configuration", "jid", l.Owner)
	}
	t.owner = owner
	return nil
}

// keepLife has the owner and the key outlive a power cut. The caller holds mu.
func (t *Thing) keepLife() error {
	if t.config.State == "" {
		return nil
	}
	owner := ""
	if !t.owner.IsZero() {
		owner = t.owner.String()
	}
	data, err := json.Marshal(life{t.account().String(), t.key, owner, t.settled, t.publisher.isFormer()})
	if err != nil {
		return err
	}
	return replaceLasting(lifeFile(t.config.State), data)
}

// replaceLasting puts a file that a power cut does not take in the place of an old one.
func replaceLasting(name string, data []byte) error {
	err := writeLasting(name+".new", data)
	if err == nil {
		err = os.Rename(name+".new", name)
	}
	if err == nil {
		err = syncFolder(filepath.Dir(name))
	}
	return err
}

func (t *Thing) serveRegistry() {
	t.client.HandleSession(func(context.Context) { t.seekOwner() })
	t.client.HandleIQ(stanza.Set, (*registry.Claimed)(nil).XMLName(), t.fromRegistry(func(s *stanza.Stanza) error {
		var c registry.Claimed
		if _, err := s.Decode(&c); err != nil {
			return err
		}
		if !c.Node.IsZero() {
			return stanza.ItemNotFound.Err("")
		}
		return t.claimedBy(c.JID)
	}))
	t.client.HandleIQ(stanza.Set, (*registry.Disowned)(nil).XMLName(), t.fromRegistry(func(s *stanza.Stanza) error {
		var d registry.Disowned
		if _, err := s.Decode(&d); err != nil {
			return err
		}
		if !d.Node.IsZero() {
			return stanza.ItemNotFound.Err("")
		}
		return t.disowned()
	}))
	t.client.HandleIQ(stanza.Set, (*registry.Removed)(nil).XMLName(), t.fromRegistry(func(*stanza.Stanza) error { return nil }))
}

// fromRegistry hears the registry, and nobody else.
func (t *Thing) fromRegistry(f func(*stanza.Stanza) error) func(context.Context, *stanza.Stanza) (stanza.Payload, error) {
	return func(_ context.Context, s *stanza.Stanza) (stanza.Payload, error) {
		if s.From.Bare() != t.config.Registry {
			return nil, t.refuse(s.From)
		}
		return nil, f(s)
	}
}

// seekOwner registers the thing, if it has no owner, until that has succeeded.
func (t *Thing) seekOwner() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.owner.IsZero() || t.seeking {
		return
	}
	t.seeking = true
	t.background(func() {
		wait := 10 * time.Second
		for t.life.Err() == nil && t.Owner().IsZero() {
			err := t.register(t.life)
			if err == nil {
				break
			}
			t.log.Error("it cannot be claimed: the registry does not take it", "to", t.config.Registry.String(), "err", err, "retry", wait)
			select {
			case <-time.After(wait):
			case <-t.life.Done():
			}
			wait = min(2*wait, 10*time.Minute)
		}
		t.mu.Lock()
		defer t.mu.Unlock()
		t.seeking = false
	})
}

// register tells the registry what the thing is. XEP-0347 §3.6
func (t *Thing) register(ctx context.Context) error {
	if t.config.Tell&ToFollowers != 0 {
		if err := t.unpublish(ctx); err != nil {
			return fmt.Errorf("what a former owner could see is still published: %w", err)
		}
	}
	key, err := t.ensureKey()
	if err != nil {
		return err
	}
	tags := t.tags(key)
	answer, err := t.client.IQ(ctx, t.config.Registry, stanza.Set, &registry.Register{Tags: tags})
	if err != nil {
		return err
	}
	var c registry.Claimed
	if found, err := answer.Decode(&c); found && err == nil {
		return t.claimedBy(c.JID)
	}
	t.log.Info("registered: it waits for an owner", "to", t.config.Registry.String())
	// What the server notes of a thing's presence, it notes of one that it knows: it is told again.
	if err := t.announce(ctx); err != nil {
		t.log.Error("presence not sent", "err", err)
	}
	t.show(registry.URI{Registry: t.config.Registry, Tags: tags}, key)
	return nil
}

// ensureKey is the key that the thing is claimed by. It is on the disk before anybody is told.
func (t *Thing) ensureKey() (string, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.key != "" {
		return t.key, nil
	}
	t.key = rand.Text()
	if err := t.keepLife(); err != nil {
		t.key = ""
		return "", fmt.Errorf("thing: keeping its key: %w", err)
	}
	return t.key, nil
}

// tags are what the registry is told.
func (t *Thing) tags(key string) registry.Tags {
	c := &t.config
	tags := append(registry.Tags(nil), c.Tags...)
	add := func(name, value string) {
		if _, has := tags.Get(name); has || value == "" {
			return
		}
		tags = append(tags, registry.Str(name, value))
	}
	add(registry.MAN, c.Maker)
	add(registry.MODEL, c.Model)
	add(registry.SN, c.Serial)
	if v, err := strconv.ParseFloat(c.Version, 64); err == nil {
		tags = append(tags, registry.Num(registry.V, v))
	} else {
		add("VERSION", c.Version) // V is a number
	}
	add(registry.KEY, key)
	return tags
}

// onOffer reports whether it is known how the thing is claimed.
func (t *Thing) onOffer() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.key != "" && t.shown == t.key
}

// show shows how the thing is claimed, once for each key.
func (t *Thing) show(u registry.URI, key string) {
	t.mu.Lock()
	again := t.shown == key
	t.shown = key
	t.mu.Unlock()
	if t.config.Claim != nil && !again {
		t.config.Claim(Claim{Code: u.String(), Chat: u.Chat()})
	}
}

// claimedBy takes an owner.
func (t *Thing) claimedBy(owner jid.JID) error {
	owner = owner.Bare()
	if owner.IsZero() || owner.IsDomain() || owner == t.account() {
		return stanza.BadRequest.Err("an owner is the address of an account")
	}
	t.mu.Lock()
	before := t.owner
	err := t.pass(owner)
	t.mu.Unlock()
	switch {
	case err != nil:
		t.log.Error("its owner is not kept", "err", err)
		return stanza.InternalServerError.Err("")
	case before == owner:
		return nil
	}
	t.log.Info("claimed", "by", owner.String())
	if t.publisher.isFormer() {
		t.background(t.unpublishGiven)
	}
	if owner.Domain() != t.account().Domain() {
		// Nobody else has made them see each other.
		t.background(func() {
			if err := errors.Join(t.client.Approve(t.life, owner), t.client.Subscribe(t.life, owner)); err != nil {
				t.log.Error("the owner is not asked to be seen", "err", err)
			}
		})
	}
	if f := t.config.Claimed; f != nil {
		t.background(func() { f(owner) })
	}
	return nil
}

// unpublishGiven deletes what was published for one owner when there is the next, though nothing is published for him yet.
func (t *Thing) unpublishGiven() {
	for wait := publishAgain; ; wait = min(2*wait, publishSeldom) {
		ctx, cancel := context.WithTimeout(t.life, publishTime) // it waits in the client for a connection
		err := t.unpublishFormer(ctx)
		cancel()
		if err == nil || t.life.Err() != nil {
			return
		}
		t.log.Error("what a former owner could see is still published", "err", err, "retry", wait)
		select {
		case <-time.After(wait):
		case <-t.life.Done():
		}
	}
}

// disowned loses the owner.
func (t *Thing) disowned() error {
	t.mu.Lock()
	before := t.owner
	err := t.pass(jid.JID{})
	t.mu.Unlock()
	switch {
	case err != nil:
		t.log.Error("that it has no owner is not kept", "err", err)
		return stanza.InternalServerError.Err("")
	case before.IsZero():
		return nil
	}
	t.log.Info("disowned")
	if f := t.config.Claimed; f != nil {
		t.background(func() { f(jid.JID{}) })
	}
	t.seekOwner()
	return nil
}

// pass makes the thing who the registry says it is of, zero for nobody. What was measured and noted for one owner is not told to the
// next. The caller holds mu.
func (t *Thing) pass(owner jid.JID) error {
	before, key, settled, former := t.owner, t.key, t.settled, t.publisher.isFormer()
	if owner == before && (settled || owner.IsZero()) {
		return nil
	}
	if t.settled = true; owner != before {
		t.owner, t.key = owner, "" // the key is used up
		if !before.IsZero() && !owner.IsZero() && t.config.Tell&ToFollowers != 0 {
			t.publisher.outdate(true) // by one owner to the next, who is not shown what was measured for the other
		}
	}
	err := t.keepLife()
	if err == nil && owner != before {
		t.publisher.take()
		err = t.ring.reopen(t.config.State, owner)
	}
	if err != nil {
		t.owner, t.key, t.settled = before, key, settled
		t.publisher.outdate(former)
	}
	if err != nil || owner == before {
		return err
	}
	t.access.forget()
	t.watchers.begin()
	for _, b := range t.bodies {
		b.messages = nil
	}
	return nil
}
