package audit

import (
	"fmt"
	"io"
	"time"
)

// WriteReport tells an operator what Verify found: one line when all is well, the faults otherwise, and the head to keep.
func WriteReport(w io.Writer, r Report) error {
	p := &printer{w: w}
	p.line("%d batches with %d sealed rows; %d rows wait for their sealing.", r.Batches, r.Rows, r.Unsealed)
	if r.Pruned > 0 {
		p.line("%d rows were pruned, from batches sealed until %s.", r.Pruned, r.PrunedUntil.UTC().Format(time.RFC3339))
	}
	if r.Sound() {
		p.line("The trail is as it was sealed.")
	} else {
		p.line("THE TRAIL IS NOT AS IT WAS SEALED: %d faults, the first in batch %d.", r.FaultCount, r.FirstBad())
	}
	for _, f := range r.Faults {
		where := fmt.Sprintf("batch %d", f.Batch)
		if f.Row != "" {
			where += fmt.Sprintf(", row %q", f.Row)
		}
		p.line("  %s: %s", where, f.What)
	}
	if more := r.FaultCount - int64(len(r.Faults)); more > 0 {
		p.line("  … and %d more.", more)
	}
	if r.Sound() && r.Head.Batch > 0 {
		p.line("Keep this head outside the database, to prove later that the end was not cut off: %s", r.Head)
	}
	return p.err
}

// printer keeps the first error, so that each line need not be asked for its own.
type printer struct {
	w   io.Writer
	err error
}

func (p *printer) line(format string, a ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format+"\n", a...)
	}
}
