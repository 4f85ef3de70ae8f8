// SPDX-License-Identifier: Apache-2.0

package lint

// How to read this file: logKeys is the rule for logs, CheckLogs applies it; CheckLimits holds the
// keys of limits against the metrics that count how often they are met.

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path"
	"regexp"
	"strconv"
	"strings"
)

// logKeys are the keys that log lines may have, so that one search finds all that concerns one
// account, one peer or one module.
var logKeys = map[string]string{
	"jid":    "an account or address of ours",
	"peer":   "a network address, or the domain of another server or component",
	"stanza": "kind or id of a stanza",
	"module": "whose line it is",
	"err":    "what went wrong",

	"from": "the sender of a stanza, or a version", "phase": "of a hook", "row": "of the spool",
	"mechanism": "of SASL", "retry": "how long until the next try", "managed": "whether a session has stream management",
	"panic": "what a part of ours panicked with", "stack": "where", "more": "lines left out since the last of this kind",
	"changed": "keys of the configuration", "keys": "the same", "domains": "served ones", "time": "a length of time",
	"route": "of an HTTP request", "status": "of its answer", "lines": "of a file",
	"topic":     "of the store",
	"direction": "of a connection: in, out", "at": "the network address of a server whose domain is the peer", "by": "what proved a name",
	"certificate": "whether it is valid", "fingerprint": "of a certificate", "bidi": "whether a stream has both directions",
	"dane": "whether DNSSEC says which certificate is right", "kind": "of an incident", "reason": "one of few",
	"parameter": "of a thing", "command": "the same", "node": "behind a thing", "value": "that a parameter was set to", "to": "a receiver, or a version",
}

// levels are the methods of a logger whose arguments are a message and then keys with values.
var levels = map[string]int{"Debug": 0, "Info": 0, "Warn": 0, "Error": 0, "complain": 0, "With": -1, "Log": 2}

// logger matches the expression of whoever logs.
var logger = regexp.MustCompile(`(?i)(^|\.)(log|logger|slog)$`)

// CheckLogs reports log lines with a message that changes, or with keys that are not agreed on.
func CheckLogs(files []File) []Finding { return checkLogs(files, logKeys) }

func checkLogs(files []File, keys map[string]string) []Finding {
	var findings []Finding
	for _, f := range files {
		if !f.isGo() || f.isTest() || f.isTestdata() || strings.HasPrefix(f.Path, "test/") || strings.HasPrefix(f.Path, "internal/lint/") {
			continue
		}
		fset := token.NewFileSet()
		parsed, err := parser.ParseFile(fset, f.Path, f.Data, parser.SkipObjectResolution)
		if err != nil {
			continue // other rules say so
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			method, ok := call.Fun.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			message, logs := levels[method.Sel.Name]
			if !logs || method.Sel.Name != "complain" && !logger.MatchString(exprString(method.X)) {
				return true
			}
			where := fmt.Sprintf("%s:%d", f.Path, fset.Position(call.Pos()).Line)
			findings = append(findings, checkLine(where, call, message, keys)...)
			return true
		})
	}
	return sorted(findings)
}

func checkLine(where string, call *ast.CallExpr, message int, keys map[string]string) (findings []Finding) {
	if message >= 0 && (len(call.Args) <= message || literal(call.Args[message]) == "") && call.Ellipsis == token.NoPos {
		findings = append(findings, Finding{where, "logs a message that is not constant", "what changes goes into a key"})
	}
	for i := message + 1; i < len(call.Args); i += 2 {
		if call.Ellipsis != token.NoPos && i == len(call.Args)-1 {
			break // handed on
		}
		key := literal(call.Args[i])
		if key == "" {
			findings = append(findings, Finding{where, "logs a key that is not constant", ""})
			break
		}
		if keys[key] == "" {
			findings = append(findings, Finding{where, "logs the key " + strconv.Quote(key), "the agreed ones are in internal/lint/keys.go"})
		}
	}
	return findings
}

// exprString is a selector as it is written.
func exprString(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		return exprString(e.X) + "." + e.Sel.Name
	}
	return ""
}

// literal is the text of a string literal, "" for anything else.
func literal(e ast.Expr) string {
	l, ok := e.(*ast.BasicLit)
	if !ok || l.Kind != token.STRING {
		return ""
	}
	text, err := strconv.Unquote(l.Value)
	if err != nil {
		return ""
	}
	return text
}

var limitKey = regexp.MustCompile("(?m)^\\s+\\w+\\s+\\w+\\s+`yaml:\"(\\w+)\"")

// CheckLimits reports limits of the configuration that no metric's help names: nobody would see
// that they are met.
func CheckLimits(files []File) []Finding {
	var limits []string
	var named strings.Builder
	for _, f := range files {
		switch {
		case f.Path == "config/config.go":
			_, text, _ := strings.Cut(string(f.Data), "\ntype Limits struct {")
			text, _, _ = strings.Cut(text, "\n}")
			for _, m := range limitKey.FindAllStringSubmatch(text, -1) {
				limits = append(limits, m[1])
			}
		case f.isGo() && !f.isTest() && !strings.HasPrefix(f.Path, "internal/lint/"):
			for line := range strings.Lines(string(f.Data)) {
				if strings.Contains(line, `"stonechat_`) {
					named.WriteString(line)
				}
			}
		}
	}
	var findings []Finding
	if len(limits) == 0 {
		findings = append(findings, Finding{path.Join("config", "config.go"), "has no limits that this rule could read", ""})
	}
	for _, key := range limits {
		if !regexp.MustCompile(`limits\.` + key + `\b`).MatchString(named.String()) {
			findings = append(findings, Finding{"limits." + key, "is named in the help of no metric", "each limit has one that tells how often it is met"})
		}
	}
	return findings
}
