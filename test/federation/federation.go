// SPDX-License-Identifier: Apache-2.0

// Package federation judges how servers talk to each other: ours with Prosody, with ejabberd and with itself, each a
// process with a domain, a certificate and a loopback address of its own, found by names that dnsmasq serves. There is
// no code here beside the tests.
//
//	go test ./test/federation -v                                       all
//	go test ./test/federation -run Exchanges/stonechat-prosody         one pair
//	go test ./test/federation -run Rules                               RFC 6121 between two of ours
//	go test ./test/federation -run Refusals                            bad certificates
//	go test ./test/federation -artifacts -outputdir /tmp/federation    keep the logs of what fails
//
// What people do is told by scripts (scripts/, in the language of ../conformance): Romeo's account is on the near
// server, Juliet's on the far one, and each script is played both ways round. allowed.txt lists what others fail. rules_test.go plays
// scripts of one server (../conformance) between two of ours.
//
// bed_test.go has the servers, names_test.go the names, authority_test.go the certificates; prosody_test.go,
// ejabberd_test.go and stonechat_test.go say how each is told all that. exchange_test.go is the table of who talks with
// whom; refusal_test.go breaks the certificates, and break_test.go kills servers under traffic. namespace_test.go puts three servers into network namespaces, between
// which ../space delays and loses packets, and breaks links and moves a server under traffic.
//
// It needs Debian's prosody, lua-unbound, ejabberd, dnsmasq-base, iproute2 and util-linux, and the right to make
// namespaces of mounts, in which ejabberd has a hosts file of its own, and of networks, with TUN interfaces: nothing outside the test's folders is written.
package federation
