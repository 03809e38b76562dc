package connector

import (
	"context"
	"errors"
	"fmt"
	"time"

	"untether/internal/clock"
	"untether/internal/phone"
	"untether/internal/tenure"
)

// count is what the kind `count` asks of one number.
type count struct{ accounts, left, undated int }

// add judges one binding against the tenure that began at start. A binding in doubt counts as undated.
func (n *count) add(b Binding, start time.Time) {
	switch tenure.Judge(b.judged(), start) {
	case tenure.Own:
		n.accounts++
	case tenure.Left:
		n.left++
	default:
		n.undated++
	}
}

// asked is a task that this connector can do.
type asked struct {
	id     string
	number phone.Number
	start  time.Time
}

// work looks one leased batch up and answers it. What fails is left to the hub to offer again.
func (c *Connector) work(ctx context.Context, tasks []task) {
	until := c.clock.Now().Add(c.options.LeaseLife)
	batch := c.understood(ctx, tasks)
	if len(batch) == 0 {
		return
	}
	var results []result
	err := c.persist(ctx, until, "the database did not answer", func(ctx context.Context) (err error) {
		if results, err = c.count(ctx, batch); err != nil {
			c.tally.databaseFailures.Add(1)
		}
		return err
	})
	if err == nil && len(results) > 0 {
		err = c.persist(ctx, until, "the hub did not take the results", func(ctx context.Context) error {
			return c.answer(ctx, results)
		})
	}
	if err != nil {
		c.tally.abandoned.Add(uint64(len(batch)))
		c.log.ErrorContext(ctx, "a batch is left to the hub to offer again", "tasks", len(batch), "error", concealed(err))
	}
}

// understood keeps the tasks that can be done; the others are left unanswered.
func (c *Connector) understood(ctx context.Context, tasks []task) []asked {
	batch := make([]asked, 0, len(tasks))
	seen := make(map[string]bool, len(tasks))
	for _, t := range tasks {
		if seen[t.ID] {
			continue
		}
		seen[t.ID] = true
		if t.Kind != kindCount {
			c.unknownKind(ctx, t.Kind)
			continue
		}
		a, err := t.asked()
		if err != nil {
			c.tally.unreadable.Add(1)
			c.log.WarnContext(ctx, "a task cannot be read; it is left unanswered", "task", clipped(t.ID, 64), "error", err)
			continue
		}
		batch = append(batch, a)
	}
	return batch
}

func (c *Connector) unknownKind(ctx context.Context, kind string) {
	c.tally.unknownKind.Add(1)
	kind = clipped(kind, 64)
	c.mu.Lock()
	known := c.unknown[kind] || len(c.unknown) >= unknownKindsMax
	if !known {
		c.unknown[kind] = true
	}
	c.mu.Unlock()
	if !known {
		c.log.WarnContext(ctx, "the hub asks for a kind of task that this version does not know; such tasks are left unanswered",
			"kind", kind)
	}
}

// count asks the database once for all numbers of the batch and counts per task.
func (c *Connector) count(ctx context.Context, batch []asked) ([]result, error) {
	numbers := distinct(batch)
	bindings, err := c.database.Bindings(ctx, numbers)
	var unreadable *UnreadableError
	if err != nil && !errors.As(err, &unreadable) {
		return nil, err
	}
	of, err := c.byNumber(numbers, bindings)
	if err != nil {
		return nil, err
	}
	results := make([]result, 0, len(batch))
	for _, a := range batch {
		if cause := c.doubtful(a.number, unreadable, of); cause != nil {
			c.tally.unreadable.Add(1)
			c.log.WarnContext(ctx, "a number's rows cannot be used; its task is left unanswered",
				"number", a.number, "error", concealed(cause))
			continue
		}
		var n count
		for _, b := range of[a.number.E164()] {
			n.add(b, a.start)
		}
		results = append(results, result{a.id, kindCount, n.accounts, n.left, n.undated})
	}
	return results, nil
}

// doubtful says why a number's bindings may not be counted, or nil.
func (c *Connector) doubtful(n phone.Number, unreadable *UnreadableError, of map[string][]Binding) error {
	if unreadable != nil {
		if cause, ok := unreadable.Causes[n.E164()]; ok {
			return cause
		}
	}
	if most := c.options.MaxBindingsPerNumber; len(of[n.E164()]) > most {
		return fmt.Errorf("more than %d bindings: does the query join so that accounts repeat?", most)
	}
	return nil
}

func (c *Connector) byNumber(numbers []string, bindings []Binding) (map[string][]Binding, error) {
	of := make(map[string][]Binding, len(numbers))
	for _, n := range numbers {
		of[n] = nil
	}
	for _, b := range bindings {
		if _, ok := of[b.PhoneNumber]; !ok {
			return nil, ErrNotAsked
		}
		of[b.PhoneNumber] = append(of[b.PhoneNumber], b)
	}
	return of, nil
}

func distinct(batch []asked) []string {
	numbers := make([]string, 0, len(batch))
	seen := make(map[phone.Number]bool, len(batch))
	for _, a := range batch {
		if !seen[a.number] {
			seen[a.number] = true
			numbers = append(numbers, a.number.E164())
		}
	}
	return numbers
}

// answer sends the results and takes note of what the hub did not accept. A result that the hub refuses is not sent
// again: the hub has read it and said no (its search is void, say).
func (c *Connector) answer(ctx context.Context, results []result) error {
	receipts, err := c.hub.answer(ctx, results)
	if err != nil {
		c.tally.hubFailures.Add(1)
		return err
	}
	accepted := 0
	refused := map[string]int{}
	for _, r := range receipts {
		if r.Accepted {
			accepted++
		} else {
			refused[clipped(r.Code, 64)]++
		}
	}
	c.tally.answered.Add(uint64(accepted))
	for code, n := range refused {
		c.tally.refused.Add(uint64(n))
		c.log.WarnContext(ctx, "the hub refused results", "code", code, "results", n)
	}
	return nil
}

// persist tries op until it succeeds, fails for good, until comes, or ctx ends.
func (c *Connector) persist(ctx context.Context, until time.Time, what string, op func(context.Context) error) error {
	var failures pauses
	for {
		err := op(ctx)
		if err == nil || final(err) || ctx.Err() != nil {
			return err
		}
		pause := failures.next(err)
		next := c.clock.Now().Add(pause)
		if !next.Before(until) {
			return fmt.Errorf("given up when the lease must have run out: %w", err)
		}
		c.log.WarnContext(ctx, what+"; trying again", "error", concealed(err), "pause", pause)
		if clock.Wait(ctx, c.clock, next) != nil {
			return err
		}
	}
}
