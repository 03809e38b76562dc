package sms

import (
	"strings"
	"testing"

	"github.com/linxGnu/gosmpp/data"
	"github.com/linxGnu/gosmpp/pdu"

	"untether/internal/texts"
)

const appendixB = "id:0123456789 sub:001 dlvrd:001 submit date:2611231815 done date:2611231816 stat:DELIVRD err:000 text:id:9 stat:UNDELIV"

func delivery(t *testing.T, esm byte, body string, tlvs ...pdu.Field) *pdu.DeliverSM {
	t.Helper()
	p := pdu.NewDeliverSM().(*pdu.DeliverSM)
	p.EsmClass = esm
	if err := p.Message.SetMessageDataWithEncoding([]byte(body), data.GSM7BIT); err != nil {
		t.Fatal(err)
	}
	for _, f := range tlvs {
		p.RegisterOptionalParam(f)
	}
	return p
}

func TestReadReceipt(t *testing.T) {
	id := func(s string) pdu.Field { return pdu.Field{Tag: pdu.TagReceiptedMessageID, Data: append([]byte(s), 0)} }
	state := func(b byte) pdu.Field { return pdu.Field{Tag: pdu.TagMessageStateOption, Data: []byte{b}} }
	for _, row := range []struct {
		name string
		ids  IDs
		p    *pdu.DeliverSM
		want texts.Receipt
		is   bool
	}{
		{"Appendix B, marked", IDsAlike, delivery(t, 0x04, appendixB), texts.Receipt{MessageID: "0123456789", Final: true, Delivered: true, Status: "DELIVRD"}, true},
		{"Appendix B, not marked: a person can write that", IDsAlike, delivery(t, 0, appendixB), texts.Receipt{}, false},
		{"a status that is no word", IDsAlike, delivery(t, 0x04, "id:7 stat:DELIV@D"), texts.Receipt{MessageID: "7"}, true},
		{"a status that is too long", IDsAlike, delivery(t, 0x04, "id:7 stat:"+strings.Repeat("A", 17)), texts.Receipt{MessageID: "7"}, true},
		{"an id that a database refuses", IDsAlike, delivery(t, 0x04, "", id("a\x00\xff"), state(2)), texts.Receipt{MessageID: `"a\x00\xff"`, Final: true, Delivered: true, Status: "DELIVRD"}, true},
		{"undeliverable", IDsAlike, delivery(t, 0x04, "id:7 stat:UNDELIV err:005"), texts.Receipt{MessageID: "7", Final: true, Status: "UNDELIV"}, true},
		{"in another case", IDsAlike, delivery(t, 0x04, "ID:7 Stat:expired"), texts.Receipt{MessageID: "7", Final: true, Status: "EXPIRED"}, true},
		{"accepted is not final", IDsAlike, delivery(t, 0x04, "id:7 stat:ACCEPTD"), texts.Receipt{MessageID: "7", Status: "ACCEPTD"}, true},
		{"a word of the centre's own is not final", IDsAlike, delivery(t, 0x04, "id:7 stat:BUFFERED"), texts.Receipt{MessageID: "7", Status: "BUFFERED"}, true},
		{"an intermediate notification is not final", IDsAlike, delivery(t, 0x20, "id:7 stat:UNDELIV"), texts.Receipt{MessageID: "7", Status: "UNDELIV"}, true},
		{"parameters only", IDsAlike, delivery(t, 0x04, "", id("ab"), state(2)), texts.Receipt{MessageID: "ab", Final: true, Delivered: true, Status: "DELIVRD"}, true},
		{"parameters only, not marked", IDsAlike, delivery(t, 0, "", id("ab"), state(8)), texts.Receipt{MessageID: "ab", Final: true, Status: "REJECTD"}, true},
		{"a state nobody knows", IDsAlike, delivery(t, 0x04, "", id("ab"), state(99)), texts.Receipt{MessageID: "ab"}, true},
		{"the parameter goes before the text", IDsAlike, delivery(t, 0x04, "id:7 stat:DELIVRD", id("ab")), texts.Receipt{MessageID: "ab", Final: true, Delivered: true, Status: "DELIVRD"}, true},
		{"answer in hex, receipt in decimal", IDsAnswerHex, delivery(t, 0x04, "id:0000006699 stat:DELIVRD"), texts.Receipt{MessageID: "6699", Final: true, Delivered: true, Status: "DELIVRD"}, true},
		{"answer in hex, parameter as the answer", IDsAnswerHex, delivery(t, 0x04, "", id("1A2B"), state(2)), texts.Receipt{MessageID: "6699", Final: true, Delivered: true, Status: "DELIVRD"}, true},
		{"answer in decimal, receipt in hex", IDsReceiptHex, delivery(t, 0x04, "id:1a2b stat:DELIVRD"), texts.Receipt{MessageID: "6699", Final: true, Delivered: true, Status: "DELIVRD"}, true},
		{"marked, but says nothing", IDsAlike, delivery(t, 0x04, ""), texts.Receipt{}, true},
		{"a person's message", IDsAlike, delivery(t, 0, "hello"), texts.Receipt{}, false},
		{"a person's message with an id in it", IDsAlike, delivery(t, 0, "my id:7"), texts.Receipt{}, false},
		{"a person's message that quotes a receipt", IDsAlike, delivery(t, 0, "text: id:7 stat:DELIVRD"), texts.Receipt{}, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			got, is := row.ids.readReceipt(row.p)
			if got != row.want || is != row.is {
				t.Errorf("got %+v, %v", got, is)
			}
		})
	}
}

func TestAnsweredID(t *testing.T) {
	for _, row := range []struct {
		ids      IDs
		id, want string
	}{
		{IDsAlike, "00aB", "00aB"},
		{IDsAnswerHex, "00001A2b", "6699"},
		{IDsReceiptHex, "0006699", "6699"},
		{IDsAnswerHex, "a-uuid-is-no-number", "a-uuid-is-no-number"},
		{IDsAlike, "a\x00\xff", `"a\x00\xff"`},
	} {
		if got := row.ids.answered(row.id); got != row.want {
			t.Errorf("%v %q: %q", row.ids, row.id, got)
		}
	}
}

func TestMessageTextFromPayload(t *testing.T) {
	payload := pdu.Field{Tag: pdu.TagMessagePayload, Data: []byte("\x05\x00\x03\x01\x02\x01hello")}
	if got := messageText(delivery(t, esmUDHI, "", payload)); got != "hello" {
		t.Errorf("got %q", got)
	}
	cutShort := pdu.Field{Tag: pdu.TagMessagePayload, Data: []byte("\x7f")}
	_ = messageText(delivery(t, esmUDHI, "", cutShort)) // must only not panic
}

func FuzzReceipt(f *testing.F) {
	f.Add(byte(4), appendixB, "7", byte(2))
	f.Add(byte(0), "İd:1 stat:X", "", byte(0)) // a letter whose small form is longer
	f.Fuzz(func(t *testing.T, esm byte, body, id string, state byte) {
		p := pdu.NewDeliverSM().(*pdu.DeliverSM)
		p.EsmClass = esm
		if p.Message.SetMessageDataWithEncoding([]byte(body), data.LATIN1) != nil {
			return
		}
		if id != "" {
			p.RegisterOptionalParam(pdu.Field{Tag: pdu.TagReceiptedMessageID, Data: []byte(id)})
		}
		p.RegisterOptionalParam(pdu.Field{Tag: pdu.TagMessageStateOption, Data: []byte{state}})
		for _, ids := range []IDs{IDsAlike, IDsAnswerHex, IDsReceiptHex} {
			if r, _ := ids.readReceipt(p); r.Delivered && !r.Final {
				t.Fatalf("delivered but not final: %+v", r)
			}
		}
	})
}
