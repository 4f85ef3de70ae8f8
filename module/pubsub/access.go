// SPDX-License-Identifier: Apache-2.0

package pubsub

// How to read this file: standing is what somebody is to a node at one moment; the functions below it say what that
// allows, with the errors of XEP-0060. Who may hear of a node without asking is decided by mayHear.

import (
	"context"
	"slices"

	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/store"
	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/pubsub"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// standing is what an address is to a node.
type standing struct {
	who         jid.JID // bare
	at          store.NodeName
	affiliation store.Affiliation
	subscribed  bool // not pending
	pending     bool
	config      *pubsub.Config
	owners      []jid.JID // filled where the access model asks about them
}

// standing returns that of a bare address. n.mu is held.
func (n *node) standing(bare jid.JID) standing {
	s := standing{who: bare, at: n.name, affiliation: n.affiliation(bare), config: n.config}
	for _, sub := range n.of(bare) {
		s.subscribed = s.subscribed || !sub.pending
		s.pending = s.pending || sub.pending
	}
	switch n.config.Access {
	case pubsub.AccessPresence:
		s.owners = n.owners()
	case pubsub.AccessRoster:
		s.owners = n.keeper()
	}
	return s
}

// affiliation is what a bare address is: an account owns its nodes. n.mu is held.
func (n *node) affiliation(bare jid.JID) store.Affiliation {
	if bare == n.name.JID {
		return store.AffiliationOwner
	}
	return n.affiliations[bare]
}

// keeper is whose roster has the groups that may subscribe: the account, or who has made the node and owns it. Others may be made
// owners without their word, by somebody who wants to know in what group of theirs he is. n.mu is held.
func (n *node) keeper() []jid.JID {
	switch {
	case !n.name.JID.IsDomain():
		return []jid.JID{n.name.JID}
	case n.maker():
		return []jid.JID{n.creator}
	}
	return nil
}

// maker reports whether who has made the node owns it. n.mu is held.
func (n *node) maker() bool {
	return n.orphan == 0 && n.affiliations[n.creator] == store.AffiliationOwner
}

// owners are those of the node. n.mu is held.
func (n *node) owners() (list []jid.JID) {
	if !n.name.JID.IsDomain() {
		list = append(list, n.name.JID)
	}
	for j, a := range n.affiliations {
		if a == store.AffiliationOwner && j != n.name.JID {
			list = append(list, j)
		}
	}
	return list
}

// trusted reports whether the affiliation alone opens a node, whatever its access model.
func (s *standing) trusted() bool {
	switch s.affiliation {
	case store.AffiliationOwner, store.AffiliationPublisher:
		return true
	case store.AffiliationMember:
		return s.config.Access == pubsub.AccessWhitelist || s.config.Access == pubsub.AccessAuthorize || s.config.Access == pubsub.AccessOpen
	}
	return false
}

// access says whether the access model lets somebody subscribe or retrieve items (§4.5). That a subscription has to be
// approved is not its business. It may wait for the store.
func (m *Module) access(ctx context.Context, s *standing) error {
	switch {
	case s.affiliation == store.AffiliationOutcast, s.affiliation == store.AffiliationPublishOnly:
		return stanza.Forbidden.Err("")
	}
	if decided, err := m.readBy(ctx, s); decided {
		return err
	}
	if s.trusted() {
		return nil
	}
	switch s.config.Access {
	case pubsub.AccessPresence:
		ok, err := m.sees(ctx, s)
		if err == nil && !ok {
			err = pubsub.Err(stanza.NotAuthorized, pubsub.PresenceSubscriptionRequired, "")
		}
		return err
	case pubsub.AccessRoster:
		ok, err := m.inGroup(ctx, s)
		if err == nil && !ok {
			err = pubsub.Err(stanza.NotAuthorized, pubsub.NotInRosterGroup, "")
		}
		return err
	case pubsub.AccessWhitelist:
		return pubsub.Err(stanza.NotAllowed, pubsub.ClosedNode, "")
	}
	return nil
}

// sees reports whether somebody sees the presence of an owner.
func (m *Module) sees(ctx context.Context, s *standing) (bool, error) {
	for _, o := range s.owners {
		if m.audience == nil || !m.server.Serves(o.Domain()) {
			continue
		}
		if ok, err := m.audience.Sees(ctx, o, s.who); ok || err != nil {
			return ok, err
		}
	}
	return false, nil
}

func (m *Module) inGroup(ctx context.Context, s *standing) (bool, error) {
	for _, o := range s.owners {
		if m.audience == nil || !m.server.Serves(o.Domain()) {
			continue
		}
		groups, err := m.audience.Groups(ctx, o, s.who)
		if err != nil {
			return false, err
		}
		for _, g := range groups {
			if slices.Contains(s.config.RosterGroups, g) {
				return true, nil
			}
		}
	}
	return false, nil
}

// mayRetrieve says whether somebody may read items (§6.5.9).
func (m *Module) mayRetrieve(ctx context.Context, s *standing) error {
	if err := m.access(ctx, s); err != nil {
		return err
	}
	if s.config.Access == pubsub.AccessAuthorize && !s.trusted() && !s.subscribed {
		return pubsub.Err(stanza.NotAuthorized, pubsub.NotSubscribed, "")
	}
	return nil
}

// mayHear reports whether a subscriber, or an interested contact of an account, is told of what happens at the node.
func (m *Module) mayHear(ctx context.Context, s *standing) bool {
	return m.mayRetrieve(ctx, s) == nil
}

// mayPublish says whether somebody may publish (§7.1.3.1).
func (s *standing) mayPublish() error {
	switch {
	case s.affiliation == store.AffiliationOutcast:
	case s.affiliation >= store.AffiliationPublishOnly:
		return nil
	case s.config.Publish == pubsub.PublishOpen:
		return nil
	case s.config.Publish == pubsub.PublishSubscribers && s.subscribed:
		return nil
	}
	return stanza.Forbidden.Err("")
}

// mayOwn says whether somebody may do what owners may.
func (s *standing) mayOwn() error {
	if s.affiliation != store.AffiliationOwner {
		return stanza.Forbidden.Err("")
	}
	return nil
}

// mayRemove says whether somebody may retract an item (§7.2.3.1): owners any, others their own.
func (s *standing) mayRemove(i *store.Item) error {
	if s.affiliation == store.AffiliationOwner || s.mayPublish() == nil && i.Publisher == s.who {
		return nil
	}
	return stanza.Forbidden.Err("")
}

// mayCreate says whether somebody may make a node of the service.
func (m *Module) mayCreate(bare jid.JID) error {
	switch m.config.Load().Create {
	case Everybody:
		return nil
	case Accounts:
		if m.server.Serves(bare.Domain()) && !bare.IsDomain() && !isGuest(m.server, bare) {
			return nil
		}
	}
	return stanza.Forbidden.Err("nodes are made here by others")
}

func isGuest(s *server.Server, bare jid.JID) bool {
	u, release, ok := s.Lookup(bare)
	if !ok {
		return false
	}
	defer release()
	return u.Guest()
}

// reachable says which access models make sense at a node of that address.
func (m *Module) reachable(c *pubsub.Config) error {
	if m.audience == nil && (c.Access == pubsub.AccessPresence || c.Access == pubsub.AccessRoster) {
		return pubsub.Err(stanza.NotAcceptable, pubsub.UnsupportedAccessModel, "")
	}
	return nil
}

// defaults are those of a node of the service.
func defaults(c *pubsub.Config) {
	*c = pubsub.Config{
		Access: pubsub.AccessOpen, Publish: pubsub.PublishPublishers, Subscribe: true,
		Persist: true, MaxItems: 20, MaxPayload: pubsub.Max, NodeFull: pubsub.RetractOldest,
		DeliverNotifications: true, DeliverPayloads: true, Notification: pubsub.NotifyHeadline,
		NotifyDelete: true, NotifyRetract: true, SendLast: pubsub.SendOnPresence, ItemReply: pubsub.ReplyNone,
	}
}

// accountDefaults are those of a node of an account. XEP-0163 §3
func accountDefaults(c *pubsub.Config) {
	defaults(c)
	c.Access, c.MaxItems = pubsub.AccessPresence, 1
	c.NotifyRetract, c.ItemReply = false, pubsub.ReplyPublisher
}

// defaultsOf are those of a node of that address.
func defaultsOf(at jid.JID) *pubsub.Config {
	c := new(pubsub.Config)
	if at.IsDomain() {
		defaults(c)
	} else {
		accountDefaults(c)
	}
	return c
}
