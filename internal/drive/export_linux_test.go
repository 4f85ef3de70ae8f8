// SPDX-License-Identifier: Apache-2.0

package drive

import "unsafe"

// EpollSize is the size of the epoll driver's connection.
const EpollSize = unsafe.Sizeof(econn{})
