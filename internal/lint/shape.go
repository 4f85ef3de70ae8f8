// SPDX-License-Identifier: Apache-2.0

package lint

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"path"
	"slices"
)

// maxParameters is how many parameters one can hold in mind at a call; more are fields of a struct, which have names there.
const maxParameters = 6

// vague are names of packages that say nothing of what is in them.
var vague = []string{"util", "utils", "common", "helper", "helpers", "types", "manager", "misc", "base", "shared"}

// keptContexts are structs that have a context, each with its reason. The key is the package's folder, a dot and the name.
var keptContexts = map[string]string{
	"cmd/stonechat.household":    "all that the demo runs, whose cause is what failed",
	"component.inbox":            "the handlers', which the component's end ends",
	"internal/componenttest.bed": "the test's",
	"internal/bench.mqttPart":    "the workload's",
	"internal/bench.robots":      "the workload's",
	"internal/bench.sdkOwners":   "the workload's",
	"internal/bench.sdkThings":   "the workload's",
	"internal/link.Entity":       "its life, which Stop ends",
	"internal/dns.Resolver":      "its life, which Close ends: questions are shared by those who ask",
	"module/bookmarks.job":       "the asker's: a job is done by a worker",
	"module/pubsub.request":      "the request's, which goes from step to step as one",
	"server/s2s.Service":         "its life, which Shutdown ends: of goroutines that connections start",
	"thing.Thing":                "its life, that of Run",
}

// CheckShape reports packages with names that say nothing, functions with too many parameters or with a context that is not the first
// of them, and structs that keep a context, tests excepted.
func CheckShape(files []File) []Finding { return checkShape(files, keptContexts) }

func checkShape(files []File, kept map[string]string) []Finding {
	var findings []Finding
	used := map[string]bool{}
	fset := token.NewFileSet()
	for _, f := range files {
		if !f.isGo() || f.isTest() || f.isTestdata() {
			continue
		}
		parsed, err := parser.ParseFile(fset, f.Path, f.Data, parser.SkipObjectResolution)
		if err != nil {
			continue // CheckSyntax says it
		}
		report := func(n ast.Node, what, why string) {
			findings = append(findings, Finding{fmt.Sprintf("%s:%d", f.Path, fset.Position(n.Pos()).Line), what, why})
		}
		if slices.Contains(vague, parsed.Name.Name) {
			report(parsed.Name, "is of a package called "+parsed.Name.Name, "name it by what it does")
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncType:
				parameters := 0
				for _, field := range n.Params.List {
					if isContext(field.Type) && parameters > 0 {
						report(field, "has a context that is not the first parameter", "where it is looked for")
					}
					parameters += max(1, len(field.Names))
				}
				if parameters > maxParameters {
					report(n, fmt.Sprintf("has %d parameters", parameters), fmt.Sprintf("more than %d are fields of a struct", maxParameters))
				}
			case *ast.TypeSpec:
				key := path.Dir(f.Path) + "." + n.Name.Name
				if s, ok := n.Type.(*ast.StructType); ok && slices.ContainsFunc(s.Fields.List, func(f *ast.Field) bool { return isContext(f.Type) }) {
					if used[key] = true; kept[key] == "" {
						report(n, n.Name.Name+" keeps a context", "a context is handed from call to call; one that lasts has a row with the reason in internal/lint/shape.go")
					}
				}
			}
			return true
		})
	}
	for key := range kept {
		if !used[key] {
			findings = append(findings, Finding{key, "needs its row in internal/lint/shape.go no more", ""})
		}
	}
	return sorted(findings)
}

func isContext(e ast.Expr) bool { return types.ExprString(e) == "context.Context" }
