// SPDX-License-Identifier: Apache-2.0

package admin

// How to read this file: openDoor makes the way in, as a socket (openSocket) or as a port
// (openPort); Dial finds either from the other side.

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
)

// Socket is the path of the socket in a data folder.
func Socket(data string) string { return filepath.Join(data, "admin.sock") }

// portFile is the path of the file that names the port, where there is no socket.
func portFile(data string) string { return filepath.Join(data, "admin.json") }

// maxSocket is how long the path of a socket may be on every system: sun_path of BSD has 104 bytes.
const maxSocket = 103

// door is the way in.
type door struct {
	listener net.Listener
	path     string // of the socket or the file
	token    string // each request must bear it; "" on a socket
}

func openDoor(data string) (*door, error) {
	for _, path := range []string{Socket(data), portFile(data)} {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	if runtime.GOOS == "windows" || len(Socket(data))+len("/admin-0123456789") > maxSocket {
		return openPort(data)
	}
	return openSocket(data)
}

// openSocket makes the socket where nobody else can reach it, shuts it to others, and only then
// puts it in its place.
func openSocket(data string) (*door, error) {
	box, err := os.MkdirTemp(data, "admin-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(box) //nolint:errcheck // an empty folder does no harm
	inside, path := filepath.Join(box, "s"), Socket(data)
	l, err := net.Listen("unix", inside)
	if err != nil {
		return nil, err
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false) // it moves
	err = errors.Join(os.Chmod(inside, 0o600), os.Rename(inside, path))
	if err != nil {
		_ = l.Close()
		return nil, err
	}
	return &door{listener: l, path: path}, nil
}

// port is what the file says.
type port struct {
	Address string `json:"address"`
	Token   string `json:"token"`
}

func openPort(data string) (*door, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	d := &door{listener: l, path: portFile(data), token: rand.Text()}
	b, err := json.Marshal(port{l.Addr().String(), d.token})
	if err == nil {
		err = os.WriteFile(d.path, b, 0o600)
	}
	if err != nil {
		_ = l.Close()
		return nil, err
	}
	return d, nil
}

// guard lets in who bears the token.
func (d *door) guard(next http.Handler) http.Handler {
	want := []byte("Bearer " + d.token)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if d.token != "" && subtle.ConstantTimeCompare([]byte(r.Header.Get("Authorization")), want) != 1 {
			answer(w, http.StatusUnauthorized, Failure{"the token of " + filepath.Base(d.path) + " is missing"})
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (d *door) remove() error {
	if err := os.Remove(d.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("admin: %w", err)
	}
	return nil
}

// Dial returns a client for requests to the server that runs on a data folder, whose URLs begin
// with the name of any host. It fails if there is no trace of one.
func Dial(data string) (*http.Client, error) {
	network, address, token := "unix", Socket(data), ""
	if b, err := os.ReadFile(portFile(data)); err == nil {
		var p port
		if err := json.Unmarshal(b, &p); err != nil {
			return nil, fmt.Errorf("admin: %s: %w", portFile(data), err)
		}
		network, address, token = "tcp", p.Address, p.Token
	} else if _, err := os.Stat(address); err != nil {
		return nil, fmt.Errorf("admin: %w", err)
	}
	transport := &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, address)
		},
	}
	return &http.Client{Transport: bearer{transport, token}}, nil
}

// bearer adds the token.
type bearer struct {
	next  http.RoundTripper
	token string
}

func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	if b.token != "" {
		r = r.Clone(r.Context())
		r.Header.Set("Authorization", "Bearer "+b.token)
	}
	return b.next.RoundTrip(r)
}
