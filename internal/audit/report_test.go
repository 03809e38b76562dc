package audit_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"untether/internal/audit"
	"untether/internal/store/storetest"
)

func TestHeadText(t *testing.T) {
	tr := newTrail(t, storetest.Open(t))
	tr.three()
	head := tr.verify().Head
	back, err := audit.ParseHead(head.String())
	if err != nil || back.Batch != head.Batch || !bytes.Equal(back.Hash, head.Hash) {
		t.Errorf("%v became %v, %v", head, back, err)
	}
	for _, text := range []string{"", "3", "3:", ":", "x:00", "-1:" + strings.Repeat("0", 64), "0:" + strings.Repeat("0", 64), "3:zz", "3:0000"} {
		if h, err := audit.ParseHead(text); err == nil {
			t.Errorf("%q is a head: %v", text, h)
		}
	}
}

func TestWriteReport(t *testing.T) {
	head := audit.Head{Batch: 2, Hash: []byte{0xab}}
	tests := map[string]struct {
		report audit.Report
		want   []string
		never  string
	}{
		"sound": {audit.Report{Batches: 2, Rows: 9, Unsealed: 1, Head: head}, []string{"2 batches with 9 sealed rows; 1 rows wait", "as it was sealed", "2:ab"}, "NOT"},
		"empty": {audit.Report{}, []string{"0 batches"}, "Keep"},
		"pruned": {audit.Report{Pruned: 4, PrunedUntil: time.Date(2025, 3, 4, 5, 6, 7, 0, time.UTC)},
			[]string{"4 rows were pruned", "2025-03-04T05:06:07Z"}, "NOT"},
		"faults": {audit.Report{Head: head, FaultCount: 5, Faults: []audit.Fault{{Batch: 7, Row: "R\n1", What: "it was changed"}, {Batch: 8, What: "gone"}}},
			[]string{"NOT AS IT WAS SEALED: 5 faults, the first in batch 7", `row "R\n1": it was changed`, "batch 8: gone", "3 more"}, "Keep"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var b strings.Builder
			if err := audit.WriteReport(&b, test.report); err != nil {
				t.Fatal(err)
			}
			for _, want := range test.want {
				if !strings.Contains(b.String(), want) {
					t.Errorf("%q is missing in\n%s", want, b.String())
				}
			}
			if strings.Contains(b.String(), test.never) {
				t.Errorf("%q is in\n%s", test.never, b.String())
			}
		})
	}
	if err := audit.WriteReport(full{}, audit.Report{}); err == nil {
		t.Error("a report that could not be written was written")
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("full") }

func FuzzParseHead(f *testing.F) {
	f.Add("3:" + strings.Repeat("0f", 32))
	f.Add("0:")
	f.Fuzz(func(t *testing.T, text string) {
		h, err := audit.ParseHead(text)
		if err != nil {
			return
		}
		if back, err := audit.ParseHead(h.String()); err != nil || back.Batch != h.Batch || !bytes.Equal(back.Hash, h.Hash) {
			t.Errorf("%q: %v became %v, %v", text, h, back, err)
		}
	})
}
