package sandbox

import (
	"cmp"
	"slices"
	"sync"
	"unicode/utf8"

	"untether/internal/fault"
	"untether/internal/phone"
	"untether/internal/sandbox/centre"
)

// Bounds of what is remembered of texts that handsets sent.
const (
	sentMax    = 50
	sendersMax = 10_000
	textMax    = 500 // characters
)

// outbox is what handsets sent, for their own screens; the SMS centre forgets it.
type outbox struct {
	mu   sync.Mutex
	sent map[phone.Number][]centre.Message
}

func (o *outbox) put(from phone.Number, m centre.Message) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.sent == nil {
		o.sent = map[phone.Number][]centre.Message{}
	}
	if _, known := o.sent[from]; !known && len(o.sent) >= sendersMax {
		return
	}
	mine := append(o.sent[from], m)
	o.sent[from] = mine[max(0, len(mine)-sentMax):]
}

func (o *outbox) of(n phone.Number) []centre.Message {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.sent[n])
}

// send lets a handset write to the short code.
func (c *Country) send(from phone.Number, text string) (centre.Message, error) {
	if utf8.RuneCountInString(text) > textMax {
		return centre.Message{}, fault.Invalidf("text must be at most %d characters.", textMax)
	}
	m := centre.Message{From: from.E164(), To: ShortCode, Text: text, At: c.clock.Now()}
	if err := c.centre.Send(m.From, text); err != nil {
		return m, err
	}
	c.outbox.put(from, m)
	return m, nil
}

// conversation is everything that a handset shows, oldest first.
func (c *Country) conversation(n phone.Number) []centre.Message {
	all := append(c.centre.Messages(n.E164()), c.outbox.of(n)...)
	slices.SortStableFunc(all, func(a, b centre.Message) int { return cmp.Or(a.At.Compare(b.At)) })
	return all
}
