// SPDX-License-Identifier: Apache-2.0

package main

import (
	"go/ast"
	"go/constant"
	"go/token"
	"go/types"
	"strconv"
	"strings"
	"time"
)

// A module may say its defaults in code instead of tags:
//
//	func Default() Config { return Config{Resume: 10 * time.Minute} }
//
// These functions read such a literal without running it.

// returned is the composite literal that a function of one statement returns.
func returned(fn *ast.FuncDecl) *ast.CompositeLit {
	if fn.Body == nil || len(fn.Body.List) != 1 {
		return nil
	}
	ret, ok := fn.Body.List[0].(*ast.ReturnStmt)
	if !ok || len(ret.Results) != 1 {
		return nil
	}
	lit, _ := ret.Results[0].(*ast.CompositeLit)
	return lit
}

// values gives the fields of a literal as YAML; those it cannot tell are left out.
func values(lit *ast.CompositeLit) map[string]string {
	fields := map[string]string{}
	for _, e := range lit.Elts {
		pair, ok := e.(*ast.KeyValueExpr)
		if !ok {
			continue
		}
		if text, ok := yamlOf(pair.Value); ok {
			fields[types.ExprString(pair.Key)] = text
		}
	}
	return fields
}

func yamlOf(e ast.Expr) (string, bool) {
	if lit, ok := e.(*ast.CompositeLit); ok { // a list
		var items []string
		for _, item := range lit.Elts {
			text, ok := yamlOf(item)
			if !ok {
				return "", false
			}
			items = append(items, text)
		}
		return "[" + strings.Join(items, ", ") + "]", true
	}
	value, isTime := evaluate(e)
	switch value.Kind() {
	case constant.String:
		return strconv.Quote(constant.StringVal(value)), true
	case constant.Bool, constant.Float:
		return value.ExactString(), true
	case constant.Int:
		n, _ := constant.Int64Val(value)
		if isTime {
			return shortDuration(time.Duration(n)), true
		}
		return strconv.FormatInt(n, 10), true
	}
	return "", false
}

// evaluate computes constants, and says whether a unit of time is in them.
func evaluate(e ast.Expr) (value constant.Value, isTime bool) {
	unknown := constant.MakeUnknown()
	switch e := e.(type) {
	case *ast.BasicLit:
		return constant.MakeFromLiteral(e.Value, e.Kind, 0), false
	case *ast.Ident:
		if e.Name == "true" || e.Name == "false" {
			return constant.MakeBool(e.Name == "true"), false
		}
	case *ast.ParenExpr:
		return evaluate(e.X)
	case *ast.SelectorExpr:
		unit := map[string]time.Duration{
			"time.Microsecond": time.Microsecond, "time.Millisecond": time.Millisecond, "time.Second": time.Second,
			"time.Minute": time.Minute, "time.Hour": time.Hour,
		}[types.ExprString(e)]
		if unit > 0 {
			return constant.MakeInt64(int64(unit)), true
		}
	case *ast.CallExpr: // a conversion, like config.Duration(time.Second)
		if len(e.Args) == 1 {
			return evaluate(e.Args[0])
		}
	case *ast.BinaryExpr:
		x, timeX := evaluate(e.X)
		y, timeY := evaluate(e.Y)
		if x.Kind() != constant.Int || y.Kind() != constant.Int {
			return unknown, false
		}
		switch e.Op {
		case token.SHL:
			n, _ := constant.Uint64Val(y)
			return constant.Shift(x, e.Op, uint(min(n, 62))), timeX
		case token.ADD, token.SUB, token.MUL:
			return constant.BinaryOp(x, e.Op, y), timeX || timeY
		}
	}
	return unknown, false
}

// shortDuration writes 10m, where time.Duration writes 10m0s.
func shortDuration(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}
