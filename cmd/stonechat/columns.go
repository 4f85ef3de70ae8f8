// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// How to read this file: listing prints lists that come in pages, in columns or as a JSON array; describe prints all of one thing.

// listing is how lists are asked for.
type listing struct {
	After   string   `placeholder:"NAME" help:"Only those whose names come after this one, to go on after a part."`
	Limit   int      `placeholder:"N" help:"At most so many; all by default."`
	Find    string   `placeholder:"TEXT" help:"Only those with this text in their names."`
	Columns []string `placeholder:"NAME,…" help:"These columns, in this order."`
	JSON    bool     `name:"json" help:"A JSON array, with all there is to know."`
}

// column is one of a table.
type column[T any] struct {
	name string
	text func(x T) string
	rest bool // shown only when it is asked for
}

// list prints all that page returns until a page is empty, up to the limit. after is where the next page begins.
func list[T any](l *listing, columns []column[T], after func(x T) string, page func(after string) ([]T, error)) error {
	shown, err := choose(columns, l.Columns)
	if err != nil {
		return err
	}
	var write func(x T) error
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	var begin func()
	end := table.Flush
	n := 0
	if l.JSON {
		begin, end = func() { fmt.Print("[") }, func() error { _, err := fmt.Println("]"); return err }
		write = func(x T) error {
			if n > 1 {
				fmt.Print(",")
			}
			return json.NewEncoder(os.Stdout).Encode(x)
		}
	} else {
		begin = func() { cells(table, shown, func(c column[T]) string { return strings.ToUpper(c.name) }) }
		write = func(x T) error {
			cells(table, shown, func(c column[T]) string { return c.text(x) })
			return nil
		}
	}
	for at := l.After; ; {
		all, err := page(at)
		if err != nil {
			return err
		}
		if n == 0 {
			begin() // not before an error
		}
		for _, x := range all {
			if l.Limit > 0 && n == l.Limit {
				return end()
			}
			n++
			if err := write(x); err != nil {
				return err
			}
			at = after(x)
		}
		if len(all) == 0 || n == l.Limit {
			return end()
		}
	}
}

// cells writes a line.
func cells[T any](w io.Writer, columns []column[T], cell func(c column[T]) string) {
	texts := make([]string, len(columns))
	for i, c := range columns {
		texts[i] = printable(cell(c))
	}
	_, _ = fmt.Fprintln(w, strings.Join(texts, "\t")) // Flush tells
}

// printable is text on one line of a terminal: people name rooms as they like.
func printable(s string) string {
	return strings.Map(func(c rune) rune {
		if c < ' ' || c == 0x7f || c >= 0x80 && c < 0xa0 {
			return '?'
		}
		return c
	}, s)
}

func choose[T any](columns []column[T], names []string) (shown []column[T], err error) {
	var known []string
	for _, c := range columns {
		known = append(known, c.name)
		if len(names) == 0 && !c.rest {
			shown = append(shown, c)
		}
	}
	for _, name := range names {
		i := slices.Index(known, name)
		if i < 0 {
			return nil, fmt.Errorf("there is no column %q: there are %s", name, strings.Join(known, ", "))
		}
		shown = append(shown, columns[i])
	}
	return shown, nil
}

// describe prints what columns say of x, a line each, and then options.
func describe[T any](x T, columns []column[T], options map[string][]string, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(os.Stdout).Encode(x)
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	for _, c := range columns {
		if text := c.text(x); text != "" {
			_, _ = fmt.Fprintf(w, "%s\t%s\n", c.name, printable(text))
		}
	}
	names := make([]string, 0, len(options))
	for name := range options {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		_, _ = fmt.Fprintf(w, "%s\t%s\n", name, printable(strings.Join(options[name], ", ")))
	}
	return w.Flush()
}

func moment(t time.Time) string { return t.Local().Format(time.DateTime) }

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}
