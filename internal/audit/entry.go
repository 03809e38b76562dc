package audit

import (
	"context"
	"time"
)

// Entry says who changed what. It never holds a number, a code or a digit of an ID: Subject is the keyed hash.
type Entry struct {
	At      time.Time
	Actor   string // "channel:portal", "app:alipay", "carrier:mobile", "hub"
	Action  string // noun.verb in the past tense: "search.accepted"
	Subject string
	Ref     string // the id of what changed
	Detail  string // bounded plain text or JSON
}

// Tx is what writers need of the storage: the entry is committed with the change that it tells of.
type Tx interface {
	AddAudit(ctx context.Context, entries ...Entry) error
}
