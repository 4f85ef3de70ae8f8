// SPDX-License-Identifier: Apache-2.0

// Package hostile sends the real program what no honest peer sends: XML that is none, floods, stalled
// handshakes, replayed logins, lies, bombs of nicks, rooms, nodes and forms. There is nothing in it but tests:
//
//	TestAttacks   one row per attack, one after the other, on one server
//	TestFloods    thousands of connections: stalled handshakes, those that never log in, guessed passwords
//	TestBetween   package client with somebody between it and the server
//	TestStart     a store or a configuration that is no good: what the program says of it
//
// Each row asserts the error that the RFC or XEP names, that the attacker lost its stream at most, and by how much
// the metrics rose: those it names, and of all that count trouble no other. Two bystanders exchange messages all
// the while: none is lost or late by more than patience allows, and their streams never end. Each row prints
// how long their messages took.
//
// How to read it: server_test.go starts the program and reads its metrics, peer_test.go is a client that does as it is
// told, bystander_test.go are the two, attack_test.go is what a row is and runs the table. The rows are in xml_test.go,
// tls_test.go, login_test.go, session_test.go, component_test.go, federation_test.go (other servers), place_test.go (rooms,
// nodes, archives) and slow_test.go.
package hostile
