package centre

import (
	"fmt"
	"strings"
	"time"

	"github.com/linxGnu/gosmpp/data"
	"github.com/linxGnu/gosmpp/pdu"

	"untether/internal/fault"
	"untether/internal/sms"
)

// outcome is what became of a text: the word and the state of a receipt (SMPP 3.4 §5.2.28 and Appendix B).
type outcome struct {
	word  string
	state byte
}

var (
	delivered     = outcome{"DELIVRD", 2}
	expired       = outcome{"EXPIRED", 3}
	undeliverable = outcome{"UNDELIV", 5}
)

const (
	receiptOnFailure = 2 // registered_delivery
	esmReceipt       = 0x04
	international    = 1 // type of number
	e164             = 1 // numbering plan
)

// take brings a part to its text, and the text to its handset when it is complete.
func (c *Centre) take(a *account, id string, p *pdu.SubmitSM) {
	now := c.options.Clock.Now()
	f := readFragment(id, p)
	to := "+" + strings.TrimPrefix(p.DestAddr.Address(), "+")
	where := place{account: a.id, from: p.SourceAddr.Address(), to: to, reference: f.concat.Reference, total: f.concat.Total}
	complete, givenUp := c.parts.add(where, f, now)
	for _, x := range givenUp {
		c.report(x, expired, now)
	}
	if complete != nil {
		text := Message{From: complete.from, To: to, Text: complete.text(), At: now}
		c.report(complete, c.handsets.receive(text), now)
	}
}

// report sends the receipts that the parts' sender asked for.
func (c *Centre) report(x *assembly, o outcome, now time.Time) {
	var receipts []*pdu.DeliverSM
	for _, f := range x.came {
		if f.receipts == 0 || (f.receipts == receiptOnFailure && o == delivered) {
			continue
		}
		receipts = append(receipts, receipt(x, f, o, now))
	}
	if len(receipts) > 0 {
		c.accounts[x.account].enqueue(receipts...)
	}
}

func receipt(x *assembly, f fragment, o outcome, now time.Time) *pdu.DeliverSM {
	p := pdu.NewDeliverSM().(*pdu.DeliverSM)
	p.EsmClass = esmReceipt
	p.SourceAddr = address(international, e164, strings.TrimPrefix(x.to, "+"))
	p.DestAddr = address(0, 0, x.from)
	got, date := 0, now.Format("0601021504")
	if o == delivered {
		got = 1
	}
	body := fmt.Sprintf("id:%s sub:001 dlvrd:%03d submit date:%s done date:%s stat:%s err:000 text:", f.id, got, date, date, o.word)
	_ = p.Message.SetMessageDataWithEncoding([]byte(body), data.GSM7BIT) // far below the limit
	p.RegisterOptionalParam(pdu.Field{Tag: pdu.TagReceiptedMessageID, Data: append([]byte(f.id), 0)})
	p.RegisterOptionalParam(pdu.Field{Tag: pdu.TagMessageStateOption, Data: []byte{o.state}})
	return p
}

// address cuts what is too long for the wire; all callers have shorter ones.
func address(ton, npi byte, s string) pdu.Address {
	a := pdu.NewAddressWithTonNpi(ton, npi)
	_ = a.SetAddress(s[:min(len(s), data.SM_ADDR_LEN)])
	return a
}

// Failures of Send.
var (
	ErrUnknown = fault.New(fault.NotFound, "HANDSET_UNKNOWN", "No handset in this country has the number.")
	ErrOff     = fault.New(fault.Conflict, "HANDSET_OFF", "The handset is switched off.")
	ErrText    = fault.New(fault.Invalid, "INVALID_ARGUMENT", "text must be UTF-8, not empty, and short enough for 20 text messages.")
)

// Send is a handset sending a text to the short code. From is E.164 with a plus sign.
func (c *Centre) Send(from, text string) error {
	if err := c.handsets.mayspeak(from); err != nil {
		return err
	}
	parts, err := sms.Segment(text, uint16(c.reference.Add(1)))
	if err != nil {
		return ErrText.Because(err)
	}
	for _, a := range c.accounts {
		if c.options.ShortCodeOwner != "" && a.id != c.options.ShortCodeOwner {
			continue
		}
		ps := make([]*pdu.DeliverSM, len(parts))
		for i, part := range parts {
			if ps[i], err = fromHandset(from, c.options.ShortCode, part); err != nil {
				return ErrText.Because(err)
			}
		}
		a.enqueue(ps...)
	}
	return nil
}

func fromHandset(from, to string, part sms.Part) (*pdu.DeliverSM, error) {
	p := pdu.NewDeliverSM().(*pdu.DeliverSM)
	p.SourceAddr = address(international, e164, strings.TrimPrefix(from, "+"))
	p.DestAddr = address(0, 0, to)
	esm, message, err := sms.Message(part)
	if err != nil {
		return nil, err
	}
	p.EsmClass, p.Message = esm, message
	return p, nil
}
