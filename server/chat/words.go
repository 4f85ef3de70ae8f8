// SPDX-License-Identifier: Apache-2.0

package chat

import (
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/stonechat-im/stonechat/xmpp/xmlstream"
)

func nameOf(space, local []byte) xmlstream.Name {
	return xmlstream.Name{Space: string(space), Local: string(local)}
}

// cut takes the first word.
func cut(text string) (first, rest string) {
	i := strings.IndexFunc(text, unicode.IsSpace)
	if i < 0 {
		return text, ""
	}
	return text[:i], strings.TrimSpace(text[i:])
}

var errQuote = errors.New("chat: a quote is not closed")

// Words takes a line apart at white space. What stands in double quotes, also those that telephones make of them, is one word;
// in these a quote is written \". A quote within a word is one of its characters.
func Words(line string) (words []string, err error) {
	for {
		line = strings.TrimLeftFunc(line, unicode.IsSpace)
		if line == "" {
			return words, nil
		}
		r, n := utf8.DecodeRuneInString(line)
		if !quotes(r) {
			end := strings.IndexFunc(line, unicode.IsSpace)
			if end < 0 {
				end = len(line)
			}
			words, line = append(words, line[:end]), line[end:]
			continue
		}
		word, rest, ok := quoted(line[n:])
		if !ok {
			return nil, errQuote
		}
		words, line = append(words, word), rest
	}
}

func quotes(r rune) bool { return strings.ContainsRune(`"“”„«»`, r) }

// quoted reads up to the quote that closes.
func quoted(s string) (word, rest string, ok bool) {
	var b []byte
	for i, r := range s {
		switch {
		case !quotes(r):
		case len(b) > 0 && b[len(b)-1] == '\\':
			b = b[:len(b)-1]
		default:
			return string(b), s[i+utf8.RuneLen(r):], true
		}
		b = utf8.AppendRune(b, r)
	}
	return "", "", false
}

// Quote writes a word so that Words reads it as one.
func Quote(word string) string {
	if word != "" && strings.IndexFunc(word, func(r rune) bool { return unicode.IsSpace(r) || quotes(r) }) < 0 {
		return word
	}
	b := new(strings.Builder)
	b.WriteByte('"')
	for _, r := range word {
		if quotes(r) {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	b.WriteByte('"')
	return b.String()
}
