package centre

import (
	"slices"
	"sync"
	"time"
)

// Message is a text as its handset shows it.
type Message struct {
	From string    `json:"from"`
	To   string    `json:"to"` // E.164 with plus sign
	Text string    `json:"text"`
	At   time.Time `json:"at"`
}

// handsets are the phones of the country.
type handsets struct {
	known func(string) bool

	mu   sync.Mutex
	have map[string]*handset
}

type handset struct {
	off      bool
	messages []Message
	watchers map[chan struct{}]struct{}
}

func newHandsets(known func(string) bool) *handsets {
	if known == nil {
		known = func(string) bool { return true }
	}
	return &handsets{known: known, have: map[string]*handset{}}
}

// of finds or makes a handset; nil when there are too many. It needs mu.
func (hs *handsets) of(number string) *handset {
	h, ok := hs.have[number]
	if !ok && len(hs.have) < handsetsMax {
		h = &handset{watchers: map[chan struct{}]struct{}{}}
		hs.have[number] = h
	}
	return h
}

// receive delivers a text and says what became of it.
func (hs *handsets) receive(m Message) outcome {
	if !hs.known(m.To) {
		return undeliverable
	}
	hs.mu.Lock()
	defer hs.mu.Unlock()
	h := hs.of(m.To)
	switch {
	case h == nil:
		return undeliverable
	case h.off:
		return expired
	}
	if len(h.messages) == messagesMax {
		h.messages = slices.Delete(h.messages, 0, 1)
	}
	h.messages = append(h.messages, m)
	for w := range h.watchers {
		select {
		case w <- struct{}{}:
		default: // it has not yet looked at the last call
		}
	}
	return delivered
}

func (hs *handsets) mayspeak(number string) error {
	if !hs.known(number) {
		return ErrUnknown
	}
	hs.mu.Lock()
	defer hs.mu.Unlock()
	if h := hs.have[number]; h != nil && h.off {
		return ErrOff
	}
	return nil
}

// Messages are a handset's latest texts, at most 200, oldest first. The number is E.164 with a plus sign.
func (c *Centre) Messages(number string) []Message {
	hs := c.handsets
	hs.mu.Lock()
	defer hs.mu.Unlock()
	if h := hs.have[number]; h != nil {
		return slices.Clone(h.messages)
	}
	return nil
}

// Watch tells of new texts: after each, the channel holds a value until it is received. Several texts may share one. The
// function ends the watch and must be called; the channel is never closed.
func (c *Centre) Watch(number string) (<-chan struct{}, func()) {
	hs, w := c.handsets, make(chan struct{}, 1)
	if !hs.known(number) {
		return w, func() {}
	}
	hs.mu.Lock()
	defer hs.mu.Unlock()
	h := hs.of(number)
	if h == nil {
		return w, func() {}
	}
	h.watchers[w] = struct{}{}
	return w, func() {
		hs.mu.Lock()
		defer hs.mu.Unlock()
		delete(h.watchers, w)
	}
}

// SetHandset switches a handset on or off. All are on to begin with; texts to one that is off expire.
func (c *Centre) SetHandset(number string, on bool) {
	hs := c.handsets
	hs.mu.Lock()
	defer hs.mu.Unlock()
	if h := hs.of(number); h != nil {
		h.off = !on
	}
}
