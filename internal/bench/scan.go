// SPDX-License-Identifier: Apache-2.0

package bench

import "bytes"

// cutXML returns the length of the first unit of b, or 0 when b holds none
// that is complete. A unit is a run of white space, an XML declaration, the
// start or end tag of the stream, or a whole element of the stream. It trusts
// the server to send well-formed XML: what it must not do is cost time.
func cutXML(b []byte) int {
	if len(b) == 0 {
		return 0
	}
	if b[0] != '<' {
		if i := bytes.IndexByte(b, '<'); i > 0 {
			return i
		}
		return len(b)
	}
	if len(b) < 2 {
		return 0
	}
	switch {
	case b[1] == '?':
		return after(b, "?>")
	case b[1] == '/':
		return tagEnd(b, 0)
	case isStreamOpen(b):
		return tagEnd(b, 0)
	}
	depth := 0
	for pos := 0; ; {
		i := bytes.IndexByte(b[pos:], '<')
		if i < 0 {
			return 0
		}
		pos += i
		if bytes.HasPrefix(b[pos:], []byte("<![CDATA[")) {
			n := after(b[pos:], "]]>")
			if n == 0 {
				return 0
			}
			pos += n
			continue
		}
		end := tagEnd(b, pos)
		if end == 0 {
			return 0
		}
		switch {
		case b[pos+1] == '/':
			depth--
		case b[end-2] != '/':
			depth++
		}
		pos = end
		if depth <= 0 {
			return pos
		}
	}
}

// isStreamOpen tells the stream header from <stream:features> and <stream:error>.
func isStreamOpen(b []byte) bool {
	const open = "<stream:stream"
	return len(b) > len(open) && string(b[:len(open)]) == open
}

// tagEnd returns the offset behind the tag that begins at pos, 0 when it is
// not complete. A '>' inside an attribute's quotes does not end it.
func tagEnd(b []byte, pos int) int {
	for i := pos + 1; i < len(b); i++ {
		switch b[i] {
		case '>':
			return i + 1
		case '\'', '"':
			j := bytes.IndexByte(b[i+1:], b[i])
			if j < 0 {
				return 0
			}
			i += j + 1
		}
	}
	return 0
}

// after returns the offset behind the first mark in b, 0 when there is none.
func after(b []byte, mark string) int {
	if i := bytes.Index(b, []byte(mark)); i >= 0 {
		return i + len(mark)
	}
	return 0
}

// localName returns the name of a unit's first tag without its prefix.
func localName(unit []byte) []byte {
	if len(unit) == 0 || unit[0] != '<' {
		return nil
	}
	name := unit[1:]
	if i := bytes.IndexAny(name, " \t\r\n/>"); i >= 0 {
		name = name[:i]
	}
	if i := bytes.IndexByte(name, ':'); i >= 0 {
		name = name[i+1:]
	}
	return name
}

// attr returns the raw value of an attribute of the unit's first tag, nil when
// it has none of that name.
func attr(unit []byte, name string) []byte {
	end := tagEnd(unit, 0)
	if end == 0 {
		return nil
	}
	for i := 1; i < end; i++ {
		if unit[i] != '\'' && unit[i] != '"' {
			continue
		}
		j := bytes.IndexByte(unit[i+1:end], unit[i])
		if j < 0 {
			return nil
		}
		if key := bytes.TrimRight(unit[:i], " \t\r\n="); len(key) > len(name) &&
			string(key[len(key)-len(name):]) == name && isSpace(key[len(key)-len(name)-1]) {
			return unit[i+1 : i+1+j]
		}
		i += j + 1
	}
	return nil
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }

// inner returns the character data of the first <name>…</name> in b without
// attributes, nil when there is none. Entities stay as they are.
func inner(b []byte, name string) []byte {
	i := after(b, "<"+name+">")
	if i == 0 {
		return nil
	}
	j := bytes.Index(b[i:], []byte("</"+name+">"))
	if j < 0 {
		return nil
	}
	return b[i : i+j]
}
