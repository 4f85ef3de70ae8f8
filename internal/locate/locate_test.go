// SPDX-License-Identifier: Apache-2.0

package locate_test

import (
	"math/rand/v2"
	"net"
	"slices"
	"testing"

	"github.com/stonechat-im/stonechat/internal/locate"
)

func srv(priority, weight, port uint16, host string) *net.SRV {
	return &net.SRV{Target: host + ".", Port: port, Priority: priority, Weight: weight}
}

// RFC 2782: within a priority by weight, at random.
func TestWeights(t *testing.T) {
	direct := []*net.SRV{srv(1, 60, 5223, "big"), srv(1, 0, 5223, "last")}
	starttls := []*net.SRV{srv(1, 30, 5222, "middle"), srv(0, 0, 5222, "first"), srv(1, 10, 5222, "small")}
	seeded := rand.New(rand.NewPCG(1, 2))
	second := map[string]int{}
	const rounds = 10_000
	for range rounds {
		list := locate.InOrder(slices.Clone(direct), slices.Clone(starttls), seeded.IntN)
		if len(list) != 5 || list[0] != "first:5222" {
			t.Fatal(list)
		}
		second[list[1]]++
	}
	for name, percent := range map[string]int{"big:5223": 60, "middle:5222": 30, "small:5222": 10, "last:5223": 1} {
		if n := second[name] * 100 / rounds; n < percent-3 || n > percent+3 {
			t.Errorf("%s is second in %d of 100", name, n)
		}
	}
}
