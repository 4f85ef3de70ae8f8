// SPDX-License-Identifier: Apache-2.0

package xmlstream

import "iter"

// Reader decodes one complete element. Errors are sticky: after one, every
// method returns its zero value and Children ends. Not safe for concurrent use.
type Reader struct{}

// NewReader returns a Reader that stands on the start tag of the root of raw.
// space is the default namespace around raw. raw is copied.
func NewReader[T string | []byte](raw T, space string) *Reader { panic("unwritten") }

// Name returns the name of the current element.
func (r *Reader) Name() Name { panic("unwritten") }

// Is reports whether the current element has this name.
func (r *Reader) Is(space, local string) bool { panic("unwritten") }

// Attr returns an attribute without namespace, "" if absent.
func (r *Reader) Attr(local string) string { panic("unwritten") }

// LookupAttr is Attr that tells absent from empty.
func (r *Reader) LookupAttr(local string) (string, bool) { panic("unwritten") }

// AttrNS returns an attribute with a namespace, "" if absent.
func (r *Reader) AttrNS(space, local string) string { panic("unwritten") }

// Lang returns the xml:lang in force at the current element, "" if none is within raw.
func (r *Reader) Lang() string { panic("unwritten") }

// Children yields the name of each child element while the Reader stands on it.
func (r *Reader) Children() iter.Seq[Name] { panic("unwritten") }

// Text consumes the current element and returns its direct character data.
func (r *Reader) Text() string { panic("unwritten") }

// Raw consumes the current element and returns it as self-contained bytes.
func (r *Reader) Raw() string { panic("unwritten") }

// Skip consumes the current element.
func (r *Reader) Skip() { panic("unwritten") }

// Err returns the first error, of the input or from Fail.
func (r *Reader) Err() error { panic("unwritten") }

// Fail makes err the Reader's error unless it has one.
func (r *Reader) Fail(err error) { panic("unwritten") }
