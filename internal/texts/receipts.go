package texts

import (
	"context"
	"time"

	"untether/internal/audit"
	"untether/internal/work"
)

// OnReceipt takes a receipt from the centre and calls recorded once it is in the database. When more come than can be
// written, it waits; after the sender has stopped it takes none.
func (s *Sender) OnReceipt(r Receipt, recorded func()) {
	s.init()
	select {
	case s.receipts <- waiting{Receipt: r, recorded: recorded}:
	case <-s.stopped:
	}
}

// waiting is a receipt with the number of times that its part was not found.
type waiting struct {
	Receipt
	recorded func()
	tries    int
}

// receiveAll records receipts until ctx ends. What is not recorded by then is not acknowledged, so the centre keeps it.
func (s *Sender) receiveAll(ctx context.Context) {
	defer close(s.stopped)
	var held []waiting // to be tried again, all together
	var again time.Time
	for {
		batch, err := s.gather(ctx, len(held), again)
		if err != nil {
			return
		}
		if now := s.Clock.Now(); !now.Before(again) {
			batch, held, again = append(held, batch...), nil, now.Add(lookEvery)
		}
		unknown, err := s.receive(context.WithoutCancel(ctx), batch)
		if err != nil {
			s.Log.Error("receipts cannot be recorded", "count", len(batch), "error", err)
		}
		held = append(held, unknown...)
	}
}

// gather waits for a receipt, or, when some are held back, until they are tried again, and takes what is there. While very
// many are held it takes no more.
func (s *Sender) gather(ctx context.Context, held int, again time.Time) ([]waiting, error) {
	incoming := s.receipts
	if held >= receiptsHeld {
		incoming = nil
	}
	var reached <-chan struct{}
	if held > 0 {
		at, stop := s.Clock.At(again)
		defer stop()
		reached = at
	}
	var batch []waiting
	select {
	case r := <-incoming:
		batch = append(batch, r)
	case <-reached:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	for len(batch) < batchMax {
		select {
		case r := <-incoming:
			batch = append(batch, r)
			continue
		default:
		}
		break
	}
	return batch, nil
}

// receive records a batch of receipts, puts failed texts back into the lane, and gives back the receipts whose part is not
// recorded yet.
func (s *Sender) receive(ctx context.Context, batch []waiting) (unknown []waiting, err error) {
	receipts := make([]Receipt, len(batch))
	for i, w := range batch {
		receipts[i] = w.Receipt
	}
	var found []Received
	err = s.Store.Texts(ctx, func(ctx context.Context, tx Tx) (err error) {
		found, err = tx.ReceiveParts(ctx, receipts)
		if err != nil {
			return err
		}
		return s.resend(ctx, tx, receipts, found)
	})
	if err != nil {
		return batch, err
	}
	for i, r := range found {
		if !r.Known && batch[i].tries+1 < receiptTries {
			batch[i].tries++
			unknown = append(unknown, batch[i])
			continue
		}
		batch[i].recorded()
		s.countReceipt(batch[i].Receipt, r)
	}
	return unknown, nil
}

func (s *Sender) countReceipt(receipt Receipt, r Received) {
	switch {
	case !r.Known:
		s.counts.UnknownReceipts.Add(1)
	case r.Repeated || !receipt.Final:
	case receipt.Delivered:
		s.counts.Delivered.Add(1)
	default:
		s.counts.Undelivered.Add(1)
	}
}

// resend makes the texts due again that a receipt calls failed, while there is time. A receipt of an earlier sending changes
// nothing: the text was sent again since.
func (s *Sender) resend(ctx context.Context, tx Tx, receipts []Receipt, found []Received) error {
	now := s.Clock.Now()
	for i, r := range found {
		due := now.Add(work.Backoff(r.Attempts, retryFirst, retryMost))
		failed := r.Known && !r.Repeated && receipts[i].Final && !receipts[i].Delivered
		if !failed || r.Attempt != r.Attempts || !due.Before(r.Deadline) {
			continue
		}
		if err := tx.PostponeWork(ctx, due, []work.Key{r.Key}); err != nil {
			return err
		}
		entry := audit.Entry{At: now, Actor: "hub", Action: "text.undelivered", Subject: r.Subject, Ref: r.Ref, Detail: receipts[i].Status}
		if err := tx.AddAudit(ctx, entry); err != nil {
			return err
		}
	}
	return nil
}
