// SPDX-License-Identifier: Apache-2.0

// Package interop lets the clients that people use talk through the real server: its binary, with a
// configuration and a data folder of its own, on an address of its own, over TLS that each client
// verifies against an authority made for the test. There is no code here beside the tests.
//
//	go test ./test/interop -v                        all clients that this machine has
//	go test ./test/interop -v -run Talk/profanity    one pair
//	go test ./test/interop -artifacts -outputdir /tmp/interop    keep screens and logs
//
// A person (person_test.go) is a client with somebody in front of it. Two of them play one story
// (talk_test.go): they add each other, see each other come, go away and go, and talk, also to the one
// who is not there. A further client is one file that implements person, and a row in clients:
//
//   - on a terminal (terminal_test.go): profanity. They are typed at, and their screens read.
//   - on a string (agent_test.go): libraries, under a small program in clients/ that reads one command
//     a line from its standard input, and tells what happens on its standard output: slixmpp,
//     @xmpp/client over TCP and over WebSocket (xmppjs_test.go, node_test.go), and Smack (smack_test.go).
//   - a page (converse_test.go): Converse in a browser without a screen, which finds the server by its
//     host-meta. It plays shorter stories; docs/images/converse.png and converse-room.png are what
//     -artifacts kept of them.
//
// social_test.go is another story, of rooms, archives, nodes and several devices, which slixmpp and the
// library stanza play with each other.
//
// things_test.go has slixmpp and Smack read and set things, and be some.
//
// gateways_test.go has gateways that others wrote: biboumi in front of ngircd, and slidge in front of a network that
// clients/slidge_echo.py makes up.
//
// proxy_test.go has reverse proxies in front, with the configurations of the operator's guide.
// server_test.go starts the server and makes certificates, tls_test.go looks at the TLS that it offers
// and at what clients refuse; the other tests say by their names what they are for.
package interop
