// SPDX-License-Identifier: Apache-2.0

package xmlstream

import "bytes"

// Names that XML itself reserves. Namespaces in XML 1.0 §3.
const (
	xmlNamespace   = "http://www.w3.org/XML/1998/namespace"
	xmlnsNamespace = "http://www.w3.org/2000/xmlns/"
)

// streamNamespace is that of the stream header. RFC 6120 §4.8.1.
const streamNamespace = "http://etherx.jabber.org/streams"

// ref is a piece of text that a scanner has met: a range of the element's
// bytes, or, if start is negative, of scope.side, from ^start on. The zero value
// is the empty string.
type ref struct{ start, end int32 }

// The first entries of every scope's side.
const reserved = xmlNamespace + xmlnsNamespace

var (
	xmlRef   = ref{^0, int32(len(xmlNamespace))}
	xmlnsRef = ref{^int32(len(xmlNamespace)), int32(len(reserved))}
)

// binding is a prefix and the namespace it stands for.
type binding struct{ prefix, space ref }

// scope is the namespaces in force. Default namespaces are kept with the open
// tags, prefixes in a stack that is searched from its top.
//
//	bound: │ stream header's │ root's │ child's, its descendants' … │
//	                        outer    floor
type scope struct {
	bound    []binding
	outer    int  // bindings below stand outside the element
	floor    int  // a child that uses a binding below is not self-contained
	outerDef ref  // the default namespace around the element
	leans    bool // the element is not canonical: it needs something from outside

	entered  string // what enter was told last
	side     []byte // text that does not stand in the element's bytes as it must be read
	sideBase int    // its part that outlives the element
}

// enter loads what a stream header has declared: prefix, NUL, namespace, NUL, …
func (s *scope) enter(declared string) {
	if s.entered == declared && s.sideBase > 0 {
		return // for streams mostly declare the same
	}
	s.entered = declared
	s.side = append(append(s.side[:0], reserved...), declared...)
	s.sideBase = len(s.side)
	s.bound, s.outerDef = s.bound[:0], ref{}
	for i := len(reserved); i < len(s.side); {
		prefix := s.sideText(i)
		space := s.sideText(i + prefix.len() + 1)
		if prefix.len() == 0 {
			s.outerDef = space
		} else {
			s.bound = append(s.bound, binding{prefix, space})
		}
		i += prefix.len() + space.len() + 2
	}
	s.outer = len(s.bound)
}

// sideText refers to the text from i up to a NUL.
func (s *scope) sideText(i int) ref {
	n := bytes.IndexByte(s.side[i:], 0)
	return ref{^int32(i), int32(i + n)}
}

func (r ref) len() int {
	if r.start < 0 {
		return int(r.end - ^r.start)
	}
	return int(r.end - r.start)
}

// at returns the text r refers to; b is the element's bytes.
func (s *scope) at(b []byte, r ref) []byte {
	if r.start < 0 {
		return s.side[^r.start:r.end]
	}
	return b[r.start:r.end]
}

// begin makes the scope ready for another element.
func (s *scope) begin() {
	s.side = s.side[:s.sideBase]
	s.bound, s.floor = s.bound[:s.outer], s.outer
	s.leans = false
}

// rootOpened is where the root's start tag ends: to its children its own
// declarations are outside, too.
func (s *scanner) rootOpened(b []byte) {
	s.floor = len(s.bound)
	if t := s.root(); t.isPrefixed() || !t.declares && string(s.at(b, s.outerDef)) != s.contentSpace {
		s.leans = true
	}
}

// lookup finds the namespace of a name that has a prefix.
func (s *scope) lookup(b []byte, q *qname) (ref, bool) {
	prefix := b[q.start : q.local-1]
	if string(prefix) == "xml" {
		return xmlRef, true
	}
	for i := len(s.bound) - 1; i >= 0; i-- {
		if string(s.at(b, s.bound[i].prefix)) == string(prefix) {
			if i < s.floor {
				s.leans = true
			}
			return s.bound[i].space, true
		}
	}
	return ref{}, false
}

// isXMLNS reports whether a is a namespace declaration.
func isXMLNS(b []byte, a *attribute) bool {
	const xmlns = "xmlns"
	end := a.end
	if a.isPrefixed() {
		end = a.local - 1
	}
	return end-a.start == int32(len(xmlns)) && string(b[a.start:end]) == xmlns
}

// A prefix is always searched from the top, so the number of those in force is
// limited, too: else many declarations and many uses would cost the square.

// declare puts a namespace declaration of the tag being read into force.
// Namespaces in XML 1.0 §3 to §5.
func (s *scanner) declare(b []byte, a *attribute) bool {
	space := ref{a.value, a.stop}
	if !a.isDecoded {
		n := len(s.side)
		s.side = appendDecoded(s.side, b[a.value:a.stop], true)
		space = ref{^int32(n), int32(len(s.side))}
	}
	name := s.at(b, space)
	isReserved := string(name) == xmlNamespace || string(name) == xmlnsNamespace
	if !a.isPrefixed() {
		t := &s.open[len(s.open)-1]
		t.def, t.declares = space, true
		if isReserved {
			s.fail(NotWellFormed, "reserved namespace as default", int(a.start))
		}
		return !isReserved
	}
	prefix := b[a.local:a.end]
	switch isXML := string(prefix) == "xml"; {
	case isXML && string(name) == xmlNamespace:
		return true
	case isXML || isReserved || string(prefix) == "xmlns":
		s.fail(NotWellFormed, "reserved prefix or namespace declared", int(a.start))
		return false
	case len(name) == 0:
		s.fail(NotWellFormed, "prefix declared to be nothing", int(a.start))
		return false
	case len(s.bound)-s.outer >= s.limits.Attributes:
		s.fail(PolicyViolation, "too many namespace declarations in force", int(a.start))
		return false
	}
	s.bound = append(s.bound, binding{ref{a.local, a.end}, space})
	return true
}
