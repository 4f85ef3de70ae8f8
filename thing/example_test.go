// SPDX-License-Identifier: Apache-2.0

//go:build unix

package thing_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"os/signal"
	"time"

	"github.com/stonechat-im/stonechat/thing"
)

// A sensor: the whole program.
func Example_sensor() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	config, err := thing.Environment() // the account, its password, the owner
	if err != nil {
		log.Fatal(err)
	}
	config.Name = "Thermometer"
	config.Every = time.Minute
	config.Read = func(context.Context) ([]thing.Field, error) {
		return []thing.Field{{Name: "temperature", Value: thing.Number(21.5), Unit: "Cel"}}, nil
	}
	if err := thing.Run(ctx, config); err != nil {
		log.Fatal(err)
	}
	// Output: the owner reads: temperature 21.5 °C
}

// An actuator: the whole program.
func Example_actuator() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	config, err := thing.Environment() // the account, its password, the owner
	if err != nil {
		log.Fatal(err)
	}
	config.Name = "Lamp"
	config.Parameters = []thing.Parameter{{
		Name: "lamp", Kind: thing.Boolean,
		Set: func(_ context.Context, v thing.Value) error {
			fmt.Println("the lamp is", v)
			return nil
		},
	}}
	if err := thing.Run(ctx, config); err != nil {
		log.Fatal(err)
	}
	// Output:
	// the owner writes: set lamp on
	// the lamp is on
	// the owner reads: done: lamp on
}
