// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"
)

func utf16Of(text string, order binary.AppendByteOrder) string {
	b := order.AppendUint16(nil, 0xfeff)
	for _, u := range utf16.Encode([]rune(text)) {
		b = order.AppendUint16(b, u)
	}
	return string(b)
}

// What spreadsheets write is read, whatever they put between the fields and in front of the text.
func TestReadTable(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want string // rows, then flaws
	}{
		"plain":          {"name,password\nlamp,secret\n", "2 lamp@d secret"},
		"no end of line": {"name\nlamp", "2 lamp@d "},
		"Windows":        {"name,password\r\nlamp,a b\r\n\r\n", "2 lamp@d a b"},
		"semicolons":     {"name;password\nlamp;a,b\n", "2 lamp@d a,b"},
		"tabs":           {"name\tpassword\nlamp\ta,b\n", "2 lamp@d a,b"},
		"sep":            {"sep=;\r\nname;password\r\nlamp;x\r\n", "3 lamp@d x"},
		"a mark":         {"\xef\xbb\xbfname,password\nlamp,x\n", "2 lamp@d x"},
		"UTF-16":         {utf16Of("name;password\r\nlämp;ж\r\n", binary.LittleEndian), "2 lämp@d ж"},
		"UTF-16, other":  {utf16Of("name;password\r\nlämp;ж\r\n", binary.BigEndian), "2 lämp@d ж"},
		"quotes":         {"\"Name\",\"Password\"\n\"lamp\",\"a \"\"b\"\", c\"\n", `2 lamp@d a "b", c`},
		"order, capitals": {" Password , JID \nsecret,Lamp@E.example\n",
			"2 lamp@e.example secret"},
		"empty lines":  {"name,password\n,\n\nlamp,\n , \n", "4 lamp@d "},
		"twice":        {"name\nlamp\nLAMP\nlamp@d\n", "2 lamp@d |3: lamp@d stands in line 2, too|4: lamp@d stands in line 2, too"},
		"not UTF-8":    {"name\nl\xe4mp\ndoor\n", "3 door@d |2: this is not UTF-8"},
		"open quote":   {"name,password\n\"lamp,x\ndoor,y\n", "3 door@d y|2: column"},
		"stray quote":  {"name\nla\"mp\ndoor\n", "3 door@d |2: column 3"},
		"more fields":  {"name,password\nlamp,x,y\n", "2: there are 3 fields, and 2 columns"},
		"fewer fields": {"name,password\nlamp\n", "2: there are 1 fields, and 2 columns"},
		"no name":      {"name,password\n,x\n", "2: name: it is empty"},
		"rounded":      {"name\n4.71100E+11\n\"4,7E+3\"\nE+3\n", "4 e+3@d |2: name: 4.71100E+11 is a number that a spreadsheet has rounded|3: name: 4,7E+3 is"},
		"a resource":   {"name\nlamp@d/x\n", "2: name: \"lamp@d/x\" is not name@domain"},
		"no address":   {"name\nla mp\n@\n", "2: name: \"la mp\" is not the name of an account|3: name: \"@\" is not"},
		"too long":     {"name\n" + strings.Repeat("x", 40_000) + "\nlamp\n", "3 lamp@d |2: the line is longer than 32768"},
		"empty":        {"", "error: line 1: there is no column name"},
		"sep alone":    {"sep=;", "error: the file is empty"},
		"no columns":   {"lamp,secret\n", `error: line 1: the first line names the columns, and "lamp" is none of: name, password`},
		"column twice": {"name,name\n", "error: line 1: the column name stands there twice"},
		"no name column": {"password\nx\n",
			"error: line 1: there is no column name"},
		"for things": {"name,owner\n", "error: line 1: the column owner is for things"},
		"a workbook": {"PK\x03\x04...", "error: this is no text"},
		"binary":     {"name\x00", "error: this is no text"},
	} {
		var got []string
		switch table, err := readTable([]byte(c.text), "d", false); {
		case err != nil:
			got = append(got, "error: "+err.Error())
		default:
			for _, r := range table.rows {
				got = append(got, fmt.Sprintf("%d %s %s", r.line, r.account, r.password))
			}
			for _, f := range table.flaws {
				got = append(got, fmt.Sprintf("%d: %s", f.line, f.why))
			}
		}
		want := strings.Split(c.want, "|")
		if !slices.EqualFunc(got, want, strings.HasPrefix) {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
}

// Things have an owner, groups and tags.
func TestReadThings(t *testing.T) {
	const head = "name;owner;group;Group;TAG:man;tag:#height\n"
	table, err := readTable([]byte(head+
		"lamp;juliet;hall 1;lights;example.org;2,5\nlamp-2;juliet@e.example;;;;\nlamp-3;a b;;;;\nlamp-4;;;;;1.5\nlamp-5;@;;;;\n"), "d", true)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range table.rows {
		got = append(got, fmt.Sprintf("%s of %q in %q %v", r.account, r.thing.Owner, r.thing.Groups, r.thing.Tags))
	}
	want := []string{`lamp-2@d of "juliet@e.example" in [] map[]`, `lamp-4@d of "" in [] map[#height:1.5]`}
	if !slices.Equal(got, want) || len(table.flaws) != 3 {
		t.Errorf("rows %q, flaws %v", got, table.flaws)
	}
	for _, bad := range []string{"name;tag:key\nlamp;x\n", "name;tag:a b\nlamp;x\n", "name;tag:\nlamp;x\n", "name;tag:lat\nlamp;north\n"} {
		if table, err := readTable([]byte(bad), "d", true); err != nil || len(table.flaws) != 1 || len(table.rows) != 0 {
			t.Errorf("%q: %+v, %v", bad, table, err)
		}
	}
}

func FuzzReadTable(f *testing.F) {
	f.Add([]byte("name;password\n\"lamp\";x\n"))
	f.Add([]byte("sep=;\nname;\n"))
	f.Add([]byte("\xff\xfen\x00a\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		table, err := readTable(data, "example.org", true)
		if err != nil {
			return
		}
		seen := map[string]bool{}
		for _, r := range table.rows {
			if seen[r.account.String()] || r.account.IsDomain() || r.account.IsFull() || r.line < 2 {
				t.Errorf("row %+v", r)
			}
			seen[r.account.String()] = true
		}
	})
}
