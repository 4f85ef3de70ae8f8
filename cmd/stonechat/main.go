// SPDX-License-Identifier: Apache-2.0

// Command stonechat is the server, its administration, and tools for things and people that use it.
package main

import (
	"errors"
	"fmt"
	"os"
	"runtime/debug"

	"github.com/alecthomas/kong"

	"github.com/stonechat-im/stonechat/config"
)

// commands are the program's, each in a file of its name.
type commands struct {
	Serve   Serve   `cmd:"" help:"Run the server."`
	Demo    Demo    `cmd:"" help:"Run a server with a small home in it, to try things out."`
	User    User    `cmd:"" help:"Administer the accounts of a running server."`
	Room    Room    `cmd:"" help:"Administer the rooms of a running server."`
	Node    Node    `cmd:"" help:"Administer the publish-subscribe nodes of a running server."`
	Check   Check   `cmd:"" help:"Look for what is wrong with a server, and say what to change."`
	Trace   Trace   `cmd:"" help:"Tell live what a running server does with the stanzas of an account."`
	Backup  Backup  `cmd:"" help:"Copy what a server keeps, while it runs or not."`
	Restore Restore `cmd:"" help:"Put a backup back."`
	Send    Send    `cmd:"" help:"Send messages."`
	Listen  Listen  `cmd:"" help:"Print what arrives."`
	Thing   Thing   `cmd:"" help:"Administer the things of a running server, or be one, from the command line."`
	Bench   Bench   `cmd:"" help:"Load any XMPP or MQTT server, and print what that cost it."`

	Completion Completion `cmd:"" help:"Print what makes a shell complete these commands."`
	Man        Man        `cmd:"" help:"Print the manual page."`

	Version Version `cmd:"" help:"Print the version, and what is compiled in."`
}

func main() {
	var c commands
	k := kong.Parse(&c,
		kong.Name("stonechat"),
		kong.Description("Things that talk: an XMPP server for people and devices."),
		kong.UsageOnError(),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
	)
	if err := k.Run(); err != nil {
		var es config.Errors
		if errors.As(err, &es) {
			for _, e := range es {
				fmt.Fprintln(os.Stderr, e)
			}
		} else {
			fmt.Fprintln(os.Stderr, "stonechat:", err)
		}
		os.Exit(1)
	}
}

// Version prints the version.
type Version struct{}

// Run implements the command.
func (Version) Run() error {
	fmt.Println("stonechat", buildVersion())
	if info, ok := debug.ReadBuildInfo(); ok {
		fmt.Println(info.GoVersion)
		for _, d := range info.Deps {
			fmt.Println(" ", d.Path, d.Version)
		}
	}
	return nil
}

// buildVersion is the module's version, or the commit it was built from.
func buildVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			return "devel-" + s.Value[:12]
		}
	}
	return "devel"
}
