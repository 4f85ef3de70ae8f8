// SPDX-License-Identifier: Apache-2.0

// Package scenario plays what people buy a platform for things for, from beginning to end, with the programs that they
// would use: servers and things are processes of their own, and persons are clients. Each scenario prints the
// figures by which it is judged, and fails where one is missed.
//
//	go test ./test/scenario -v                 all
//	go test ./test/scenario -v -run Consent    one
//
// There is no code here beside the tests. world_test.go starts servers, things and commands, person_test.go is somebody at a client;
// the other files are the scenarios:
//
//	first_test.go          an account and a thermometer; the first program of the manual
//	readme_test.go         from README to a claimed thing
//	claim_test.go          a thing is claimed, given up, given away
//	consent_test.go        a neighbour asks
//	keytoken_test.go       a reader with a certificate, and who reads in its place
//	robots_test.go         a room of robots, and their emergency stop
//	link_test.go           a link that loses packets, and is gone at times (needs root, for namespaces: ../space)
//	fleet_test.go          5,000 things by a table, and who may what with one
//	published_test.go      a thing that publishes, and who follows it
//	token_test.go          from the factory, with a token and no account
//	neighbourhood_test.go  two servers of two owners; a thing whose decider does not answer
//	follow_test.go         what a thing publishes, followed from another server until that is taken back
//	stalled_test.go        the store stalls, or is damaged: nobody decides
//
// Figures are of one machine with everything on it. Times of outages are scaled: seconds stand for minutes.
package scenario
