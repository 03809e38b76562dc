package carriers

import (
	"context"
	"time"

	"untether/internal/clock"
	"untether/internal/sandbox/caller"
	"untether/internal/tenure"
)

// Limits of reporting.
const (
	batchMax = 10_000 // events in one request, by the carrier API

	retryIntervalMin = 200 * time.Millisecond
	retryIntervalMax = 10 * time.Second
)

type wireEvent struct {
	Sequence         int64  `json:"sequence"`
	PhoneNumber      string `json:"phoneNumber"`
	Type             string `json:"type"`
	At               string `json:"at"`
	TenureID         string `json:"tenureId,omitempty"`
	ReceivingCarrier string `json:"receivingCarrier,omitempty"`
}

type wireReport struct {
	Events []wireEvent `json:"events"`
	AsOf   string      `json:"asOf"` // nothing before it is missing
}

// report sends the carrier's whole log and then whatever is added, in order, each batch until the hub takes it. Woken with
// nothing new, it says just that.
func (c *Carrier) report(ctx context.Context, hub *caller.Caller) {
	defer hub.Close()
	accepted, pause := 0, retryIntervalMin
	for {
		batch, whole, down := c.batch(accepted)
		if !down {
			if err := c.send(ctx, hub, batch, whole); err != nil {
				c.network.log.WarnContext(ctx, "the hub took no report; trying again", "carrier", c.ID, "error", err, "pause", pause)
				_ = clock.Wait(ctx, c.network.clock, c.network.clock.Now().Add(pause))
				if ctx.Err() != nil {
					return
				}
				pause = min(2*pause, retryIntervalMax)
				continue
			}
			accepted, pause = accepted+len(batch), retryIntervalMin
			if !whole {
				continue
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-c.changed:
		}
	}
}

// batch is the next events, and whether none are left after them.
func (c *Carrier) batch(accepted int) (batch []entry, whole, down bool) {
	c.network.mu.Lock()
	defer c.network.mu.Unlock()
	rest := c.events[accepted:]
	return rest[:min(len(rest), batchMax)], len(rest) <= batchMax, c.down
}

func (c *Carrier) send(ctx context.Context, hub *caller.Caller, batch []entry, whole bool) error {
	report := wireReport{Events: make([]wireEvent, len(batch))}
	for i, e := range batch {
		report.Events[i] = wireForm(e)
	}
	report.AsOf = wireTime(c.network.clock.Now())
	if !whole {
		report.AsOf = report.Events[len(batch)-1].At
	}
	return hub.Post(ctx, "/carrier/v1/events", report, nil)
}

func wireForm(e entry) wireEvent {
	w := wireEvent{Sequence: e.event.Sequence, PhoneNumber: e.number.E164(), Type: string(e.event.Type),
		At: wireTime(e.event.At), TenureID: e.event.TenureID}
	if e.event.Type == tenure.Ported {
		w.ReceivingCarrier = e.event.Receiving
	}
	return w
}
