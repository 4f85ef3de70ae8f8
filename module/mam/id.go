// SPDX-License-Identifier: Apache-2.0

package mam

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/stonechat-im/stonechat/store"
)

// numbers gives every archived row its number: microseconds of the clock, or one more than the last where that is not more.
type numbers struct{ last atomic.Int64 }

// next is the number of a row that is made now.
func (n *numbers) next(now time.Time) int64 {
	for {
		last := n.last.Load()
		seq := max(now.UnixMicro(), last+1)
		if n.last.CompareAndSwap(last, seq) {
			return seq
		}
	}
}

// timeOf is when the row of that number was made.
func timeOf(seq int64) time.Time { return time.UnixMicro(seq).UTC() }

// ids writes numbers as ids: nobody can tell from one what comes next or how much there is (XEP-0359 §7), and one of another
// archive is known for what it is.
type ids struct{ block cipher.Block }

// secretBytes is how long the secret is from which ids are made.
const secretBytes = 16

func newIDs(secret []byte) (ids, error) {
	if len(secret) != secretBytes {
		return ids{}, fmt.Errorf("mam: a secret of %d bytes", len(secret))
	}
	block, err := aes.NewCipher(secret)
	return ids{block}, err
}

// tag stands for an archive.
func tag(a store.ArchiveName) [8]byte {
	b := make([]byte, 0, 128)
	b = append(append(append(b, a.JID.String()...), 0), a.Node...)
	sum := sha256.Sum256(b)
	return [8]byte(sum[:8])
}

// encoding is strict: two ids are the same row only if they are the same text.
func encoding() *base64.Encoding { return base64.RawURLEncoding.Strict() }

// id is 22 characters.
func (x ids) id(a store.ArchiveName, seq int64) string { return x.tagged(tag(a), seq) }

func (x ids) tagged(tag [8]byte, seq int64) string {
	var b [aes.BlockSize]byte
	binary.BigEndian.PutUint64(b[:8], uint64(seq))
	copy(b[8:], tag[:])
	x.block.Encrypt(b[:], b[:])
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// seq is the number that an id of this archive stands for.
func (x ids) seq(a store.ArchiveName, id string) (seq int64, ok bool) {
	var b [aes.BlockSize]byte
	if len(id) != base64.RawURLEncoding.EncodedLen(aes.BlockSize) {
		return 0, false
	}
	if n, err := encoding().Decode(b[:], []byte(id)); err != nil || n != aes.BlockSize {
		return 0, false
	}
	x.block.Decrypt(b[:], b[:])
	if tag(a) != [8]byte(b[8:]) {
		return 0, false
	}
	seq = int64(binary.BigEndian.Uint64(b[:8]))
	return seq, seq > 0
}
