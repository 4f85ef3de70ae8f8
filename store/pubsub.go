// SPDX-License-Identifier: Apache-2.0

package store

import (
	"context"
	"fmt"
	"time"

	"github.com/stonechat-im/stonechat/xmpp/jid"
)

// Pubsub reads the topic "pubsub": nodes, those who have to do with them, and what was published. A node belongs to
// an address: that of an account, with which it goes, or of a service. XEP-0060
type Pubsub interface {
	// Node returns a node with everybody who has to do with it and its last item, or ErrNotFound.
	Node(ctx context.Context, name NodeName) (NodeState, error)
	// Nodes returns a page of the nodes of an address, those whose names come behind after in byte order.
	Nodes(ctx context.Context, at jid.JID, after string, limit int) ([]Node, error)
	// NodeNames returns the names of all nodes of up to MaxNodeOwners addresses, or ErrTooLarge where they are more
	// than MaxPage.
	NodeNames(ctx context.Context, at []jid.JID) ([]NodeName, error)
	// NodeCount returns how many nodes an address has and how many subscriptions these have.
	NodeCount(ctx context.Context, at jid.JID) (nodes, subscriptions int, err error)
	// NodesMade returns how many nodes of an address the account or other bare address who has made, whoever owns them now. Those that
	// have moved are none, nor are those of a deleted account of that name.
	NodesMade(ctx context.Context, at, who jid.JID) (int, error)
	// NodeBytes returns how many bytes all nodes of one maker have: Node.Bytes and Item.Bytes of each.
	NodeBytes(ctx context.Context, of NodeMaker) (int64, error)
	// PurgesOffline reports whether there is any node with PurgeOffline.
	PurgesOffline(ctx context.Context) (bool, error)
	// TemporaryNodes returns a page of the nodes that have temporary subscriptions, those behind after, by address and
	// name in byte order.
	TemporaryNodes(ctx context.Context, after NodeName, limit int) ([]NodeName, error)
	// Memberships returns what a bare address is to the nodes of an address, those whose names come behind after, a
	// page of nodes.
	Memberships(ctx context.Context, at, who jid.JID, after string, limit int) ([]Membership, error)
	// Items returns items of a node; none of a node that does not exist.
	Items(ctx context.Context, name NodeName, q ItemQuery) ([]Item, error)
	// ItemCount returns how many items a node has.
	ItemCount(ctx context.Context, name NodeName) (int, error)
	// ItemsOver returns which items go, the oldest first, where items of these ids are published at a node that keeps so
	// many, and how many it has besides those of these ids. More than MaxPage are not returned.
	ItemsOver(ctx context.Context, name NodeName, ids []string, keep int) (held int, over []string, err error)
	// BytesOver returns Item.Bytes of what goes where items of these ids are published at a node that keeps so many: those
	// with one of the ids, and the oldest. Of the oldest no more than MaxPage count.
	BytesOver(ctx context.Context, name NodeName, ids []string, keep int) (int64, error)
	// ItemPlace returns how many items of a node are older than the one of that id, or ErrNotFound.
	ItemPlace(ctx context.Context, name NodeName, id string) (int, error)
	// FindNodes returns a page of the nodes of an address with how much belongs to them, by their names in byte order. An
	// empty page is the end.
	FindNodes(ctx context.Context, q NodeQuery) ([]NodeEntry, error)
}

// NodeQuery says which nodes.
type NodeQuery struct {
	At        jid.JID
	After     string // those whose names come behind it
	Find      string // those with this text in the name, the case of ASCII letters apart; "" is all
	Ownerless bool   // those that have no owner, whose last one's account was deleted
	Limit     int
}

// NodeEntry is what an operator's list has of a node.
type NodeEntry struct {
	Node
	Items, Owners, Subscriptions int
}

// MaxNodeOwners are the addresses of which NodeNames reads at once.
const MaxNodeOwners = 64

// NodeName names a node of an address.
type NodeName struct {
	JID  jid.JID
	Node string
}

func (n NodeName) String() string { return n.JID.String() + " " + n.Node }

// Node is a node without what belongs to it.
type Node struct {
	Name    NodeName
	Created time.Time // in UTC, kept to the microsecond
	Creator jid.JID   // bare
	Config  []byte    // the module's own
	// Expire is how long items are kept, to the second; 0 is for ever. ExpireItems goes by it.
	Expire time.Duration
	// PurgeOffline says that PurgePublisher removes items of the node.
	PurgeOffline bool
	// Moved is where the node has gone: then it is no node any more, but this note. "" for a node.
	Moved string
	// Orphan is not 0 once the account that was the Creator is deleted. It tells what that had made from what the next of its
	// address makes.
	Orphan int64
}

// NodeMaker is who has made nodes of an address.
type NodeMaker struct {
	At, Creator jid.JID
	Orphan      int64
}

// Maker is who has made the node.
func (n *Node) Maker() NodeMaker { return NodeMaker{n.Name.JID, n.Creator, n.Orphan} }

// rowBytes are about what a row of a table takes beside what it has to say.
const rowBytes = 64

// Bytes are what a node counts without what belongs to it.
func (n *Node) Bytes() int64 {
	return int64(rowBytes + len(n.Name.Node) + len(n.Config) + len(n.Moved))
}

// Bytes are what an item counts.
func (i *Item) Bytes() int64 {
	return int64(rowBytes + len(i.ID) + len(i.Publisher.String()) + len(i.Payload))
}

// NodeState is all of a node but its items, of which it has the last.
type NodeState struct {
	Node
	Affiliations  []NodeAffiliation
	Subscriptions []NodeSubscription
	Items         int
	Last          *Item // nil: it has none
}

// Affiliation is what somebody is to a node. XEP-0060 §4.1
type Affiliation uint8

// The affiliations, in the order of what they may do.
const (
	AffiliationNone Affiliation = iota
	AffiliationOutcast
	AffiliationMember
	AffiliationPublishOnly
	AffiliationPublisher
	AffiliationOwner
)

// NodeAffiliation is the affiliation of a bare address.
type NodeAffiliation struct {
	JID         jid.JID
	Affiliation Affiliation
}

// NodeSubscription is the subscription of an address, bare or full.
type NodeSubscription struct {
	JID       jid.JID
	Pending   bool   // an owner has not approved it
	Options   []byte // the module's own; nil: none were given
	Temporary bool   // it ends with its subscriber's presence: for TemporaryNodes
}

// Membership is what a bare address, and the full ones below it, are to one node.
type Membership struct {
	Node          string
	Affiliation   Affiliation
	Subscriptions []NodeSubscription
}

// Item is something published.
type Item struct {
	ID        string
	Publisher jid.JID   // bare, or zero: nobody says
	At        time.Time // in UTC, to the microsecond; later than every At that the node ever had
	Payload   []byte    // an element that stands alone, or nil
}

// ItemQuery says which items.
type ItemQuery struct {
	IDs    []string // these, in this order, as far as they are there; the other fields mean nothing then
	After  string   // those published after that item; "" is from the first
	Before string   // those published before that item; "" is to the last
	Newest bool     // the newest of them rather than the oldest, where Limit keeps some out
	Skip   int      // so many of the oldest, or newest, are left out first
	Limit  int
	Bare   bool // without payloads
}

// CreateNode makes a node and its first owner. It replaces a node that has Moved, and fails with ErrExists where there is
// another; with ErrNotFound where the address is an account's that does not exist.
type CreateNode struct {
	Node    Node
	Account bool // the node belongs to an account and goes with it
	Owner   jid.JID
}

// SetNode gives a node another configuration: Config, Expire and PurgeOffline count. If it has more than Keep items, the
// oldest go; 0 is as many as there are.
type SetNode struct {
	Node Node
	Keep int
}

// DeleteNode removes a node and all that belongs to it. With Moved the name remains, as a note of where it went.
type DeleteNode struct {
	Name  NodeName
	Moved string
}

// SetAffiliation gives a bare address an affiliation with a node; AffiliationNone takes it away.
type SetAffiliation struct {
	Name NodeName
	NodeAffiliation
}

// SetSubscription makes or changes the subscription of an address.
type SetSubscription struct {
	Name NodeName
	NodeSubscription
}

// DeleteSubscription ends it; that there is none is no error.
type DeleteSubscription struct {
	Name NodeName
	JID  jid.JID
}

// PublishItem adds an item, in place of the one of its id if there is one. If the node has more than Keep then, the
// oldest go.
type PublishItem struct {
	Name NodeName
	Item Item
	Keep int
}

// RetractItems removes items; one that is not there is passed over.
type RetractItems struct {
	Name NodeName
	IDs  []string
}

// PurgeNode removes all items of a node.
type PurgeNode struct{ Name NodeName }

// PurgePublisher removes what a bare address has published at nodes with PurgeOffline.
type PurgePublisher struct{ Publisher jid.JID }

// ExpireItems removes items that are older than their nodes allow, at most Limit of each of Limit nodes. Those that are
// left go with the next.
type ExpireItems struct {
	Now   time.Time
	Limit int
}

func (CreateNode) Topic() string         { return "pubsub" }
func (SetNode) Topic() string            { return "pubsub" }
func (DeleteNode) Topic() string         { return "pubsub" }
func (SetAffiliation) Topic() string     { return "pubsub" }
func (SetSubscription) Topic() string    { return "pubsub" }
func (DeleteSubscription) Topic() string { return "pubsub" }
func (PublishItem) Topic() string        { return "pubsub" }
func (RetractItems) Topic() string       { return "pubsub" }
func (PurgeNode) Topic() string          { return "pubsub" }
func (PurgePublisher) Topic() string     { return "pubsub" }
func (ExpireItems) Topic() string        { return "pubsub" }

func (n NodeName) size() int { return opBytes + len(n.JID.String()) + len(n.Node) }

func (n Node) size() int {
	return n.Name.size() + len(n.Creator.String()) + len(n.Config) + len(n.Moved)
}

func (op CreateNode) Size() int     { return op.Node.size() + len(op.Owner.String()) }
func (op SetNode) Size() int        { return op.Node.size() }
func (op DeleteNode) Size() int     { return op.Name.size() + len(op.Moved) }
func (op SetAffiliation) Size() int { return op.Name.size() + len(op.JID.String()) }

func (op SetSubscription) Size() int {
	return op.Name.size() + len(op.JID.String()) + len(op.Options)
}

func (op DeleteSubscription) Size() int { return op.Name.size() + len(op.JID.String()) }

func (op PublishItem) Size() int {
	return op.Name.size() + len(op.Item.ID) + len(op.Item.Publisher.String()) + len(op.Item.Payload)
}

func (op RetractItems) Size() int {
	n := op.Name.size()
	for _, id := range op.IDs {
		n += 16 + len(id)
	}
	return n
}

func (op PurgeNode) Size() int      { return op.Name.size() }
func (op PurgePublisher) Size() int { return opBytes + len(op.Publisher.String()) }
func (op ExpireItems) Size() int    { return opBytes }

// Bounds of names.
const (
	maxNodeName = 4096
	maxItemID   = 4096
)

func (n NodeName) validate() error {
	switch {
	case n.JID.IsZero() || n.JID.IsFull():
		return fmt.Errorf("%q is not the address of nodes: %w", n.JID, ErrInvalid)
	case n.Node == "" || len(n.Node) > maxNodeName:
		return fmt.Errorf("name of a node of %d bytes: %w", len(n.Node), ErrInvalid)
	}
	return nil
}

func checkBare(j jid.JID) error {
	if j.IsZero() || j.IsFull() {
		return fmt.Errorf("%q is not a bare address: %w", j, ErrInvalid)
	}
	return nil
}

func (op CreateNode) Validate() error {
	if err := op.Node.Name.validate(); err != nil {
		return err
	}
	if op.Node.Moved != "" {
		return fmt.Errorf("a new node that has moved: %w", ErrInvalid)
	}
	if op.Account {
		if err := CheckUser(op.Node.Name.JID); err != nil {
			return err
		}
	}
	return checkBare(op.Owner)
}

func (op SetNode) Validate() error    { return op.Node.Name.validate() }
func (op DeleteNode) Validate() error { return op.Name.validate() }

func (op SetAffiliation) Validate() error {
	if op.Affiliation > AffiliationOwner {
		return fmt.Errorf("affiliation %d: %w", op.Affiliation, ErrInvalid)
	}
	if err := checkBare(op.JID); err != nil {
		return err
	}
	return op.Name.validate()
}

func (op SetSubscription) Validate() error {
	if op.JID.IsZero() {
		return fmt.Errorf("subscription of nobody: %w", ErrInvalid)
	}
	return op.Name.validate()
}

func (op DeleteSubscription) Validate() error { return op.Name.validate() }

func (op PublishItem) Validate() error {
	switch {
	case op.Item.ID == "" || len(op.Item.ID) > maxItemID:
		return fmt.Errorf("id of an item of %d bytes: %w", len(op.Item.ID), ErrInvalid)
	case op.Keep < 1:
		return fmt.Errorf("a node that keeps %d items: %w", op.Keep, ErrInvalid)
	case op.Item.Publisher.IsFull():
		return fmt.Errorf("%q is not a bare address: %w", op.Item.Publisher, ErrInvalid)
	}
	return op.Name.validate()
}

func (op RetractItems) Validate() error {
	if len(op.IDs) > MaxPage {
		return fmt.Errorf("%d items: %w", len(op.IDs), ErrTooLarge)
	}
	return op.Name.validate()
}

func (op PurgeNode) Validate() error      { return op.Name.validate() }
func (op PurgePublisher) Validate() error { return checkBare(op.Publisher) }

func (op ExpireItems) Validate() error {
	if op.Limit < 1 || op.Limit > MaxPage {
		return fmt.Errorf("%d items of each of as many nodes: %w", op.Limit, ErrInvalid)
	}
	return nil
}
