// SPDX-License-Identifier: Apache-2.0

package bench

import (
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// number formats with three significant digits, and whole from a hundred on.
func number(v float64) string {
	if v == 0 || math.IsNaN(v) || math.IsInf(v, 0) {
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	decimals := 2 - int(math.Floor(math.Log10(math.Abs(v))))
	return strconv.FormatFloat(v, 'f', min(max(decimals, 0), 4), 64)
}

// Range is a median with the least and the greatest round behind it.
func (f *Figure) Range() string { return spread(f.Median, f.Min, f.Max) }

func (r Ratio) String() string { return spread(r.Median, r.Min, r.Max) }

func spread(median, least, greatest float64) string {
	if least == greatest {
		return number(median)
	}
	return fmt.Sprintf("%s [%s–%s]", number(median), number(least), number(greatest))
}

// Rows returns the report as a table: a head, then one row per target.
func (rep *Report) Rows() [][]string {
	type column struct{ name, to string } // to: of a ratio
	head := []string{"target"}
	var columns []column
	seen := make(map[column]bool)
	put := func(c column, title string) {
		if !seen[c] {
			seen[c] = true
			columns, head = append(columns, c), append(head, title)
		}
	}
	for i := range rep.Results {
		for _, f := range rep.Results[i].Figures {
			put(column{name: f.Name}, strings.TrimSuffix(f.Name+", "+f.Unit, ", "))
		}
	}
	compared := make(map[string]bool)
	for i := range rep.Results {
		for _, f := range rep.Results[i].Figures {
			if len(f.Ratios) > 0 {
				compared[f.Name] = true
			}
		}
	}
	for i := range rep.Results {
		for _, f := range rep.Results[i].Figures {
			for _, r := range f.Ratios {
				title := "× " + r.To
				if len(compared) > 1 {
					title = f.Name + " " + title
				}
				put(column{f.Name, r.To}, title)
			}
		}
	}
	rows := [][]string{head}
	for i := range rep.Results {
		r := &rep.Results[i]
		name := r.Target
		if r.Security != Plain {
			name += " (TLS)"
		}
		row := []string{name}
		for _, c := range columns {
			cell := "–"
			if f := r.Figure(c.name); f != nil && c.to == "" {
				cell = f.Range()
			} else if f != nil {
				for _, ratio := range f.Ratios {
					if ratio.To == c.to {
						cell = ratio.String()
					}
				}
			}
			row = append(row, cell)
		}
		rows = append(rows, row)
	}
	return rows
}

// upright is a table of few targets and many figures with a line for each figure.
func upright(rows [][]string) [][]string {
	const wide = 16 // columns that can be read beside each other
	if len(rows[0]) <= wide {
		return rows
	}
	turned := make([][]string, len(rows[0]))
	for i := range turned {
		for _, row := range rows {
			turned[i] = append(turned[i], row[i])
		}
	}
	return turned
}

// WriteText writes the report for a terminal, faults below the table.
func (rep *Report) WriteText(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s; %d rounds\n", rep.Workload, rep.Summary, rep.Rounds)
	m := rep.Machine
	fmt.Fprintf(&b, "%s, %d cores, %d GiB, Linux %s, %s, %s\n", m.CPU, m.Cores, m.Memory>>30, m.Kernel, m.OS, m.Go)
	for i := range rep.Results {
		if v := rep.Results[i].Version; v != "" {
			fmt.Fprintf(&b, "%s: %s\n", rep.Results[i].Target, v)
		}
	}
	rows := upright(rep.Rows())
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	for _, row := range rows {
		for i, cell := range row {
			pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			if i > 0 {
				b.WriteString("  ")
				cell, pad = pad+cell, ""
			}
			b.WriteString(cell + pad)
		}
		b.WriteByte('\n')
	}
	b.WriteString(rep.faultLines(""))
	_, err := io.WriteString(w, b.String())
	return err
}

// WriteMarkdown writes the table and the faults for a document.
func (rep *Report) WriteMarkdown(w io.Writer) error {
	var b strings.Builder
	for i, row := range upright(rep.Rows()) {
		b.WriteString("| " + strings.Join(row, " | ") + " |\n")
		if i == 0 {
			b.WriteString("|---|" + strings.Repeat("--:|", len(row)-1) + "\n")
		}
	}
	if faults := rep.faultLines("* "); faults != "" {
		b.WriteString("\n" + faults)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (rep *Report) faultLines(mark string) string {
	var b strings.Builder
	for i := range rep.Results {
		for _, f := range rep.Results[i].Faults {
			fmt.Fprintf(&b, "%sFAULT %s: %s\n", mark, rep.Results[i].Target, f)
		}
	}
	return b.String()
}
