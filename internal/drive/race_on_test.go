// SPDX-License-Identifier: Apache-2.0

//go:build race

package drive_test

const raceEnabled = true
