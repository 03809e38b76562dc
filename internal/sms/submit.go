package sms

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/linxGnu/gosmpp/data"
	"github.com/linxGnu/gosmpp/pdu"

	"untether/internal/texts"
)

const (
	esmUDHI       = 0x40 // the body begins with a user data header
	wantReceipt   = 0x01 // registered_delivery: a receipt for success and failure alike
	international = 1    // type of number
	e164          = 1    // numbering plan
)

// Submit sends every part of a text and waits for the answers. It returns the message ids of the parts that were taken, in
// order. Parts are on their way together, so that after a failed part a later one can have been taken.
//
// The error is texts.ErrRefused when the centre will never take a part, else one that is worth a retry: ErrNotBound
// (nothing was sent, or not all), ErrLater, ErrUnanswered, or ctx's. Ids come with an error too.
func (c *Client) Submit(ctx context.Context, o texts.Outgoing) ([]string, error) {
	parts, err := Segment(o.Text, o.Reference)
	if err != nil {
		return nil, err
	}
	l := c.link()
	if l == nil {
		return nil, ErrNotBound
	}
	var errs []error
	requests := make([]*request, 0, len(parts))
	for _, part := range parts {
		p, err := c.submitSM(o, part)
		if err != nil {
			return nil, err
		}
		r, err := l.send(ctx, p)
		if err != nil {
			errs = append(errs, err)
			break
		}
		requests = append(requests, r)
	}
	ids, failed := collect(ctx, requests)
	return ids, gravest(append(errs, failed...))
}

// collect waits for every answer.
func collect(ctx context.Context, requests []*request) (ids []string, errs []error) {
	for _, r := range requests {
		select {
		case a := <-r.answer:
			if a.err != nil {
				errs = append(errs, a.err)
			} else {
				ids = append(ids, a.id)
			}
		case <-ctx.Done():
			errs = append(errs, fmt.Errorf("%w: %w", ErrUnanswered, ctx.Err()))
		}
	}
	return ids, errs
}

// gravest picks the error that decides: a refusal, else the first.
func gravest(errs []error) error {
	for _, err := range errs {
		if errors.Is(err, texts.ErrRefused) {
			return err
		}
	}
	if len(errs) > 0 {
		return errs[0]
	}
	return nil
}

// submitSM writes one part as a PDU.
func (c *Client) submitSM(o texts.Outgoing, part Part) (*pdu.SubmitSM, error) {
	p := pdu.NewSubmitSM().(*pdu.SubmitSM)
	from, errFrom := pdu.NewAddressWithTonNpiAddr(c.config.SourceTON, c.config.SourceNPI, o.From)
	to, errTo := pdu.NewAddressWithTonNpiAddr(international, e164, strings.TrimPrefix(o.To.E164(), "+"))
	if errFrom != nil || errTo != nil || o.To.IsZero() {
		return nil, fmt.Errorf("an address does not fit: %w", texts.ErrRefused)
	}
	p.SourceAddr, p.DestAddr = from, to
	p.RegisteredDelivery = wantReceipt
	p.RegisterOptionalParam(pdu.Field{Tag: pdu.TagUserMessageReference, Data: []byte{byte(o.Reference >> 8), byte(o.Reference)}})
	esm, message, err := Message(part)
	if err != nil {
		return nil, err
	}
	p.EsmClass, p.Message = esm, message
	return p, nil
}

// Message is a part as a PDU carries it, with the esm_class that it asks for.
func Message(part Part) (esm byte, m pdu.ShortMessage, err error) {
	coding := data.GSM7BIT
	if part.Coding == CodingUCS2 {
		coding = data.UCS2
	}
	if err := m.SetMessageDataWithEncoding(part.Body, coding); err != nil {
		return 0, m, fmt.Errorf("a part does not fit: %w", texts.ErrRefused)
	}
	if part.Concat == (Concat{}) {
		return 0, m, nil
	}
	m.SetUDH(pdu.UDH{pdu.NewIEConcatMessage(part.Concat.Total, part.Concat.Number, byte(part.Concat.Reference))})
	return esmUDHI, m, nil
}

// statusError reads the status of a submit_sm_resp. A refusal is about this text or this number; everything else, also
// what an operator has to put right (a source address, an allowance), is worth a retry.
func statusError(status data.CommandStatusType) error {
	switch status {
	case data.ESME_ROK:
		return nil
	case data.ESME_RINVMSGLEN, data.ESME_RINVDSTADR, data.ESME_RINVDSTTON, data.ESME_RINVDSTNPI,
		data.ESME_RINVNUMDESTS, data.ESME_RX_P_APPN, data.ESME_RX_R_APPN:
		return statusAs(texts.ErrRefused, status)
	default:
		return statusAs(ErrLater, status)
	}
}

// nackError reads a generic_nack: the request was not taken.
func nackError(status data.CommandStatusType) error { return statusAs(ErrLater, status) }

func statusAs(err error, status data.CommandStatusType) error {
	return fmt.Errorf("%w: %s (0x%02x)", err, status.Desc(), uint32(status))
}
