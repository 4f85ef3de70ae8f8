// SPDX-License-Identifier: Apache-2.0

// Package crash proves "acked means kept" on the real program: it starts stonechat on a data folder of its own,
// loads it with clients of its own, and takes away the process, the power, the room or the speed of the disk.
// There is nothing in it but tests:
//
//	TestKill         kill -9 at random moments; what was acked is there, what comes again was allowed to
//	TestKillState    kill -9 while archives, rooms, nodes, bookmarks and preferences change: what was acknowledged is there
//	TestOrder        no ack leaves before the fsync that covers it, read from a trace of the system calls
//	TestPowerCut     the data folder as a loss of power would leave it, at many moments of such a trace
//	TestFullDisk     a disk that fills and empties again
//	TestSlowDisk     a disk whose every commit takes 200 ms: live traffic goes on
//	TestMetamorphic  binding, dropping, resuming, expiring, restarting: nothing lost, nothing twice, nothing out of order
//
// How to read it: server_test.go starts and stops the program, link_test.go and session_test.go are the clients,
// xml_test.go and scram_test.go what these need. book_test.go is the judge of all but the traces: it is told what was
// sent, acked and received; ledger_test.go is the judge of state. trace_test.go reads what strace wrote, wire_test.go makes
// streams of it, disk_test.go files. The clients share no code with package client, so that a misunderstanding is not shared either.
//
// Each test prints its seed; a failure prints the command that runs it again. Chance decides what is done and when,
// the machine decides the rest: the same seed is the same plan, not the same run.
package crash
