// SPDX-License-Identifier: Apache-2.0

package seldom_test

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stonechat-im/stonechat/internal/seldom"
)

func TestError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		log := slog.New(slog.NewTextHandler(&out, nil))
		var c seldom.Log
		for range 5 {
			c.Error(log, "disk", "n", 1)
		}
		c.Warn(log, "another")
		c.Warn(log, "another")
		time.Sleep(time.Second)
		c.Error(log, "disk", "n", 2)
		time.Sleep(time.Second)
		c.Error(log, "disk", "n", 3)
		got := out.String()
		if strings.Count(got, "\n") != 4 || strings.Count(got, "more=4") != 1 || !strings.Contains(got, "n=2 more=4") ||
			strings.Count(got, "level=WARN msg=another") != 1 || strings.Count(got, "level=ERROR") != 3 {
			t.Errorf("log:\n%s", got)
		}
	})
}
