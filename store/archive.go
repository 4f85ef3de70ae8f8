// SPDX-License-Identifier: Apache-2.0

package store

// How to read this file: what is read, then the operations, then what is checked of them.

import (
	"context"
	"fmt"

	"github.com/stonechat-im/stonechat/xmpp/jid"
)

// Archives reads the topic "archive": the messages of accounts, rooms and nodes, for good or until they are too old or
// too many.
//
// Every row has a number, Seq, that no other row of any archive ever had. It ascends in the order in which the messages of
// an archive came, and counts microseconds since 1970, so that it also is the time; see [LastArchived].
type Archives interface {
	// Archived returns a page of an archive; whole says that nothing else matches. An archive that nobody has written
	// to is an empty one. It fails with ErrNotFound when a row of q.Exist is not there.
	Archived(ctx context.Context, a ArchiveName, q ArchiveQuery) (page []ArchivedMessage, whole bool, err error)
	// ArchivedRows returns those of the rows given, at most MaxPage, that are there, in ascending order.
	ArchivedRows(ctx context.Context, a ArchiveName, seqs []int64) ([]ArchivedMessage, error)
	// CountArchived returns how many messages match q, its Limit aside, and how many of them are before q.Index.
	CountArchived(ctx context.Context, a ArchiveName, q ArchiveQuery) (all, before int, err error)
	// ArchiveEnds returns the first and the last row, 0 when there is none.
	ArchiveEnds(ctx context.Context, a ArchiveName) (first, last int64, err error)
	// Archives returns a page of all archives, in an order of their own, beginning behind the one whose ID is after. An
	// empty page is the end.
	Archives(ctx context.Context, after int64, limit int) ([]Archive, error)
	// ForgottenArchives returns how many archives were forgotten and have rows that PurgeArchives has not removed yet.
	ForgottenArchives(ctx context.Context) (int, error)
	// ArchivePreferences returns what SetArchivePreferences has set, or nil.
	ArchivePreferences(ctx context.Context, user jid.JID) ([]byte, error)
	// LastArchived returns a number that no row ever had one greater than, not even one that is gone.
	LastArchived(ctx context.Context) (int64, error)
	// Unindexed returns messages whose text is not in the index yet and which are older than before, the oldest first.
	Unindexed(ctx context.Context, before int64, limit int) ([]ArchivedMessage, error)
}

// ArchiveName tells archives apart.
type ArchiveName struct {
	JID  jid.JID // bare: of an account, a room or a service
	Node string  // of publish-subscribe at that address; "": the archive of the address itself
}

// Archive is what is known of one archive.
type Archive struct {
	ID          int64
	Name        ArchiveName
	Account     bool // it belongs to the account of its address
	First, Last int64
	// Messages and Bytes are those of the rows up to Counted: CountArchive goes on from there.
	Messages int
	Bytes    int64
	Counted  int64
}

// ArchiveQuery asks for a part of an archive.
type ArchiveQuery struct {
	After, Before int64   // rows between these, both left out; 0: from the first, to the last
	With          jid.JID // bare address of the other side; zero: all
	Text          string  // words that all have to be in the text, as Terms gives them; "": whatever it is
	Backward      bool    // the last of them, not the first; they come in ascending order all the same
	Limit         int     // MaxPage at most
	Bytes         int     // the page ends with the message that reaches this size, MaxPageBytes at most
	Exist         []int64 // rows that have to be there
	Index         int64   // for CountArchived
}

// ArchivedMessage is one row with its message.
type ArchivedMessage struct {
	Seq    int64
	Stanza []byte // standing alone
}

// ArchiveRow is a message's place in one archive.
type ArchiveRow struct {
	Archive ArchiveName
	Account bool // the archive belongs to the account of its address, and goes with it
	Seq     int64
	With    jid.JID // bare address of the other side, or zero
}

// AddArchived puts a message into one or two archives, such as those of its sender and its receiver, which share it. Of one of
// them may be told in another call, earlier or later, with the same Message and Stanza: Message is the Seq of the first row of
// all, and no row is MaxArchiveSpan or more behind it.
//
// It fails with ErrNotFound when the account of one does not exist, and with ErrExists when an archive has the row already
// or another message has the number of this one.
type AddArchived struct {
	Message int64
	Stanza  []byte
	Rows    []ArchiveRow
}

// MaxArchiveSpan is more than rows of one message are apart: a second.
const MaxArchiveSpan = 1 << 20

// ReplaceArchived puts another stanza in the place of one that is archived, for all archives that share it. A row that is
// not there is passed over.
type ReplaceArchived struct {
	Archive ArchiveName
	Seq     int64
	Stanza  []byte
}

// CountArchive counts at most Rows of the rows with a Seq less than Before that were not counted yet; see [Archive].
type CountArchive struct {
	Archive ArchiveName
	Before  int64
	Rows    int
}

// TrimArchive removes at most Rows of the rows with a Seq less than Before, the oldest first.
type TrimArchive struct {
	Archive ArchiveName
	Before  int64
	Rows    int
}

// ForgetArchive removes an archive. Its rows can be read no more; the disk has them until PurgeArchives takes them.
type ForgetArchive struct {
	Archive ArchiveName
}

// PurgeArchives removes at most Rows rows of archives that were forgotten, or whose accounts were deleted.
type PurgeArchives struct {
	Rows int
}

// SetArchivePreferences sets what an account wants archived, in whatever form; nil removes it. It fails with ErrNotFound.
type SetArchivePreferences struct {
	User        jid.JID
	Preferences []byte
}

// IndexArchived puts the text of messages into the index for ArchiveQuery.Text: those that Unindexed has returned. What comes
// before UpTo and is not among them has no text.
type IndexArchived struct {
	Texts []ArchivedText
	UpTo  int64 // the Seq of the last of what Unindexed has returned
}

// ArchivedText is what can be searched for in one message.
type ArchivedText struct {
	Seq  int64
	Text string
}

// Bounds of operations.
const (
	maxArchiveNode        = 4 << 10
	maxArchivePreferences = 1 << 20
)

func (AddArchived) Topic() string           { return "archive" }
func (ReplaceArchived) Topic() string       { return "archive" }
func (CountArchive) Topic() string          { return "archive" }
func (TrimArchive) Topic() string           { return "archive" }
func (ForgetArchive) Topic() string         { return "archive" }
func (PurgeArchives) Topic() string         { return "archive" }
func (SetArchivePreferences) Topic() string { return "archive" }
func (IndexArchived) Topic() string         { return "archive" }

func (op AddArchived) Size() int {
	n := opBytes + len(op.Stanza)
	for i := range op.Rows {
		r := &op.Rows[i]
		n += opBytes + r.Archive.size() + len(r.With.String())
	}
	return n
}
func (op ReplaceArchived) Size() int { return opBytes + op.Archive.size() + len(op.Stanza) }
func (op CountArchive) Size() int    { return opBytes + op.Archive.size() }
func (op TrimArchive) Size() int     { return opBytes + op.Archive.size() }
func (op ForgetArchive) Size() int   { return opBytes + op.Archive.size() }
func (op PurgeArchives) Size() int   { return opBytes }
func (op SetArchivePreferences) Size() int {
	return opBytes + len(op.User.String()) + len(op.Preferences)
}
func (op IndexArchived) Size() int {
	n := opBytes
	for _, t := range op.Texts {
		n += 16 + len(t.Text)
	}
	return n
}

func (a ArchiveName) size() int { return len(a.JID.String()) + len(a.Node) }

func (op AddArchived) Validate() error {
	switch {
	case len(op.Stanza) == 0:
		return fmt.Errorf("archived message without stanza: %w", ErrInvalid)
	case len(op.Rows) < 1 || len(op.Rows) > 2:
		return fmt.Errorf("archived message in %d archives: %w", len(op.Rows), ErrInvalid)
	case len(op.Rows) == 2 && op.Rows[0].Archive == op.Rows[1].Archive:
		return fmt.Errorf("message archived twice in %s: %w", op.Rows[0].Archive.JID, ErrInvalid)
	}
	for i := range op.Rows {
		r := &op.Rows[i]
		if err := CheckArchive(r.Archive); err != nil {
			return err
		}
		if d := r.Seq - op.Message; op.Message <= 0 || d < 0 || d >= MaxArchiveSpan {
			return fmt.Errorf("archived message %d with a row %d: %w", op.Message, r.Seq, ErrInvalid)
		}
		if r.With.IsFull() {
			return fmt.Errorf("archived message with %q, which is not bare: %w", r.With, ErrInvalid)
		}
		if r.Account {
			if err := CheckUser(r.Archive.JID); err != nil {
				return err
			}
		}
	}
	return nil
}

func (op ReplaceArchived) Validate() error {
	if len(op.Stanza) == 0 {
		return fmt.Errorf("archived message without stanza: %w", ErrInvalid)
	}
	return CheckArchive(op.Archive)
}

func (op CountArchive) Validate() error {
	if err := checkRows(op.Rows); err != nil {
		return err
	}
	return CheckArchive(op.Archive)
}

func (op TrimArchive) Validate() error {
	if err := checkRows(op.Rows); err != nil {
		return err
	}
	return CheckArchive(op.Archive)
}

func (op ForgetArchive) Validate() error { return CheckArchive(op.Archive) }
func (op PurgeArchives) Validate() error { return checkRows(op.Rows) }

func (op SetArchivePreferences) Validate() error {
	if len(op.Preferences) > maxArchivePreferences {
		return fmt.Errorf("preferences of %d bytes: %w", len(op.Preferences), ErrTooLarge)
	}
	return CheckUser(op.User)
}

func (op IndexArchived) Validate() error {
	if len(op.Texts) > MaxPage {
		return fmt.Errorf("%d texts: %w", len(op.Texts), ErrTooLarge)
	}
	for _, t := range op.Texts {
		if t.Seq > op.UpTo {
			return fmt.Errorf("text of message %d, up to %d: %w", t.Seq, op.UpTo, ErrInvalid)
		}
	}
	return nil
}

// checkRows keeps the work of one operation small: others wait for it.
func checkRows(n int) error {
	if n < 1 || n > MaxPage {
		return fmt.Errorf("%d rows: %w", n, ErrInvalid)
	}
	return nil
}

// CheckArchive says whether an archive may have that name. Operations and engines' reads use it.
func CheckArchive(a ArchiveName) error {
	if a.JID.IsZero() || a.JID.IsFull() {
		return fmt.Errorf("%q is not the address of an archive: %w", a.JID, ErrInvalid)
	}
	if len(a.Node) > maxArchiveNode {
		return fmt.Errorf("node of %d bytes: %w", len(a.Node), ErrTooLarge)
	}
	return nil
}
