package e2e

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/linxGnu/gosmpp/pdu"

	"untether/internal/sms"
	"untether/internal/sms/wire"
)

// tap stands between a hub and its SMS centre and notes every part that the hub hands over, byte for byte.
type tap struct {
	listener net.Listener
	centre   string

	mu    sync.Mutex
	parts map[string][]part // by receiver, E.164
}

// part is one submit_sm.
type part struct {
	reference     uint16
	number, total byte
	coding        byte
	body          []byte
}

const frameMax = 16 << 10

func openTap(t testing.TB, centre string) *tap {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	p := &tap{listener: l, centre: centre, parts: map[string][]part{}}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			hub, err := l.Accept()
			if err != nil {
				return
			}
			running.Go(func() { p.join(hub) })
		}
	})
	t.Cleanup(func() {
		check(t, l.Close())
		running.Wait()
	})
	return p
}

func (p *tap) address() string { return p.listener.Addr().String() }

// join carries one connection until either end closes it.
func (p *tap) join(hub net.Conn) {
	centre, err := net.Dial("tcp", p.centre)
	if err != nil {
		_ = hub.Close()
		return
	}
	var back sync.WaitGroup
	back.Go(func() {
		_, _ = io.Copy(hub, centre)
		_ = hub.Close()
	})
	for {
		frame, err := readFrame(hub)
		if err != nil {
			break
		}
		p.note(frame) // before the centre has it: whatever reached a handset stands here
		if _, err := centre.Write(frame); err != nil {
			break
		}
	}
	_ = hub.Close()
	_ = centre.Close()
	back.Wait()
}

func readFrame(r io.Reader) ([]byte, error) {
	var length [4]byte
	if _, err := io.ReadFull(r, length[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(length[:])
	if n < 16 || n > frameMax {
		return nil, fmt.Errorf("a frame of %d octets", n)
	}
	frame := append(length[:], make([]byte, n-4)...)
	_, err := io.ReadFull(r, frame[4:])
	return frame, err
}

func (p *tap) note(frame []byte) {
	parsed, err := wire.Parse(frame)
	submit, ok := parsed.(*pdu.SubmitSM)
	if err != nil || !ok {
		return
	}
	x := part{number: 1, total: 1, coding: submit.Message.Encoding().DataCoding()}
	x.body, _ = submit.Message.GetMessageData()
	x.body = bytes.Clone(x.body)
	if total, number, _, concatenated := submit.Message.UDH().GetConcatInfo(); concatenated {
		x.total, x.number = total, number
	}
	if field := submit.OptionalParameters[pdu.TagUserMessageReference]; len(field.Data) == 2 {
		x.reference = binary.BigEndian.Uint16(field.Data)
	}
	to := "+" + strings.TrimPrefix(submit.DestAddr.Address(), "+")
	p.mu.Lock()
	defer p.mu.Unlock()
	p.parts[to] = append(p.parts[to], x)
}

// handedOver is one text with how often the hub began to hand it over.
type handedOver struct {
	reference uint16
	text      string
	times     int
}

// to gives the texts that were handed over for a number. Two texts that share a reference, or a text that is not whole, are
// an error.
func (p *tap) to(number string) ([]handedOver, error) {
	p.mu.Lock()
	parts := slices.Clone(p.parts[number])
	p.mu.Unlock()
	bodies := map[uint16]map[byte]part{}
	times := map[uint16]map[byte]int{}
	for _, x := range parts {
		if bodies[x.reference] == nil {
			bodies[x.reference], times[x.reference] = map[byte]part{}, map[byte]int{}
		}
		if before, ok := bodies[x.reference][x.number]; ok && (!bytes.Equal(before.body, x.body) || before.total != x.total) {
			return nil, fmt.Errorf("two texts under one reference %d", x.reference)
		}
		bodies[x.reference][x.number] = x
		times[x.reference][x.number]++
	}
	var texts []handedOver
	for reference, numbered := range bodies {
		var body []byte
		var last part
		for _, n := range slices.Sorted(maps.Keys(numbered)) {
			last = numbered[n]
			body = append(body, last.body...)
		}
		if len(numbered) != int(last.total) {
			return nil, fmt.Errorf("%d of %d parts of a text", len(numbered), last.total)
		}
		texts = append(texts, handedOver{reference, sms.Decode(last.coding, body), slices.Max(slices.Collect(maps.Values(times[reference])))})
	}
	return texts, nil
}

// repliesTo are those of them that are replies to searches.
func (p *tap) repliesTo(number string) ([]handedOver, error) {
	texts, err := p.to(number)
	return slices.DeleteFunc(texts, func(x handedOver) bool { return !isReply(x.text) }), err
}
