// Package wire carries SMPP 3.4 over one connection: whole PDUs in, whole PDUs out. Both ends of the protocol use it, the
// client of package sms and the sandbox's centre.
//
// It guarantees: a PDU longer than FrameMax is never read into memory; a PDU that cannot be understood is told apart from
// a stream that is lost, so that one bad PDU costs an answer and not the bind; what is sent from many goroutines goes out
// in order and is gathered into few writes; a peer that does not read stops its senders instead of filling memory.
// It knows nothing of binds, windows or time: whoever owns a Conn closes it when a peer is too slow.
//
// The encoding is gosmpp's package pdu. Its Parse is not used: it loses the sequence number of what it cannot parse and
// takes an error answer without a body (which the standard prescribes) for a broken stream.
package wire

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"

	"github.com/linxGnu/gosmpp/data"
	"github.com/linxGnu/gosmpp/pdu"
)

// Bounds of one connection, in bytes.
const (
	FrameMax   = 16 << 10 // the longest PDU that is read; a submit_sm is at most about 400 without a payload parameter
	queuedMax  = 1 << 20  // what may wait to be written before senders wait
	keptMax    = 64 << 10 // a write buffer grown beyond this is not kept
	headerSize = 16
)

// ErrClosed is what Send answers after the connection ended without another reason.
var ErrClosed = errors.New("the SMPP connection is closed")

// Malformed is a PDU that came whole but cannot be understood. The stream goes on behind it unless Fatal, when its length
// cannot be believed.
type Malformed struct {
	Sequence int32
	Status   data.CommandStatusType // what a generic_nack should say
	Answer   bool                   // it is itself an answer, so it must not be answered
	Fatal    bool
}

// Error names the status; it holds nothing of what the peer sent.
func (m *Malformed) Error() string {
	return fmt.Sprintf("malformed PDU (status 0x%02x)", uint32(m.Status))
}

// Nack is the generic_nack that answers a malformed PDU.
func (m *Malformed) Nack() pdu.PDU {
	p := pdu.NewGenericNack().(*pdu.GenericNack)
	p.SetSequenceNumber(m.Sequence)
	p.CommandStatus = m.Status
	return p
}

// Conn is an SMPP connection. One goroutine may Read; any number may Send.
type Conn struct {
	peer  net.Conn
	in    *bufio.Reader
	frame []byte

	mu        sync.Mutex
	work      sync.Cond // the writer waits here for something to write
	room      sync.Cond // senders wait here for the writer
	out       *pdu.ByteBuffer
	spare     *pdu.ByteBuffer
	finishing bool
	err       error
}

// New takes over a connection and starts its writer, which ends with Close, Finish or the first failed write.
func New(peer net.Conn) *Conn {
	c := &Conn{peer: peer, in: bufio.NewReaderSize(peer, FrameMax), out: pdu.NewBuffer(nil), spare: pdu.NewBuffer(nil)}
	c.work.L, c.room.L = &c.mu, &c.mu
	go c.write()
	return c
}

// Read returns the next PDU. A *Malformed that is not Fatal leaves the stream readable; after any other error it is lost.
func (c *Conn) Read() (pdu.PDU, error) {
	var header [headerSize]byte
	if _, err := io.ReadFull(c.in, header[:]); err != nil {
		return nil, err
	}
	sequence := int32(binary.BigEndian.Uint32(header[12:]))
	length := binary.BigEndian.Uint32(header[:])
	if length < headerSize || length > FrameMax {
		return nil, &Malformed{Sequence: sequence, Status: data.ESME_RINVCMDLEN, Fatal: true}
	}
	c.frame = append(c.frame[:0], header[:]...)
	c.frame = append(c.frame, make([]byte, length-headerSize)...)
	if _, err := io.ReadFull(c.in, c.frame[headerSize:]); err != nil {
		return nil, err
	}
	return Parse(c.frame)
}

// Parse understands one whole PDU, or returns a *Malformed. The PDU shares no memory with frame.
func Parse(frame []byte) (pdu.PDU, error) {
	if len(frame) < headerSize {
		return nil, &Malformed{Status: data.ESME_RINVCMDLEN, Fatal: true}
	}
	header := pdu.ParseHeader([headerSize]byte(frame[:headerSize]))
	bad := &Malformed{Sequence: header.SequenceNumber, Answer: header.CommandID < 0}
	if int64(header.CommandLength) != int64(len(frame)) {
		bad.Status, bad.Fatal = data.ESME_RINVCMDLEN, true
		return nil, bad
	}
	p, err := pdu.CreatePDUFromCmdID(header.CommandID)
	if err != nil {
		bad.Status = data.ESME_RINVCMDID
		return nil, bad
	}
	err = p.Unmarshal(pdu.NewBuffer(frame))
	if err != nil && bad.Answer && header.CommandStatus != data.ESME_ROK {
		return p, nil // an error answer has no body, or one that does not matter
	}
	if err != nil {
		bad.Status = data.ESME_RINVMSGLEN
		return nil, bad
	}
	return p, nil
}

// Send queues a PDU. It waits only while the peer is far behind; an error means that the connection has ended.
func (c *Conn) Send(p pdu.PDU) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.err == nil && c.out.Len() > queuedMax {
		c.room.Wait()
	}
	if c.err == nil && c.finishing {
		return ErrClosed
	}
	if c.err != nil {
		return c.err
	}
	p.Marshal(c.out)
	c.work.Signal()
	return nil
}

// Finish closes the connection once everything queued is written. It does not wait.
func (c *Conn) Finish() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.finishing = true
	c.work.Signal()
}

// Close ends the connection at once; a Read or Send that waits returns.
func (c *Conn) Close() { c.fail(ErrClosed) }

func (c *Conn) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		c.err = err
	}
	_ = c.peer.Close()
	c.work.Broadcast()
	c.room.Broadcast()
}

func (c *Conn) write() {
	for {
		batch := c.batch()
		if batch == nil {
			c.Close()
			return
		}
		if _, err := c.peer.Write(batch.Bytes()); err != nil {
			c.fail(err)
			return
		}
		c.giveBack(batch)
	}
}

// batch waits for something to write; nil means that nothing will come any more.
func (c *Conn) batch() *pdu.ByteBuffer {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.err == nil && c.out.Len() == 0 && !c.finishing {
		c.work.Wait()
	}
	if c.err != nil || c.out.Len() == 0 {
		return nil
	}
	batch := c.out
	c.out, c.spare = c.spare, nil
	c.room.Broadcast()
	return batch
}

func (c *Conn) giveBack(batch *pdu.ByteBuffer) {
	if batch.Cap() > keptMax {
		batch = pdu.NewBuffer(nil)
	}
	batch.Reset()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.spare = batch
}
