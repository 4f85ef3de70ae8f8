// SPDX-License-Identifier: Apache-2.0

// Package scenario plays what people buy a platform for things for, from beginning to end, with the programs that they
// would use: servers and things are processes of their own, and persons are clients. Each scenario prints the
// figures by which it is judged, and fails where one is missed.
//
//	go test ./test/scenario -v
//	go test ./test/scenario -v -run 'Scenario/consent'
//
// There is no code here beside the tests. world_test.go starts servers, things and commands, person_test.go is somebody at a client;
// the other tests are a scenario each.
package scenario
