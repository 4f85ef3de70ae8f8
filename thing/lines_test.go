// SPDX-License-Identifier: Apache-2.0

package thing_test

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// A sensor is at most 20 lines and an actuator at most 30, as the examples here and as the whole
// programs of the guide, which other tests run and build.
func TestExamplesAreShort(t *testing.T) {
	source, err := os.ReadFile("example_test.go")
	if err != nil {
		t.Fatal(err)
	}
	guide, err := os.ReadFile("../docs/devices.md")
	if err != nil {
		t.Fatal(err)
	}
	programs := regexp.MustCompile("(?s)```go build\n(.*?)```").FindAllStringSubmatch(strings.ReplaceAll(string(guide), "\r\n", "\n"), -1)
	if len(programs) < 2 {
		t.Fatalf("the guide has %d programs", len(programs))
	}
	for i, c := range []struct {
		name string
		most int
	}{{"sensor", 20}, {"actuator", 30}} {
		example := regexp.MustCompile(`(?s)func Example_` + c.name + `\(\) \{.*?\n\}`).Find(source)
		if n := strings.Count(string(example), "\n") + 1; example == nil || n > c.most {
			t.Errorf("the example of the %s has %d lines, more than %d", c.name, n, c.most)
		}
		if n := strings.Count(programs[i][1], "\n"); n > c.most {
			t.Errorf("the program of the %s in the guide has %d lines, more than %d", c.name, n, c.most)
		}
	}
}
