// SPDX-License-Identifier: Apache-2.0

package thing

// How to read this file: journal is the readings that are not told, in a file, a line each; a line
// that says one is told makes its line void, and rewrite drops both. What is read back after a
// power cut ends where the disk ended: readJournal passes over a line that is torn. The lines:
//
//	stonechat readings 1 nurse@example.org      whose they are
//	+ 7 crc32 {"id":…,"at":…,"fields":[…]}      a reading, by its number
//	- 7                                         it is told, or will never be

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/stonechat-im/stonechat/xmpp/jid"
	"github.com/stonechat-im/stonechat/xmpp/senml"
)

const journalTitle = "stonechat readings 1 "

// journal is the file, which is open only while it is written. Its caller keeps calls apart.
type journal struct {
	name  string
	title string
	size  int64 // of what is whole
	lines int   // beside the title
}

// kept is a reading in the file.
type kept struct {
	ID     string          `json:"id"`
	At     time.Time       `json:"at"`
	Node   *NodeID         `json:"node,omitempty"`
	Fields json.RawMessage `json:"fields"` // SenML
}

// openJournal opens the file, or makes it, and returns the readings in it, in order. lost is how
// many of its lines could not be read. One thing at a time may use a file.
func openJournal(name string, owner jid.JID) (j *journal, list []reading, lost int, err error) {
	j = &journal{name: name, title: journalTitle + owner.String() + "\n"}
	data, err := os.ReadFile(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, nil, 0, fmt.Errorf("thing: reading kept readings: %w", err)
	default:
		title, rest, whole := bytes.Cut(data, []byte("\n"))
		if whole && string(title)+"\n" != j.title {
			return nil, nil, 0, fmt.Errorf("thing: %s %w: it begins with %q and would be told to %s; move it away", name, errNotHisFile, title, owner)
		}
		list, lost = readJournal(rest)
	}
	if err := j.rewrite(list); err != nil {
		return nil, nil, 0, err
	}
	return j, list, lost, nil
}

// readJournal reads the lines behind the title.
func readJournal(data []byte) (list []reading, lost int) {
	told := map[uint64]bool{}
	for line := range bytes.Lines(data) {
		x, gone, err := readLine(line)
		switch {
		case err != nil:
			lost++
		case x.id == "":
			told[gone] = true
		default:
			list = append(list, x)
		}
	}
	n := 0
	for _, x := range list {
		if !told[x.number] {
			list[n] = x
			n++
		}
	}
	return list[:n], lost
}

var (
	errTorn       = errors.New("thing: a line is torn")
	errNotHisFile = errors.New("is not this owner's")
)

// readLine reads a reading, or the number of one that is gone.
func readLine(line []byte) (x reading, gone uint64, err error) {
	text, whole := strings.CutSuffix(string(line), "\n")
	words := strings.SplitN(text, " ", 4)
	switch {
	case !whole || len(words) < 2:
		return x, 0, errTorn
	case words[0] == "-" && len(words) == 2:
		gone, err = strconv.ParseUint(words[1], 10, 64)
		return x, gone, err
	case words[0] != "+" || len(words) != 4 || words[2] != checksum(words[3]):
		return x, 0, errTorn
	}
	if x.number, err = strconv.ParseUint(words[1], 10, 64); err != nil {
		return x, 0, err
	}
	var k kept
	if err := json.Unmarshal([]byte(words[3]), &k); err != nil {
		return x, 0, err
	}
	list, err := senml.ParseJSON(k.Fields)
	if err != nil {
		return x, 0, err
	}
	x.id, x.at, x.fields = k.ID, k.At, unpack(list)
	if k.Node != nil {
		x.node = *k.Node
	}
	if x.id == "" || len(x.fields) == 0 {
		return x, 0, errTorn
	}
	for i := range x.fields {
		if x.fields[i].Time.IsZero() { // of a clock that was not set
			x.fields[i].Time = x.at
		}
	}
	return x, 0, nil
}

func checksum(s string) string { return fmt.Sprintf("%08x", crc32.ChecksumIEEE([]byte(s))) }

func (x *reading) line() (string, error) {
	k := kept{ID: x.id, At: x.at, Fields: pack(x.fields).AppendJSON(nil)}
	if !isOwn(x.node) {
		k.Node = &x.node
	}
	data, err := json.Marshal(k)
	if err != nil {
		return "", fmt.Errorf("thing: %w", err)
	}
	return fmt.Sprintf("+ %d %s %s\n", x.number, checksum(string(data)), data), nil
}

// add writes a reading, and returns when a power cut does not take it any more.
func (j *journal) add(x *reading) error {
	line, err := x.line()
	if err != nil {
		return err
	}
	return j.append(line, true)
}

// drop writes that a reading is gone; n are left, which left lists. It is not waited for: what a
// power cut takes of it is told once more.
func (j *journal) drop(x *reading, n int, left func() []reading) error {
	if j.lines > 2*n+1000 || n == 0 && j.lines > 100 {
		return j.rewrite(left())
	}
	return j.append("- "+strconv.FormatUint(x.number, 10)+"\n", false)
}

// append writes a line whole, or not at all, and makes it last if that is asked.
func (j *journal) append(line string, lasting bool) error {
	file, err := os.OpenFile(j.name, os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("thing: keeping readings: %w", err)
	}
	n, err := file.WriteString(line)
	switch {
	case err != nil && n > 0:
		err = errors.Join(err, file.Truncate(j.size))
	case err == nil:
		j.size += int64(n)
		j.lines++
		if lasting {
			err = file.Sync()
		}
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("thing: keeping readings: %w", err)
	}
	return nil
}

// rewrite puts a file with these readings alone in the place of the old one, which stays if that
// fails.
func (j *journal) rewrite(list []reading) error {
	b := []byte(j.title)
	for i := range list {
		line, err := list[i].line()
		if err != nil {
			return err
		}
		b = append(b, line...)
	}
	if err := writeLasting(j.name+".new", b); err != nil {
		return fmt.Errorf("thing: keeping readings: %w", err)
	}
	err := os.Rename(j.name+".new", j.name)
	if err == nil {
		j.size, j.lines = int64(len(b)), len(list)
		err = syncFolder(filepath.Dir(j.name))
	}
	if err != nil {
		return fmt.Errorf("thing: keeping readings: %w", err)
	}
	return nil
}

// writeLasting writes a file that a power cut does not take.
func writeLasting(name string, b []byte) error {
	file, err := os.OpenFile(name, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(b)
	return errors.Join(err, file.Sync(), file.Close())
}

// syncFolder makes a change of names last.
func syncFolder(name string) error {
	if runtime.GOOS == "windows" {
		return nil // it does so by itself, and has no way to ask
	}
	d, err := os.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
