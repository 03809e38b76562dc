package centre

import (
	"testing"
	"time"

	"github.com/linxGnu/gosmpp/data"
	"github.com/linxGnu/gosmpp/pdu"

	"untether/internal/sms"
)

func part(number byte, body string) fragment {
	return fragment{id: body, body: []byte(body), concat: sms.Concat{Reference: 1, Total: 3, Number: number}}
}

func TestAssembler(t *testing.T) {
	start := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	where := place{account: "hub", to: "+861", reference: 1, total: 3}
	for _, row := range []struct {
		name    string
		came    []fragment
		after   time.Duration // between the parts
		want    string
		givenUp int
	}{
		{"in order", []fragment{part(1, "a"), part(2, "b"), part(3, "c")}, 0, "abc", 0},
		{"in any order", []fragment{part(3, "c"), part(1, "a"), part(2, "b")}, 0, "abc", 0},
		{"one came again", []fragment{part(1, "a"), part(1, "a"), part(2, "b"), part(3, "c")}, 0, "abc", 0},
		{"one is missing", []fragment{part(1, "a"), part(3, "c")}, 0, "", 0},
		{"an empty part is a part", []fragment{part(1, "a"), part(2, ""), part(3, "c")}, 0, "ac", 0},
		{"the last came late, but nobody had given up", []fragment{part(1, "a"), part(2, "b"), part(3, "c")}, 6 * time.Minute, "abc", 0},
		{"far too late", []fragment{part(1, "a"), part(2, "b")}, assemblyLife, "", 1},
	} {
		t.Run(row.name, func(t *testing.T) {
			a, now, got, givenUp := newAssembler(), start, "", 0
			for _, f := range row.came {
				complete, old := a.add(where, f, now)
				if complete != nil {
					got = complete.text()
				}
				givenUp += len(old)
				now = now.Add(row.after)
			}
			if got != row.want || givenUp != row.givenUp {
				t.Errorf("got %q, %d given up", got, givenUp)
			}
		})
	}
}

func TestAssemblerIsBounded(t *testing.T) {
	a, givenUp := newAssembler(), 0
	for i := range assembliesMax + 10 {
		_, old := a.add(place{from: string(rune(i)), total: 3}, part(1, "a"), time.Time{})
		givenUp += len(old)
	}
	if givenUp != 10 || len(a.open) != assembliesMax || a.oldest.Len() != assembliesMax {
		t.Errorf("%d given up, %d open", givenUp, len(a.open))
	}
}

func TestRepeatedPartsAreBounded(t *testing.T) {
	a := newAssembler()
	for i := range cameMax {
		_, givenUp := a.add(place{total: 3}, part(1, "a"), time.Time{})
		if last := i == cameMax-1; (len(givenUp) == 1) != last {
			t.Fatalf("after %d parts %d texts were given up", i+1, len(givenUp))
		}
	}
}

func TestReadConcat(t *testing.T) {
	field := func(tag pdu.Tag, b ...byte) pdu.Field { return pdu.Field{Tag: tag, Data: b} }
	for _, row := range []struct {
		name string
		udh  pdu.UDH
		tlvs []pdu.Field
		want sms.Concat
	}{
		{"none", nil, nil, sms.Concat{}},
		{"8 bits", pdu.UDH{{ID: 0, Data: []byte{9, 3, 2}}}, nil, sms.Concat{Reference: 9, Total: 3, Number: 2}},
		{"16 bits", pdu.UDH{{ID: 8, Data: []byte{1, 9, 3, 2}}}, nil, sms.Concat{Reference: 0x109, Total: 3, Number: 2}},
		{"parameters", nil, []pdu.Field{field(pdu.TagSarMsgRefNum, 1, 9), field(pdu.TagSarTotalSegments, 3), field(pdu.TagSarSegmentSeqnum, 2)}, sms.Concat{Reference: 0x109, Total: 3, Number: 2}},
		{"a parameter is missing", nil, []pdu.Field{field(pdu.TagSarMsgRefNum, 1, 9)}, sms.Concat{}},
		{"part 0", pdu.UDH{{ID: 0, Data: []byte{9, 3, 0}}}, nil, sms.Concat{}},
		{"part 4 of 3", pdu.UDH{{ID: 0, Data: []byte{9, 3, 4}}}, nil, sms.Concat{}},
		{"cut short", pdu.UDH{{ID: 0, Data: []byte{9}}}, nil, sms.Concat{}},
	} {
		t.Run(row.name, func(t *testing.T) {
			p := pdu.NewSubmitSM().(*pdu.SubmitSM)
			_ = p.Message.SetMessageDataWithEncoding([]byte("x"), data.GSM7BIT)
			p.Message.SetUDH(row.udh)
			for _, f := range row.tlvs {
				p.RegisterOptionalParam(f)
			}
			if got := readFragment("", p).concat; got != row.want {
				t.Errorf("got %+v", got)
			}
		})
	}
}
