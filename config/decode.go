// SPDX-License-Identifier: Apache-2.0

package config

// How to read this file: parse makes a tree of YAML nodes, fill puts defaults
// and then the nodes into the fields of a struct, value decides by the kind of
// a field. Everything that is wrong is noted by fail with its line and key and
// the rest is read on, so that an operator sees all errors at once.

import (
	"encoding"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// maxErrors of one file are reported; maxDepth is how deep its values nest.
const (
	maxErrors = 50
	maxDepth  = 100
)

// Error is one thing that is wrong with a configuration file.
type Error struct {
	File    string
	Line    int    // from 1; 0 if it belongs to no line
	Key     string // the path of the key, "limits.stanza_bytes"; may be empty
	Problem string
}

func (e *Error) Error() string {
	s := e.File
	if e.Line > 0 {
		s += ":" + strconv.Itoa(e.Line)
	}
	if e.Key != "" {
		s += ": " + e.Key
	}
	return strings.TrimPrefix(s+": "+e.Problem, ": ")
}

// Errors is all that is wrong with a configuration file, in order of lines.
type Errors []*Error

func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i := range e {
		lines[i] = e[i].Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap lets errors.As find an [Error].
func (e Errors) Unwrap() []error {
	all := make([]error, len(e))
	for i := range e {
		all[i] = e[i]
	}
	return all
}

// decoder reads one file.
type decoder struct {
	file  string
	lines map[string]int // where each key that the file has stands
	errs  Errors
}

func (d *decoder) fail(line int, key, format string, args ...any) {
	if len(d.errs) < maxErrors {
		d.errs = append(d.errs, &Error{d.file, line, key, fmt.Sprintf(format, args...)})
		slices.SortStableFunc(d.errs, func(a, b *Error) int { return a.Line - b.Line })
	}
}

// lineOf returns where a key stands, or the nearest key around it.
func (d *decoder) lineOf(key string) int {
	for {
		if line, ok := d.lines[key]; ok {
			return line
		}
		i := strings.LastIndexAny(key, ".[")
		if i < 0 {
			return 0
		}
		key = key[:i]
	}
}

// parse returns the one document of a file, nil if it is empty or not YAML.
func (d *decoder) parse(data []byte) (root ast.Node) {
	if len(data) > maxFile {
		d.fail(0, "", "is larger than %d bytes", maxFile)
		return nil
	}
	if line := tooDeep(data); line > 0 {
		d.fail(line, "", "nests deeper than %d", maxDepth)
		return nil
	}
	defer func() {
		if r := recover(); r != nil { // the parser's own; a file must never end the program without a word
			d.fail(0, "", "is not YAML: %v", r)
			root = nil
		}
	}()
	file, err := parser.ParseBytes(data, 0)
	if err != nil {
		line, problem := 0, err.Error()
		if at, ok := errors.AsType[yaml.Error](err); ok {
			problem = at.GetMessage()
			if t := at.GetToken(); t != nil && t.Position != nil {
				line = t.Position.Line
			}
		}
		if strings.Contains(problem, "'\t'") {
			problem += "; YAML is indented by spaces, not by tabs"
		}
		d.fail(line, "", "is not YAML: %s", problem)
		return nil
	}
	for _, doc := range file.Docs {
		if doc.Body == nil {
			continue
		}
		if root != nil {
			d.fail(lineOf(doc.Body), "", "is a second document; a configuration is one")
			return nil
		}
		root = doc.Body
	}
	return root
}

// tooDeep returns the line on which brackets nest deeper than maxDepth, or 0.
// It is coarse, and keeps the parser from recursing without end; value counts.
func tooDeep(data []byte) int {
	line, depth, dashes := 1, 0, 0
	for i, c := range data {
		switch c {
		case '\n':
			line++
			dashes = 0
		case '[', '{':
			depth++
		case ']', '}':
			depth--
		case '-', '?':
			if i+1 < len(data) && (data[i+1] == ' ' || data[i+1] == '\t') {
				dashes++
			}
		}
		if depth > maxDepth || dashes > maxDepth {
			return line
		}
	}
	return 0
}

func lineOf(n ast.Node) int {
	if n == nil {
		return 0
	}
	if t := n.GetToken(); t != nil && t.Position != nil {
		return t.Position.Line
	}
	return 0
}

// fill puts the defaults of a struct's tags into its empty fields, then the
// values of the file. Into is a pointer to a struct.
func (d *decoder) fill(into any, n ast.Node, path string) {
	v := reflect.ValueOf(into).Elem()
	d.defaults(v, path)
	if n != nil {
		d.value(n, v, path, 0)
	}
}

// defaults fills the empty fields of a struct from the tags `default`.
func (d *decoder) defaults(v reflect.Value, path string) {
	for i := range v.NumField() {
		f, tag := v.Field(i), v.Type().Field(i).Tag
		key := join(path, tag.Get("yaml"))
		text, ok := tag.Lookup("default")
		switch {
		case !f.CanSet() || !f.IsZero():
		case ok && text != "":
			own := &decoder{file: "default of " + key, lines: map[string]int{}}
			own.value(own.parse([]byte(text)), f, key, 0)
			d.errs = append(d.errs, own.errs...)
		case f.Kind() == reflect.Struct:
			d.defaults(f, key)
		}
	}
}

// taker is a field that keeps the node itself.
type taker interface {
	take(d *decoder, n ast.Node, path string)
}

// value puts a node into a field by the field's kind.
func (d *decoder) value(n ast.Node, v reflect.Value, path string, depth int) {
	switch n.(type) {
	case *ast.NullNode, nil:
		return // a key without a value keeps its default
	case *ast.AnchorNode, *ast.AliasNode, *ast.TagNode, *ast.MergeKeyNode, *ast.DirectiveNode:
		d.fail(lineOf(n), path, "anchors, aliases and tags are not read here; write the value")
		return
	}
	if depth > maxDepth {
		d.fail(lineOf(n), path, "nests deeper than %d", maxDepth)
		return
	}
	if t, ok := v.Addr().Interface().(taker); ok {
		t.take(d, n, path)
		return
	}
	if u, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		if text, ok := d.scalar(n, path); ok {
			if err := u.UnmarshalText([]byte(text)); err != nil {
				d.fail(lineOf(n), path, "%v", err)
			}
		}
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		d.fields(n, v, path, depth)
	case reflect.Map:
		d.entries(n, v, path, depth)
	case reflect.Slice:
		seq, ok := n.(*ast.SequenceNode)
		if !ok {
			d.fail(lineOf(n), path, "is not a list")
			return
		}
		list := reflect.MakeSlice(v.Type(), len(seq.Values), len(seq.Values))
		for i, item := range seq.Values {
			key := fmt.Sprintf("%s[%d]", path, i)
			d.lines[key] = lineOf(item)
			if item == nil || item.Type() == ast.NullType {
				d.fail(lineOf(seq), key, "is empty")
				continue
			}
			d.value(item, list.Index(i), key, depth+1)
		}
		v.Set(list)
	default:
		if text, ok := d.scalar(n, path); ok {
			if problem := set(v, text, n); problem != "" {
				d.fail(lineOf(n), path, "%s", problem)
			}
		}
	}
}

// scalar returns the text of a value that is neither list nor map.
func (d *decoder) scalar(n ast.Node, path string) (string, bool) {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		return n.Value.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		return n.GetToken().Value, true // as written: a secret 0123 keeps its zero
	}
	d.fail(lineOf(n), path, "is not a single value")
	return "", false
}

// set puts the text of a scalar into a field, or says what is wrong with it.
func set(v reflect.Value, text string, n ast.Node) string {
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
	case reflect.Bool:
		b, ok := n.(*ast.BoolNode)
		if !ok {
			return fmt.Sprintf("%q is neither true nor false", text)
		}
		v.SetBool(b.Value)
	case reflect.Int64:
		if v.Type() == reflect.TypeFor[time.Duration]() {
			t, err := parseDuration(text)
			if err != nil {
				return err.Error()
			}
			v.SetInt(int64(t))
			return ""
		}
		return setInt(v, text)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32:
		return setInt(v, text)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		u, err := strconv.ParseUint(text, 10, v.Type().Bits())
		if err != nil {
			return fmt.Sprintf("%q is not a whole number from 0 that fits", text)
		}
		v.SetUint(u)
	case reflect.Float64:
		f, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return fmt.Sprintf("%q is not a number", text)
		}
		v.SetFloat(f)
	default:
		return fmt.Sprintf("a field of type %s cannot be configured", v.Type())
	}
	return ""
}

func setInt(v reflect.Value, text string) string {
	i, err := strconv.ParseInt(text, 10, v.Type().Bits())
	if err != nil {
		return fmt.Sprintf("%q is not a whole number that fits", text)
	}
	v.SetInt(i)
	return ""
}

// fields fills a struct; a key that no field has is an error.
func (d *decoder) fields(n ast.Node, v reflect.Value, path string, depth int) {
	known := map[string]int{}
	for i := range v.NumField() {
		if name := v.Type().Field(i).Tag.Get("yaml"); name != "" {
			known[name] = i
		}
	}
	for key, item := range d.pairs(n, path) {
		full := join(path, key)
		i, ok := known[key]
		if !ok {
			d.fail(d.lines[full], full, "there is no such key%s", nearest(key, known))
			continue
		}
		before := len(d.errs)
		d.value(item, v.Field(i), full, depth+1)
		if len(d.errs) == before {
			d.restrict(v.Type().Field(i), v.Field(i), full)
		}
	}
}

// restrict holds a value of the file against the tags of its field.
func (d *decoder) restrict(f reflect.StructField, v reflect.Value, key string) {
	line := d.lines[key]
	if allowed, ok := f.Tag.Lookup("oneof"); ok {
		if later := f.Tag.Get("later"); later != "" && slices.Contains(strings.Fields(later), v.String()) {
			d.fail(line, key, "%q is not built yet; it is one of: %s", v.String(), allowed)
		} else if !slices.Contains(strings.Fields(allowed), v.String()) {
			d.fail(line, key, "%q is none of: %s", v.String(), allowed)
		}
	}
	if f.Tag.Get("none") == "no" && v.IsZero() {
		d.fail(line, key, "there must be a length of time: `none` would be over at once")
	}
	if what, ok := f.Tag.Lookup("unbuilt"); ok {
		empty := reflect.New(reflect.StructOf([]reflect.StructField{f})).Elem()
		d.defaults(empty, "")
		same := reflect.DeepEqual(empty.Field(0).Interface(), v.Interface())
		if isList := v.Kind() == reflect.Slice || v.Kind() == reflect.Map; isList && v.Len() == 0 {
			same = true
		}
		if !same {
			d.fail(line, key, "is not built yet: %s", what)
		}
	}
}

// entries fills a map with keys of strings.
func (d *decoder) entries(n ast.Node, v reflect.Value, path string, depth int) {
	m := reflect.MakeMap(v.Type())
	for key, item := range d.pairs(n, path) {
		element := reflect.New(v.Type().Elem()).Elem()
		full := join(path, key)
		if element.Kind() == reflect.Struct {
			d.defaults(element, full)
		}
		d.value(item, element, full, depth+1)
		m.SetMapIndex(reflect.ValueOf(key).Convert(v.Type().Key()), element)
	}
	v.Set(m)
}

// pairs yields the keys and values of a map and notes their lines. A key that
// stands twice, or is no plain word, is an error.
func (d *decoder) pairs(n ast.Node, path string) func(yield func(string, ast.Node) bool) {
	return func(yield func(string, ast.Node) bool) {
		var values []*ast.MappingValueNode
		switch n := n.(type) {
		case *ast.MappingNode:
			values = n.Values
		case *ast.MappingValueNode:
			values = []*ast.MappingValueNode{n}
		default:
			d.fail(lineOf(n), path, "is not a list of keys with values")
			return
		}
		seen := map[string]bool{}
		for _, value := range values {
			key, ok := "", false
			switch k := value.Key.(type) {
			case *ast.StringNode:
				key, ok = k.Value, true
			case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
				key, ok = k.GetToken().Value, true
			}
			line := lineOf(value.Key)
			switch {
			case !ok:
				d.fail(line, path, "a key must be a plain word")
			case seen[key]:
				d.fail(line, join(path, key), "stands twice")
			default:
				seen[key] = true
				d.lines[join(path, key)] = line
				if !yield(key, value.Value) {
					return
				}
			}
		}
	}
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// nearest suggests a known key for a misspelt one.
func nearest(key string, known map[string]int) string {
	best, least := "", 3
	for name := range known {
		if n := distance(key, name); n < least || n == least && best != "" && name < best {
			best, least = name, n
		}
	}
	if best == "" {
		return ""
	}
	return "; did you mean " + best + "?"
}

// distance counts the letters to change, add or drop (Levenshtein).
func distance(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return 64
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		corner := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := corner
			if a[i] != b[j] {
				change++
			}
			corner = row[j+1]
			row[j+1] = min(change, row[j+1]+1, row[j]+1)
		}
	}
	return row[len(b)]
}
