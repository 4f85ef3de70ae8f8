// SPDX-License-Identifier: Apache-2.0

package mam

import (
	"sync"

	"github.com/stonechat-im/stonechat/server"
	"github.com/stonechat-im/stonechat/xmpp/stanza"
)

// paused are senders that are not read until less waits for the disk: each at most once, so that they are as many as there
// are streams.
type paused struct {
	mu      sync.Mutex
	resumes []func()
}

// full reports whether more would be too much.
func (m *Module) full() bool {
	most := m.config.Load().QueueBytes
	return most > 0 && m.queued.Load() >= int64(most)
}

func (m *Module) refuse() error {
	m.metrics.refused.Inc()
	return stanza.ResourceConstraint.Err("too much waits to be archived")
}

// ownPart of what may wait for the disk is of one session when it is slowed down: who sends little is not, whatever others do.
const ownPart = 256

// slow pauses the sender of what is archived while much waits for the disk: who sends faster than it writes waits, and nobody
// is refused.
func (m *Module) slow(t *server.Turn) {
	most := int64(m.config.Load().QueueBytes)
	if most == 0 || m.queued.Load() < most/2 {
		return
	}
	if own := m.sentBy(t); own != nil && own.waiting.Load() <= most/ownPart {
		return
	}
	p := &m.paused
	p.mu.Lock()
	defer p.mu.Unlock()
	if m.queued.Load() < most/2 {
		return // written meanwhile: nobody would resume it
	}
	if resume, ok := t.PauseSender(); ok {
		m.metrics.slowed.Inc()
		p.resumes = append(p.resumes, resume)
	}
}

// written says that so many bytes wait no more.
func (m *Module) written(size int64) {
	left := m.queued.Add(-size)
	if most := int64(m.config.Load().QueueBytes); most > 0 && left >= most/4 {
		return
	}
	p := &m.paused
	p.mu.Lock()
	resumes := p.resumes
	p.resumes = nil
	p.mu.Unlock()
	for _, resume := range resumes {
		resume()
	}
}
