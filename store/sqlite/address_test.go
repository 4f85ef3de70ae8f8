// SPDX-License-Identifier: Apache-2.0

package sqlite

import (
	"fmt"
	"strings"
	"testing"
)

func TestIDs(t *testing.T) {
	c := newIDs()
	want := func(key string, id int64) {
		t.Helper()
		if got, ok := c.get(key); got != id || ok != (id != 0) {
			t.Errorf("%s is %d, %v; want %d", key, got, ok, id)
		}
	}
	c.put("a", 1)
	c.settle()
	c.put("b", 2)
	mark := len(c.learned)
	c.put("c", 3)
	c.unlearn(mark)
	want("a", 1)
	want("b", 2)
	want("c", 0)
	c.unlearn(0)
	want("a", 1)
	want("b", 0)
	c.forget("a")
	want("a", 0)
}

func TestIDsAreBounded(t *testing.T) {
	c := newIDs()
	c.put("often", 1)
	long := strings.Repeat("x", 3000)
	for i := range int64(5000) {
		c.put(fmt.Sprint(i, long), i+2)
		c.settle()
		if _, ok := c.get("often"); !ok {
			t.Fatalf("what is used all the time was forgotten after %d others", i)
		}
		if n := len(c.young) + len(c.old); n*len(long) > 2*idsBytes+4*len(long) {
			t.Fatalf("%d addresses of %d bytes are remembered", n, len(long))
		}
	}
	if _, ok := c.get("0" + long); ok {
		t.Error("the oldest is still remembered")
	}
	c.put("new", 1)
	c.unlearn(0)
	if _, ok := c.get("new"); ok {
		t.Error("what was undone is remembered")
	}
}
