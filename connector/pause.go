package connector

import (
	"errors"
	"math/rand/v2"
	"time"
)

// Bounds of the pauses between tries.
const (
	pauseFirstMax = 500 * time.Millisecond
	pauseMax      = time.Minute
	retryAfterMax = 5 * time.Minute
)

// pauses counts failures in a row and says how long to wait: exponential with full jitter, so that a thousand
// connectors do not come back to a restarted hub in step.
type pauses struct{ count int }

func (p *pauses) reset() { p.count = 0 }

// next is the pause after one more failure; err may carry the hub's own wish (Retry-After).
func (p *pauses) next(err error) time.Duration {
	p.count++
	pause := jittered(p.count, rand.Float64())
	var refusal *HubError
	if errors.As(err, &refusal) {
		pause = max(pause, min(refusal.RetryAfter, retryAfterMax))
	}
	return pause
}

// jittered is the pause after the nth failure in a row (from 1), with portion in [0,1) drawn at random.
func jittered(n int, portion float64) time.Duration {
	const doublingsMax = 10
	most := min(pauseFirstMax<<min(n-1, doublingsMax), pauseMax)
	return time.Duration(portion * float64(most))
}
