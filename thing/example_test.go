// SPDX-License-Identifier: Apache-2.0

//go:build unix

package thing_test

import (
	"context"
	"fmt"
	"time"

	"github.com/stonechat-im/stonechat/thing"
)

// A sensor: the whole program. Its account, password and owner are in the environment.
func Example_sensor() {
	thing.Main(thing.Config{
		Name:  "Thermometer",
		Every: time.Minute,
		Read: func(context.Context) ([]thing.Field, error) {
			return []thing.Field{{Name: "temperature", Value: thing.Number(21.5), Unit: "Cel"}}, nil
		},
	})
	// Output: the owner reads: temperature 21.5 °C
}

// An actuator: the whole program. Its account, password and owner are in the environment.
func Example_actuator() {
	on := false
	thing.Main(thing.Config{
		Name: "Lamp",
		Parameters: []thing.Parameter{{
			Name: "lamp", Kind: thing.Boolean,
			Set: func(_ context.Context, v thing.Value) error {
				on = v.Bool()
				fmt.Println("the lamp is", v)
				return nil
			},
			Get: func(context.Context) (thing.Value, error) { return thing.Bool(on), nil },
		}},
	})
	// Output:
	// the owner writes: set lamp on
	// the lamp is on
	// the owner reads: done: lamp on
}
