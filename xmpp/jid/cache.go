// SPDX-License-Identifier: Apache-2.0

package jid

// Cache remembers the last few addresses of one session, most recently used
// first: a stream names the same peers again and again, and every hit saves the
// one allocation of ParseBytes. Its zero value is ready, and holds no memory before
// the first address: there are many sessions that say nothing. It must be neither copied
// nor used concurrently.
type Cache struct {
	recent *[4]JID
}

// Parse is ParseBytes; bytes equal to the canonical form of a remembered address
// allocate nothing.
func (c *Cache) Parse(b []byte) (JID, error) {
	// No canonical form is empty, so an unused place never matches.
	if len(b) == 0 {
		return ParseBytes(b)
	}
	if c.recent != nil {
		for i := range c.recent {
			if c.recent[i].s == string(b) {
				return c.front(i), nil
			}
		}
	}
	j, err := ParseBytes(b)
	if err != nil {
		return JID{}, err
	}
	if c.recent == nil {
		c.recent = new([4]JID)
	}
	for i := range c.recent { // b was another spelling of a remembered address
		if c.recent[i] == j {
			return c.front(i), nil
		}
	}
	copy(c.recent[1:], c.recent[:])
	c.recent[0] = j
	return j, nil
}

// front moves entry i to the first place.
func (c *Cache) front(i int) JID {
	j := c.recent[i]
	if i > 0 {
		copy(c.recent[1:i+1], c.recent[:i])
		c.recent[0] = j
	}
	return j
}
