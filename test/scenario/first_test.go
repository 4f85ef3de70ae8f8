// SPDX-License-Identifier: Apache-2.0

//go:build linux

package scenario

import (
	"testing"
	"time"
)

// TestFirstDevice: a new server, an account each for somebody and a thermometer, and its reading in the chat.
func TestFirstDevice(t *testing.T) {
	began := time.Now()
	s := start(t, options{})
	owner := s.person(s.account("owner"))
	s.thing(s.account("thermometer"), "--owner", "owner@home.test", "--sine", "18,24,1h", "--field", "temperature", "--unit", "Cel", "--every", "1s")
	owner.hears("thermometer@home.test", `temperature [12]\d(\.\d+)? °C`)
	figure(t, "from nothing to a reading in the chat", time.Since(began), 5*time.Minute)
	_, took := owner.asks("thermometer@home.test", "read", `temperature`)
	figure(t, "a question and its answer", took, 5*time.Second)
}
