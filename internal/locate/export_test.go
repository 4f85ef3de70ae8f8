// SPDX-License-Identifier: Apache-2.0

package locate

import "net"

// InOrder is inOrder for tests: the records of direct TLS, then those of STARTTLS.
func InOrder(direct, startTLS []*net.SRV, below func(int) int) []string {
	var all []service
	for _, r := range direct {
		all = append(all, service{r, true, false})
	}
	for _, r := range startTLS {
		all = append(all, service{r, false, false})
	}
	var list []string
	for _, t := range inOrder(all, below) {
		list = append(list, t.String())
	}
	return list
}
