package e2e

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"untether/internal/store/storetest"
)

// How the hub is killed.
const (
	killSeed      = 20260310
	perKill       = 5                      // people who begin before each kill
	lifeMax       = 500 * time.Millisecond // once it listens; long enough for several searches to go through
	unbornOf      = 8                      // one in so many is killed before it listens
	unbornMax     = 150 * time.Millisecond // that long after its process began
	inFlightMost  = 40                     // people at a time
	patienceShort = 4 * time.Second        // how long a person waits for the text before the next one begins
)

// kills is how often: 200 times, a tenth of that where time is short or the database is not the first.
func kills(address string) int {
	switch {
	case testing.Short():
		return 20
	case strings.HasPrefix(address, "postgres"):
		return 50
	}
	return 200
}

// The hub is killed at random points in the life of searches, again and again. Whoever was told that a search was accepted
// gets the text: once, or again with the same words and the same reference.
func TestKilledAtRandomPoints(t *testing.T) {
	storetest.EachAddress(t, func(t *testing.T, address string) {
		t.Parallel()
		n := kills(address)
		s := openServed(t, address, n*perKill)
		s.boot(t, address)
		s.kill()
		everybody := must(s.some(t.Context(), n*perKill, func(person) bool { return true }))(t)
		c := &crash{served: s, random: rand.New(rand.NewPCG(killSeed, 1)), waiting: make(chan person, len(everybody))}
		began := system.Now()
		check(t, c.run(t.Context(), n, everybody))
		t.Logf("%d kills in %v (seed %d); at a kill, on average, %.1f people had no accepted search yet and %.1f waited for the text of one; "+
			"%d kills hit none of the latter", n, system.Now().Sub(began).Round(time.Second), killSeed, float64(c.beforeSum)/float64(n),
			float64(c.afterSum)/float64(n), c.quietKills)
		c.settle(t, address)
	})
}

// crash is what goes on while the hub is being killed.
type crash struct {
	*served
	random  *rand.Rand
	waiting chan person
	// People before their search was accepted, and between that and reading the reply; and both summed over the kills.
	before, after       atomic.Int64
	beforeSum, afterSum int64
	quietKills          int // that hit nobody after

	mu       sync.Mutex
	accepted map[string]search // by number
}

// run starts and kills the hub n times, while people come; then it starts once more and lets everybody finish.
func (c *crash) run(ctx context.Context, n int, everybody []person) error {
	c.accepted = map[string]search{}
	people, all := make(chan error, 1), len(everybody)
	go func() {
		people <- inParallel(all, inFlightMost, func(int) error { return c.journey(ctx, <-c.waiting) })
	}()
	for range n {
		for _, p := range everybody[:perKill] {
			c.waiting <- p
		}
		everybody = everybody[perKill:]
		if err := c.live(ctx); err != nil {
			return err
		}
	}
	if err := c.launch(); err != nil {
		return err
	}
	return <-people
}

// live is one life of the hub's process, of random length.
func (c *crash) live(ctx context.Context) error {
	life, unborn := c.span(lifeMax), c.random.IntN(unbornOf) == 0
	if unborn {
		life = c.span(unbornMax)
	}
	if err := c.launch(); err != nil {
		return err
	}
	if !unborn {
		if err := c.up(ctx); err != nil {
			return err
		}
	}
	if err := pause(ctx, life); err != nil {
		return err
	}
	c.beforeSum += c.before.Load()
	if after := c.after.Load(); after > 0 {
		c.afterSum += after
	} else {
		c.quietKills++
	}
	c.kill()
	return nil
}

func (c *crash) span(most time.Duration) time.Duration {
	return time.Duration(c.random.Int64N(int64(most)))
}

// journey is one person's way through a hub that comes and goes: whatever gets no answer is tried again.
func (c *crash) journey(ctx context.Context, p person) error {
	c.before.Add(1)
	s, err := c.insistentJourney(ctx, p)
	c.before.Add(-1)
	if err != nil {
		return err
	}
	c.mu.Lock()
	c.accepted[p.PhoneNumber] = s
	c.mu.Unlock()
	c.after.Add(1)
	defer c.after.Add(-1)
	_, _ = c.awaitReply(ctx, p.PhoneNumber, patienceShort) // settle looks again
	return nil
}

// busyPause is how long a person waits who was told to come back: an identity try that a killed hub had begun stays reserved
// for a minute.
const busyPause = time.Second

// insist repeats what the hub gave no answer to, or answered as broken or busy.
func insist[T any](ctx context.Context, ask func() (T, error)) (T, error) {
	var got T
	err := await(ctx, "an answer", leasesEnd, func() (bool, error) {
		var err error
		got, err = ask()
		var no *refusal
		switch {
		case errors.As(err, &no) && no.Status == http.StatusTooManyRequests:
			return false, pause(ctx, busyPause)
		case errors.As(err, &no) && no.Status < 500:
			return false, err
		}
		return err == nil, nil
	})
	return got, err
}

// settle waits for every accepted search's text and checks all that was left behind.
func (c *crash) settle(t *testing.T, address string) {
	ctx := t.Context()
	again, twice, received, moreThanTwice := 0, 0, 0, 0
	began := system.Now()
	for number, s := range c.accepted {
		text, err := c.awaitReply(ctx, number, leasesEnd)
		if err != nil {
			t.Fatalf("an accepted search has no text: %v; %+v", err, must(c.report(ctx, s))(t))
		}
		r := must(c.awaitReport(ctx, s, "replied", func(r report) bool { return r.Status == "replied" }))(t)
		p := must(c.holder(ctx, number))(t)
		check(t, errors.Join(same(r, p.Accounts), c.saysExactly(ctx, p, text, r)))
	}
	t.Logf("all texts were there %v after the last start", system.Now().Sub(began).Round(time.Second))
	c.stop(t)
	for number := range c.accepted {
		handed := must(c.tap.repliesTo(number))(t)
		if len(handed) != 1 {
			t.Fatalf("one search, but %d different texts or references: %+v", len(handed), handed)
		}
		texts := must(c.replies(ctx, number))(t)
		for _, text := range texts {
			if text != handed[0].text {
				t.Errorf("a handset shows\n%s\nhanded over was\n%s", text, handed[0].text)
			}
		}
		received += len(texts)
		if handed[0].times > 1 {
			again++
		}
		if len(texts) > 1 {
			twice++
		}
		if len(texts) > 2 {
			moreThanTwice++
		}
	}
	t.Logf("%d accepted searches, %d texts on handsets; %d were handed over again, with the same words and reference; %d handsets show one more than once, %d more than twice",
		len(c.accepted), received, again, twice, moreThanTwice)
	if got := statuses(t, address); got["replied"] != len(c.accepted) || len(got) != 1 {
		t.Errorf("searches in the database: %v, accepted %d", got, len(c.accepted))
	}
	status, out, words, err := program(ctx, "audit", "verify", "--config", c.config)
	if check(t, err); status != 0 {
		t.Errorf("audit verify: status %d\n%s%s", status, out, words)
	}
}
