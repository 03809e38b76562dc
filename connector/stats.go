package connector

import "sync/atomic"

// Stats counts what a connector has done since it was made. Every field only grows.
type Stats struct {
	Leased           uint64 // tasks received, a task offered again counted again
	Answered         uint64 // results that the hub accepted
	Refused          uint64 // results that the hub read and refused
	Unreadable       uint64 // tasks left unanswered because they, or the number's rows, cannot be read
	UnknownKind      uint64 // tasks left unanswered because this version does not know their kind
	Abandoned        uint64 // tasks given up with their batch; the hub offers them again
	HubFailures      uint64 // requests that the hub did not answer well
	DatabaseFailures uint64 // queries that failed
}

// Stats may be called at any time.
func (c *Connector) Stats() Stats {
	t := &c.tally
	return Stats{
		Leased:           t.leased.Load(),
		Answered:         t.answered.Load(),
		Refused:          t.refused.Load(),
		Unreadable:       t.unreadable.Load(),
		UnknownKind:      t.unknownKind.Load(),
		Abandoned:        t.abandoned.Load(),
		HubFailures:      t.hubFailures.Load(),
		DatabaseFailures: t.databaseFailures.Load(),
	}
}

type tally struct {
	leased, answered, refused, unreadable, unknownKind, abandoned, hubFailures, databaseFailures atomic.Uint64
}
