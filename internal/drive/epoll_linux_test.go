// SPDX-License-Identifier: Apache-2.0

package drive_test

import "github.com/stonechat-im/stonechat/internal/drive"

const epollSize = drive.EpollSize
