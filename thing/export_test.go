// SPDX-License-Identifier: Apache-2.0

package thing

// Reread reads the lines of a journal, writes what is in them, and reads that; it returns how many
// readings there were each time.
func Reread(data []byte) (first, second int, err error) {
	list, _ := readJournal(data)
	var b []byte
	for i := range list {
		line, err := list[i].line()
		if err != nil {
			return 0, 0, err
		}
		b = append(b, line...)
	}
	again, lost := readJournal(b)
	if lost > 0 {
		err = errTorn
	}
	return len(list), len(again), err
}
