// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// password is where a command gets one from: never from its arguments, which others can see.
type password struct {
	PasswordFile string `placeholder:"FILE" help:"Read the password from the first line of a file; - is standard input. Otherwise it is taken from the environment, STONECHAT_PASSWORD, or asked for."`
}

// isGiven reports whether there is one without asking a person.
func (p password) isGiven() bool {
	return p.PasswordFile != "" || os.Getenv("STONECHAT_PASSWORD") != ""
}

// read returns the password.
func (p password) read() (string, error) {
	switch p.PasswordFile {
	case "":
		if s := os.Getenv("STONECHAT_PASSWORD"); s != "" {
			return s, nil
		}
		return ask("Password: ")
	case "-":
		return line(os.Stdin)
	}
	f, err := os.Open(p.PasswordFile)
	if err != nil {
		return "", err
	}
	defer f.Close() //nolint:errcheck // only read
	return line(f)
}

func line(r io.Reader) (string, error) {
	s, err := bufio.NewReader(r).ReadString('\n')
	s = strings.TrimRight(s, "\r\n")
	if s == "" {
		return "", fmt.Errorf("no password: %w", errors.Join(err, io.ErrUnexpectedEOF))
	}
	return s, nil
}

// ask asks the person at the terminal for a secret, without showing it.
func ask(prompt string) (string, error) {
	fd := int(os.Stdin.Fd())
	if !term.IsTerminal(fd) {
		return "", errors.New("no password: set STONECHAT_PASSWORD or give --password-file")
	}
	fmt.Fprint(os.Stderr, prompt)
	b, err := term.ReadPassword(fd)
	fmt.Fprintln(os.Stderr)
	if err == nil && len(b) == 0 {
		err = errors.New("no password")
	}
	return string(b), err
}
