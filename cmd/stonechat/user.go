// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/stonechat-im/stonechat/config"
	"github.com/stonechat-im/stonechat/server/admin"
)

// How to read this file: User and the structs of its subcommands are the command line; operator
// speaks to the running server through the socket in its data folder (package server/admin).

// User administers the accounts of a running server.
type User struct {
	Add    UserAdd    `cmd:"" help:"Make an account."`
	Del    UserDel    `cmd:"" help:"Delete an account and all that belongs to it."`
	Import UserImport `cmd:"" help:"Make the accounts of a CSV file."`
	List   UserList   `cmd:"" help:"List the accounts."`
	Passwd UserPasswd `cmd:"" help:"Change the password of an account."`
}

// operator finds the running server.
type operator struct {
	Config string `short:"c" placeholder:"FILE" help:"The server's configuration; without one its data is in ./data."`
	Data   string `placeholder:"FOLDER" help:"Its data folder, instead of what the configuration says."`
}

// UserAdd makes an account.
type UserAdd struct {
	operator
	password
	JID string `arg:"" help:"The account, name@domain."`
}

// UserDel deletes one.
type UserDel struct {
	operator
	JID string `arg:"" help:"The account, name@domain."`
}

// UserList lists them.
type UserList struct {
	operator
	Domain string `arg:"" optional:"" help:"Of this domain; the first one served by default."`
	After  string `placeholder:"NAME" help:"Only those whose names come after this one, to go on after a part."`
	Limit  int    `placeholder:"N" help:"At most so many; all by default."`
	JSON   bool   `name:"json" help:"A JSON array."`
}

// UserPasswd changes a password.
type UserPasswd struct {
	operator
	password
	JID string `arg:"" help:"The account, name@domain."`
}

// Run implements the command.
func (c UserAdd) Run() error {
	secret, err := c.read()
	if err != nil {
		return err
	}
	if err := c.call(http.MethodPost, "/accounts", admin.Account{JID: c.JID, Password: secret}, nil); err != nil {
		return err
	}
	fmt.Println("made", c.JID)
	return nil
}

// Run implements the command.
func (c UserDel) Run() error {
	if err := c.call(http.MethodDelete, "/accounts/"+url.PathEscape(c.JID), nil, nil); err != nil {
		return err
	}
	fmt.Println("deleted", c.JID)
	return nil
}

// Run implements the command.
func (c UserPasswd) Run() error {
	secret, err := c.read()
	if err != nil {
		return err
	}
	if err := c.call(http.MethodPut, "/accounts/"+url.PathEscape(c.JID), admin.Account{Password: secret}, nil); err != nil {
		return err
	}
	fmt.Println("changed the password of", c.JID)
	return nil
}

// Run implements the command.
func (c UserList) Run() error {
	begin, between, end, write := "", "", "", listText
	if c.JSON {
		begin, between, end, write = "[", ",", "]\n", listJSON
	}
	after, left := c.After, c.Limit
	for n := 0; n == 0 || c.Limit == 0 || left > 0; {
		var page []admin.Account
		q := url.Values{"domain": {c.Domain}, "after": {after}}
		if err := c.call(http.MethodGet, "/accounts?"+q.Encode(), nil, &page); err != nil {
			return err
		}
		if n == 0 {
			fmt.Print(begin) // not before an error
		}
		if len(page) == 0 {
			break
		}
		after, _, _ = strings.Cut(page[len(page)-1].JID, "@")
		if c.Limit > 0 {
			page = page[:min(len(page), left)]
			left -= len(page)
		}
		for _, a := range page {
			if n++; n > 1 {
				fmt.Print(between)
			}
			if err := write(a); err != nil {
				return err
			}
		}
	}
	fmt.Print(end)
	return nil
}

func listText(a admin.Account) error {
	note := ""
	if a.Disabled {
		note = "  disabled"
	}
	_, err := fmt.Printf("%s  %s%s\n", a.Created.Local().Format(time.DateTime), a.JID, note)
	return err
}

func listJSON(a admin.Account) error { return json.NewEncoder(os.Stdout).Encode(a) }

// folder is the data folder.
func (o operator) folder() (string, error) {
	if o.Data != "" {
		return o.Data, nil
	}
	c := config.Default()
	if o.Config != "" {
		var err error
		if c, err = config.Load(o.Config); err != nil {
			return "", err
		}
	}
	return c.Data, nil
}

// call asks the running server. The error is what it says, or how to reach it.
func (o operator) call(method, path string, in, out any) error {
	data, err := o.folder()
	if err != nil {
		return err
	}
	var body bytes.Buffer
	if in != nil {
		if err := json.NewEncoder(&body).Encode(in); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	answer, err := o.request(ctx, data, method, path, &body)
	if err != nil {
		return err
	}
	defer answer.Close() //nolint:errcheck // only read
	if out == nil {
		return nil
	}
	return json.NewDecoder(answer).Decode(out)
}

// request asks the server on a data folder. Its answer, which may have no end, is to be closed.
func (o operator) request(ctx context.Context, data, method, path string, body io.Reader) (io.ReadCloser, error) {
	caller, err := admin.Dial(data)
	if err != nil {
		return nil, o.missing(data, err)
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://localhost"+path, body)
	if err != nil {
		return nil, err
	}
	resp, err := caller.Do(req)
	if err != nil {
		return nil, o.missing(data, err)
	}
	if resp.StatusCode/100 == 2 {
		return resp.Body, nil
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	var f admin.Failure
	if err := json.NewDecoder(resp.Body).Decode(&f); err != nil {
		return nil, fmt.Errorf("the server says %s", resp.Status)
	}
	return nil, errors.New(f.Error)
}

// missing says what to do where no server answers.
func (o operator) missing(data string, err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("the server in %s may be administered by its own user only: %w", data, err)
	}
	return fmt.Errorf("no server runs in %s: start it (stonechat serve), or say where it is with -c or --data (%w)", data, err)
}
