// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/stonechat-im/stonechat/server/admin"
)

// How to read this file: UserImport is the command line, imports what it comes to. run reads the
// table (table.go), notes the passwords it makes (book.go), hands the rows to the server and takes what
// became of them, and reports.

// UserImport makes the accounts of a file.
type UserImport struct{ importing }

// importing is what importing takes.
type importing struct {
	operator
	File    string `arg:"" help:"A CSV file, as spreadsheets export it; - is standard input. Its first line names the columns."`
	Domain  string `placeholder:"NAME" help:"Of names without a domain; the first one served by default."`
	Results string `placeholder:"FILE" help:"Where the passwords go that are made, for the owner of the file alone; by default beside FILE."`
	DryRun  bool   `help:"Make nothing: say what would be made, and what is wrong."`
}

// Help says what a person asks next.
func (UserImport) Help() string { return importHelp("name and password") }

func importHelp(columns string) string {
	return `The columns are ` + columns + `. A name is one of the domain, or a whole address. Where
there is no password one is made, and noted in the results: keep them as you keep passwords.

Bad lines are told with their numbers, the others are imported all the same. An import that
was interrupted, or whose file was mended, is run again: what is there is let be.`
}

// Run implements the command.
func (c UserImport) Run() error { return c.run(false, os.Stdout, os.Stderr) }

// ThingImport makes the accounts of a file, which are things.
type ThingImport struct{ importing }

// Help says what a person asks next.
func (ThingImport) Help() string {
	return importHelp("name, password, owner (whose it is, without a claim), group (as often as there are groups) and tag:NAME")
}

// Run implements the command.
func (c ThingImport) Run() error { return c.run(true, os.Stdout, os.Stderr) }

func (c importing) run(things bool, out, report io.Writer) error {
	begun := time.Now()
	data, err := c.read()
	if err != nil {
		return err
	}
	domain := c.Domain
	if domain == "" {
		var domains []string
		if err := c.call(http.MethodGet, "/domains", nil, &domains); err != nil {
			return err
		}
		domain = domains[0]
	}
	t, err := readTable(data, domain, things)
	if err != nil {
		return fmt.Errorf("%s: %w", c.File, err)
	}
	b, err := c.passwords(t)
	if err != nil {
		return err
	}
	sum, err := c.send(t, b)
	if b != nil {
		err = errors.Join(err, b.write())
	}
	slices.SortStableFunc(t.flaws, func(a, b flaw) int { return cmp.Compare(a.line, b.line) })
	for _, f := range t.flaws {
		fmt.Fprintf(report, "%s:%d: %s\n", c.File, f.line, f.why)
	}
	would := ""
	if c.DryRun {
		would = "would be "
	}
	fmt.Fprintf(out, "%smade %d, there before %d (%d with another password, left as they are), bad %d, in %s\n", would,
		sum[admin.Made], sum[admin.There]+sum[admin.Another], sum[admin.Another], len(t.flaws), time.Since(begun).Round(time.Millisecond))
	if b != nil {
		fmt.Fprintln(out, "passwords that were made are in", b.file)
	}
	if err == nil && len(t.flaws) > 0 {
		err = fmt.Errorf("lines that are bad: %d; mend them and run it again", len(t.flaws))
	}
	return err
}

func (c importing) read() ([]byte, error) {
	if c.File == "-" {
		return io.ReadAll(io.LimitReader(os.Stdin, maxTable+1))
	}
	f, err := os.Open(c.File)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // only read
	return io.ReadAll(io.LimitReader(f, maxTable+1))
}

// passwords makes those that are missing. The book is nil where none is, and in a dry run.
func (c importing) passwords(t *table) (*book, error) {
	if c.DryRun || !slices.ContainsFunc(t.rows, func(r row) bool { return r.password == "" }) {
		return nil, nil //nolint:nilnil // there is no book
	}
	file := c.Results
	if file == "" {
		if c.File == "-" {
			return nil, errors.New("passwords are to be made: say by --results FILE where they go")
		}
		file = strings.TrimSuffix(c.File, filepath.Ext(c.File)) + ".results.csv"
	}
	b, err := openBook(file)
	if err != nil {
		return nil, err
	}
	for i := range t.rows {
		r := &t.rows[i]
		if r.password != "" {
			continue
		}
		name := r.account.String()
		r.made = true
		if was := b.lines[name]; was != nil && was.password != "" {
			r.password = was.password
			continue
		}
		r.password = rand.Text()
		b.note(name, noted{r.password, pending})
	}
	return b, b.write()
}

// send has the server make the rows. The error is that it did not get to the end.
func (c importing) send(t *table, b *book) (sum map[admin.Result]int, err error) {
	sum = map[admin.Result]int{}
	data, err := c.folder()
	if err != nil {
		return sum, err
	}
	ctx, cancel := interrupted()
	defer cancel()
	body, to := io.Pipe()
	defer body.Close() //nolint:errcheck // only ends the writing
	go func() { _ = to.CloseWithError(write(ctx, to, t.rows)) }()
	path := "/accounts/import"
	if c.DryRun {
		path += "?dry=1"
	}
	answer, err := c.request(ctx, data, http.MethodPost, path, body)
	if err != nil {
		return sum, err
	}
	defer answer.Close() //nolint:errcheck // only read
	p := newProgress("import")
	defer p.end()
	told := 0
	for lines := json.NewDecoder(answer); told < len(t.rows); told++ {
		var o admin.Outcome
		if err = lines.Decode(&o); err != nil {
			return sum, fmt.Errorf("the server has told of %d accounts of %d: run it again (%w)", told, len(t.rows), err)
		}
		sum[o.Result]++
		if o.Result == admin.Refused {
			t.flaws = append(t.flaws, flaw{o.Line, o.Why})
		}
		if b != nil {
			b.outcome(o)
		}
		p.count(told+1, len(t.rows))
	}
	return sum, nil
}

// write writes the rows as the server reads them.
func write(ctx context.Context, to io.Writer, rows []row) error {
	lines := json.NewEncoder(to)
	for _, r := range rows {
		if err := lines.Encode(admin.Entry{Line: r.line, JID: r.account.String(), Password: r.password, Random: r.made || r.password == "", Thing: r.thing}); err != nil {
			return err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return nil
}
