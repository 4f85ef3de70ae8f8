// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/stonechat-im/stonechat/server/admin"
)

// ThingToken administers the tokens by which things register.
type ThingToken struct {
	Add    TokenAdd    `cmd:"" help:"Make a token. It is shown now, and never again."`
	List   TokenList   `cmd:"" help:"List the tokens."`
	Revoke TokenRevoke `cmd:"" help:"Revoke a token: nothing registers with it any more. What has registered stays."`
}

// TokenAdd makes one.
type TokenAdd struct {
	operator
	Uses    int               `required:"" placeholder:"N" help:"How many things may register with it."`
	Expires time.Duration     `default:"720h" placeholder:"TIME" help:"How long it can be used: 720h. 0 is for ever."`
	Domain  string            `placeholder:"NAME" help:"Where they register; the first domain served by default."`
	Group   []string          `sep:"none" placeholder:"NAME" help:"A group into which they come. Again for another."`
	Tag     map[string]string `mapsep:"none" placeholder:"NAME=VALUE" help:"A tag that they are given. Again for another."`
	Note    string            `help:"For yourself."`
	JSON    bool              `name:"json" help:"As JSON."`
}

// TokenList lists them.
type TokenList struct {
	operator
	JSON bool `name:"json" help:"A line of JSON for each."`
}

// TokenRevoke revokes one.
type TokenRevoke struct {
	operator
	ID string `arg:"" help:"What stands first in the list."`
}

// Run implements the command.
func (c TokenAdd) Run() error {
	in := admin.Token{Uses: c.Uses, Domain: c.Domain, Groups: c.Group, Tags: c.Tag, Note: c.Note}
	if c.Expires != 0 {
		in.Expires = time.Now().Add(c.Expires)
	}
	var out admin.Token
	if err := c.call(http.MethodPost, "/tokens", in, &out); err != nil {
		return err
	}
	if c.JSON {
		return json.NewEncoder(os.Stdout).Encode(out)
	}
	_, err := fmt.Printf("token  %s\nuri    %s\nid     %s\n", out.Token, out.URI, out.ID)
	return err
}

// Run implements the command.
func (c TokenList) Run() error {
	for after := ""; ; {
		var page []admin.Token
		if err := c.call(http.MethodGet, "/tokens?"+url.Values{"after": {after}}.Encode(), nil, &page); err != nil {
			return err
		}
		if len(page) == 0 {
			return nil
		}
		after = page[len(page)-1].ID
		for _, t := range page {
			if c.JSON {
				if err := json.NewEncoder(os.Stdout).Encode(t); err != nil {
					return err
				}
				continue
			}
			fmt.Println(tokenText(&t))
		}
	}
}

// tokenText is a token in a line for people.
func tokenText(t *admin.Token) string {
	text := fmt.Sprintf("%s  %s  used %d of %d", t.ID, t.Domain, t.Used, t.Uses)
	switch {
	case t.Spent != "":
		text += ", " + t.Spent
	case !t.Expires.IsZero():
		text += ", until " + t.Expires.Local().Format(time.DateTime)
	}
	if len(t.Groups) > 0 {
		text += ", groups " + strings.Join(t.Groups, ", ")
	}
	for _, name := range slices.Sorted(maps.Keys(t.Tags)) {
		text += ", " + name + "=" + t.Tags[name]
	}
	if t.Note != "" {
		text += ": " + t.Note
	}
	return text
}

// Run implements the command.
func (c TokenRevoke) Run() error {
	if err := c.call(http.MethodDelete, "/tokens/"+url.PathEscape(c.ID), nil, nil); err != nil {
		return err
	}
	fmt.Println("revoked", c.ID)
	return nil
}
