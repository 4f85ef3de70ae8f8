// SPDX-License-Identifier: Apache-2.0

package main

// How to read this file: readTable reads what people export from spreadsheets. Its lines are read one
// by one, so that a quote that is never closed spoils its own line and no other. What is wrong with
// the file as a whole is an error, what is wrong with a line a flaw.

import (
	"bytes"
	"cmp"
	"encoding/csv"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/stonechat-im/stonechat/server/admin"
	"github.com/stonechat-im/stonechat/xmpp/jid"
)

// row is a line that is as it should be.
type row struct {
	line     int
	account  jid.JID
	password string       // "": one is to be made
	made     bool         // the password was
	thing    *admin.Given // nil: it is no thing
}

// flaw is what is wrong with one line.
type flaw struct {
	line int
	why  string
}

// table is a file of accounts.
type table struct {
	rows  []row
	flaws []flaw
}

// heading is what the first line names.
type heading struct {
	names  []string // "name", "password", "owner", "group" as often as there are groups, "tag:NAME"
	comma  rune
	things bool // accounts are things: the last three may stand there
}

const (
	maxTable     = 64 << 20 // of a file, in bytes
	maxTableLine = 32 << 10
)

// readTable reads a file of accounts, whose names without a domain are at domain.
func readTable(data []byte, domain string, things bool) (*table, error) {
	if len(data) > maxTable {
		return nil, fmt.Errorf("the file is longer than %s: split it", bytesText(maxTable))
	}
	data, err := decodeText(data)
	if err != nil {
		return nil, err
	}
	lines := bytes.Split(data, []byte("\n"))
	first := 0
	c := heading{things: things}
	if sep, ok := strings.CutPrefix(strings.TrimSpace(string(lines[0])), "sep="); ok && len(sep) == 1 {
		c.comma = rune(sep[0]) // how a spreadsheet says it
		first++
	}
	if first == len(lines) {
		return nil, errors.New("the file is empty")
	}
	if err := c.read(lines[first]); err != nil {
		return nil, fmt.Errorf("line %d: %w", first+1, err)
	}
	t, seen := new(table), map[jid.JID]int{}
	for i, text := range lines[first+1:] {
		n := first + 2 + i
		r, ok, err := c.row(text, domain)
		if err == nil && ok && seen[r.account] > 0 {
			err = fmt.Errorf("%s stands in line %d, too", r.account, seen[r.account])
		}
		switch {
		case err != nil:
			t.flaws = append(t.flaws, flaw{n, err.Error()})
		case ok:
			r.line, seen[r.account] = n, n
			t.rows = append(t.rows, r)
		}
	}
	return t, nil
}

// decodeText makes UTF-8 of what spreadsheets write: with a mark in front, or UTF-16.
func decodeText(data []byte) ([]byte, error) {
	var order func(a, b byte) uint16
	switch {
	case bytes.HasPrefix(data, []byte("\xef\xbb\xbf")):
		return data[3:], nil
	case bytes.HasPrefix(data, []byte("\xff\xfe")):
		order = func(a, b byte) uint16 { return uint16(a) | uint16(b)<<8 }
	case bytes.HasPrefix(data, []byte("\xfe\xff")):
		order = func(a, b byte) uint16 { return uint16(a)<<8 | uint16(b) }
	case bytes.IndexByte(data, 0) >= 0, bytes.HasPrefix(data, []byte("PK\x03\x04")):
		return nil, errors.New("this is no text: save the table as CSV (UTF-8)")
	default:
		return data, nil
	}
	units := make([]uint16, 0, len(data)/2)
	for i := 2; i+1 < len(data); i += 2 {
		units = append(units, order(data[i], data[i+1]))
	}
	return []byte(string(utf16.Decode(units))), nil
}

// read takes the first line.
func (c *heading) read(text []byte) error {
	if c.comma == 0 {
		c.comma = slices.MaxFunc([]rune{',', ';', '\t'}, func(a, b rune) int {
			return cmp.Compare(bytes.Count(text, []byte(string(a))), bytes.Count(text, []byte(string(b))))
		})
	}
	names, err := c.split(text)
	if err != nil {
		return err
	}
	for _, name := range names {
		if name = strings.ToLower(strings.TrimSpace(name)); name == "jid" {
			name = "name"
		}
		ofThing := name == "owner" || name == "group" || strings.HasPrefix(name, "tag:")
		switch {
		case ofThing && !c.things:
			return fmt.Errorf("the column %s is for things: stonechat thing import", name)
		case !ofThing && name != "name" && name != "password":
			return fmt.Errorf("the first line names the columns, and %q is none of: %s", name, columnNames(c.things))
		case name != "group" && slices.Contains(c.names, name):
			return fmt.Errorf("the column %s stands there twice", name)
		}
		c.names = append(c.names, name)
	}
	if !slices.Contains(c.names, "name") {
		return errors.New("there is no column name")
	}
	return nil
}

// columnNames are those that there may be.
func columnNames(things bool) string {
	if things {
		return "name, password, owner, group, tag:NAME"
	}
	return "name, password"
}

// split takes a line apart.
func (c *heading) split(text []byte) ([]string, error) {
	switch text = bytes.TrimSuffix(text, []byte("\r")); {
	case len(text) > maxTableLine:
		return nil, fmt.Errorf("the line is longer than %d bytes", maxTableLine)
	case !utf8.Valid(text):
		return nil, errors.New("this is not UTF-8: save the table as CSV (UTF-8)")
	case len(bytes.TrimSpace(text)) == 0:
		return nil, nil
	}
	r := csv.NewReader(bytes.NewReader(text))
	r.Comma, r.FieldsPerRecord = c.comma, -1
	fields, err := r.Read()
	if e := (*csv.ParseError)(nil); errors.As(err, &e) {
		return nil, fmt.Errorf("column %d: a quotation mark is where none may be, or is not closed", e.Column)
	}
	return fields, err
}

// isRounded reports whether a name is what becomes of a long number in a spreadsheet: 4,71100E+11.
func isRounded(name string) bool {
	mantissa, exponent, ok := strings.Cut(strings.ToUpper(name), "E+")
	return ok && len(mantissa) > 1 && strings.Trim(mantissa, "0123456789.,") == "" && strings.Trim(exponent, "0123456789") == ""
}

// row takes any other line. A line without anything is none.
func (c *heading) row(text []byte, domain string) (r row, ok bool, err error) {
	fields, err := c.split(text)
	switch {
	case err != nil:
		return r, false, err
	case !slices.ContainsFunc(fields, func(f string) bool { return strings.TrimSpace(f) != "" }):
		return r, false, nil
	case len(fields) != len(c.names):
		return r, false, fmt.Errorf("there are %d fields, and %d columns", len(fields), len(c.names))
	}
	if c.things {
		r.thing = &admin.Given{Tags: map[string]string{}}
	}
	for i, name := range c.names {
		switch text := strings.TrimSpace(fields[i]); {
		case name == "name":
			r.account, err = accountOf(text, domain)
		case name == "password":
			r.password = fields[i]
		case text == "":
		case name == "owner":
			var owner jid.JID
			if owner, err = accountOf(text, domain); err == nil {
				r.thing.Owner = owner.String()
			}
		case name == "group":
			r.thing.Groups = append(r.thing.Groups, text)
		default:
			tag := strings.TrimPrefix(name, "tag:")
			r.thing.Tags[tag] = text
			_, err = admin.TagOf(tag, text)
		}
		if err != nil {
			return r, false, fmt.Errorf("%s: %w", name, err)
		}
	}
	return r, true, nil
}

// accountOf is the account that a field names.
func accountOf(name, domain string) (account jid.JID, err error) {
	switch {
	case name == "":
		return account, errors.New("it is empty")
	case isRounded(name):
		return account, fmt.Errorf("%s is a number that a spreadsheet has rounded: make the column text", name)
	case strings.Contains(name, "@"):
		account, err = jid.Parse(name)
	default:
		account, err = jid.New(name, domain, "")
	}
	if err != nil {
		return account, fmt.Errorf("%q is not the name of an account: %w", name, err)
	}
	if account.IsDomain() || account.IsFull() {
		return account, fmt.Errorf("%q is not name@domain", name)
	}
	return account, nil
}
