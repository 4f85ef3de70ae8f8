// SPDX-License-Identifier: Apache-2.0

package main

import (
	"slices"
	"testing"

	"github.com/stonechat-im/stonechat/config"
	"github.com/stonechat-im/stonechat/internal/lint"
	"github.com/stonechat-im/stonechat/server"
)

// What a default server says that it can do (XEP-0030) is what doap.xml claims.
func TestFeaturesAreClaimed(t *testing.T) {
	c := config.Default()
	c.Data = t.TempDir()
	c.Listen.HTTP, c.Listen.HTTPS, c.Listen.Server, c.Listen.ServerTLS = nil, nil, nil, nil
	c.Listen.Client, c.Listen.ClientTLS, c.Listen.Metrics = []string{"127.0.0.1:0"}, nil, nil
	in, err := start(c, "")
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := in.stop(); err != nil {
			t.Error(err)
		}
	}()
	root, err := lint.Root()
	if err != nil {
		t.Fatal(err)
	}
	// The answers of module disco are made of these lists.
	features := slices.Concat(in.server.Features(server.AtHost), in.server.Features(server.AtAccount))
	findings, err := lint.CheckFeatures(root, features)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range findings {
		t.Error(f)
	}
}

// What documents configure, the modules read as strictly as the rest of it, of which the examples' own test knows.
func TestExamplesOfModules(t *testing.T) {
	root, err := lint.Root()
	if err != nil {
		t.Fatal(err)
	}
	files, err := lint.Files(root)
	if err != nil {
		t.Fatal(err)
	}
	examples, _ := lint.Examples(files)
	read := 0
	for _, e := range examples {
		if e.Lang != "yaml" || e.Act != "config" {
			continue
		}
		c, err := config.Parse(e.Where, []byte(e.Text))
		if err == nil {
			_, err = modules(c)
		}
		if err != nil {
			t.Error(err)
		}
		read++
	}
	if read < 10 {
		t.Errorf("only %d examples were found", read)
	}
}
