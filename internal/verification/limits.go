package verification

import (
	"slices"
	"time"
)

// Limits is what is remembered of one number, across codes and channels.
type Limits struct {
	Subject       string
	Sent          []time.Time // when codes were sent within the last day, oldest first
	Failures      int         // wrong codes in a row
	LockedUntil   time.Time   // no code is sent or taken before
	IDTries       int         // identity tries that did not match or are under way
	IDLockedUntil time.Time   // no search is begun before
}

// The limits of one number.
const (
	failuresInARowMax = 100
	lockedFor         = 24 * time.Hour
	idTriesMax        = 3
	idLockedFor       = 24 * time.Hour
	idTryMost         = time.Minute // longer than a carrier is waited for
)

// windows bound how many codes go to one number.
var windows = []struct {
	span time.Duration
	most int
}{{time.Minute, 1}, {time.Hour, 5}, {24 * time.Hour, 10}}

// sendWait is how long the number must wait for another code; zero: it may have one now.
func (l Limits) sendWait(now time.Time) time.Duration {
	wait := l.LockedUntil.Sub(now)
	for _, w := range windows {
		within := l.sentSince(now.Add(-w.span))
		if len(within) >= w.most {
			wait = max(wait, within[len(within)-w.most].Add(w.span).Sub(now))
		}
	}
	return max(wait, 0)
}

func (l Limits) sentSince(t time.Time) []time.Time {
	i, _ := slices.BinarySearchFunc(l.Sent, t, func(s, t time.Time) int {
		if s.After(t) {
			return 1
		}
		return -1
	})
	return l.Sent[i:]
}

// send notes that a code is sent now and forgets what is older than a day.
func (l *Limits) send(now time.Time) {
	l.Sent = append(slices.Clone(l.sentSince(now.Add(-24*time.Hour))), now)
}

// fail counts a wrong code; enough of them in a row lock the number.
func (l *Limits) fail(now time.Time) {
	l.Failures++
	if l.Failures >= failuresInARowMax {
		l.Failures, l.LockedUntil = 0, now.Add(lockedFor)
	}
}

// lockWait is how long codes of the number are not taken.
func (l Limits) lockWait(now time.Time) time.Duration { return max(l.LockedUntil.Sub(now), 0) }

// reserveIDTry counts an identity try before it is made, so that tries in parallel are counted too. It tells how long to
// wait when there is none left.
func (l *Limits) reserveIDTry(now time.Time) (wait time.Duration) {
	if wait := l.IDLockedUntil.Sub(now); wait > 0 {
		return wait
	}
	if l.IDTries >= idTriesMax { // nobody ended them, and nobody will: their process died
		l.IDTries = 0
	}
	l.IDTries++
	if l.IDTries == idTriesMax { // until the last ones are ended
		l.IDLockedUntil = now.Add(idTryMost)
	}
	return 0
}

// idMismatch keeps the try that was reserved; the last one locks the number's searches.
func (l *Limits) idMismatch(now time.Time) {
	if l.IDTries >= idTriesMax {
		l.IDTries, l.IDLockedUntil = 0, now.Add(idLockedFor)
	}
}

// idUnanswered gives back the try that was reserved: the carrier did not say yes or no.
func (l *Limits) idUnanswered() {
	if l.IDTries >= idTriesMax {
		l.IDLockedUntil = time.Time{}
	}
	l.IDTries = max(l.IDTries-1, 0)
}

// idMatch forgets the tries.
func (l *Limits) idMatch() { l.IDTries, l.IDLockedUntil = 0, time.Time{} }

// Rate is a budget: so many in a period, with bursts up to Burst (GCRA).
type Rate struct {
	Count int
	Per   time.Duration
	Burst int
}

// Spend takes one from a budget whose state is the theoretical arrival time of the next request. It gives the new state,
// or how long to wait.
func (r Rate) Spend(arrival, now time.Time) (next time.Time, wait time.Duration) {
	each := r.Per / time.Duration(r.Count)
	if arrival.Before(now) {
		arrival = now
	}
	next = arrival.Add(each)
	if ahead := next.Sub(now) - each*time.Duration(r.Burst); ahead > 0 {
		return arrival, ahead
	}
	return next, 0
}
