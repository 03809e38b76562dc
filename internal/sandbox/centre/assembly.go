package centre

import (
	"container/list"
	"sync"
	"time"

	"github.com/linxGnu/gosmpp/pdu"

	"untether/internal/sms"
)

// fragment is one part as it came.
type fragment struct {
	id       string
	receipts byte // registered_delivery
	coding   byte
	body     []byte
	concat   sms.Concat // zero: whole
}

// place names the text that a part belongs to.
type place struct {
	account, from, to string
	reference         uint16
	total             byte
}

// assembly is a text some of whose parts have come.
type assembly struct {
	place
	expires time.Time
	bodies  [][]byte // by number; nil: not here yet
	missing int
	came    []fragment // every part that came, also one that came again
}

// assembler puts parts together, in bounds.
type assembler struct {
	mu     sync.Mutex
	open   map[place]*list.Element // of *assembly
	oldest *list.List
}

func newAssembler() *assembler {
	return &assembler{open: map[place]*list.Element{}, oldest: list.New()}
}

// cameMax bounds how often parts of an incomplete text can come again.
const cameMax = 512

// add puts a part in its place and returns the text when it is complete, and the texts given up meanwhile.
func (a *assembler) add(p place, f fragment, now time.Time) (complete *assembly, givenUp []*assembly) {
	if f.concat == (sms.Concat{}) {
		return &assembly{place: p, bodies: [][]byte{f.body}, came: []fragment{f}}, nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	e, ok := a.open[p]
	if !ok {
		e = a.oldest.PushBack(&assembly{
			place: p, expires: now.Add(assemblyLife), bodies: make([][]byte, p.total), missing: int(p.total),
		})
		a.open[p] = e
	}
	x := e.Value.(*assembly)
	x.put(f)
	switch {
	case x.missing == 0:
		a.remove(e)
		complete = x
	case len(x.came) >= cameMax:
		a.remove(e)
		givenUp = append(givenUp, x)
	}
	return complete, append(givenUp, a.sweep(now)...)
}

func (x *assembly) put(f fragment) {
	i := f.concat.Number - 1
	if x.bodies[i] == nil {
		x.missing--
	}
	x.bodies[i] = append([]byte{}, f.body...) // never nil, so that an empty part counts as here
	x.came = append(x.came, f)
}

// sweep gives up what is too old or too many. It needs mu.
func (a *assembler) sweep(now time.Time) (givenUp []*assembly) {
	for e := a.oldest.Front(); e != nil; e = a.oldest.Front() {
		x := e.Value.(*assembly)
		if now.Before(x.expires) && a.oldest.Len() <= assembliesMax {
			return givenUp
		}
		a.remove(e)
		givenUp = append(givenUp, x)
	}
	return givenUp
}

func (a *assembler) remove(e *list.Element) {
	delete(a.open, e.Value.(*assembly).place)
	a.oldest.Remove(e)
}

// text joins the parts.
func (x *assembly) text() string {
	var body []byte
	for _, b := range x.bodies {
		body = append(body, b...)
	}
	return sms.Decode(x.came[0].coding, body)
}

// Information elements of a user data header that number parts (3GPP TS 23.040 §9.2.3.24).
const ieConcat8, ieConcat16 = 0x00, 0x08

// readFragment reads a submit_sm. A numbering that makes no sense counts as none.
func readFragment(id string, p *pdu.SubmitSM) fragment {
	f := fragment{id: id, receipts: p.RegisteredDelivery & 0x03, concat: readConcat(p)}
	f.body, _ = p.Message.GetMessageData()
	if payload, ok := p.OptionalParameters[pdu.TagMessagePayload]; ok && len(f.body) == 0 {
		f.body = payload.Data
	}
	if e := p.Message.Encoding(); e != nil {
		f.coding = e.DataCoding()
	}
	if f.concat.Number == 0 || f.concat.Number > f.concat.Total {
		f.concat = sms.Concat{}
	}
	return f
}

func readConcat(p *pdu.SubmitSM) sms.Concat {
	for _, ie := range p.Message.UDH() {
		d := ie.Data
		switch {
		case ie.ID == ieConcat8 && len(d) == 3:
			return sms.Concat{Reference: uint16(d[0]), Total: d[1], Number: d[2]}
		case ie.ID == ieConcat16 && len(d) == 4:
			return sms.Concat{Reference: uint16(d[0])<<8 | uint16(d[1]), Total: d[2], Number: d[3]}
		}
	}
	reference := p.OptionalParameters[pdu.TagSarMsgRefNum].Data
	total := p.OptionalParameters[pdu.TagSarTotalSegments].Data
	number := p.OptionalParameters[pdu.TagSarSegmentSeqnum].Data
	if len(reference) != 2 || len(total) != 1 || len(number) != 1 {
		return sms.Concat{}
	}
	return sms.Concat{Reference: uint16(reference[0])<<8 | uint16(reference[1]), Total: total[0], Number: number[0]}
}
