package wire_test

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"testing"

	"github.com/linxGnu/gosmpp/data"
	"github.com/linxGnu/gosmpp/pdu"

	"untether/internal/sms/wire"
)

func frame(command, status, sequence uint32, body string) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(16+len(body)))
	b = binary.BigEndian.AppendUint32(b, command)
	b = binary.BigEndian.AppendUint32(b, status)
	b = binary.BigEndian.AppendUint32(b, sequence)
	return append(b, body...)
}

func TestParse(t *testing.T) {
	overlong := frame(0x15, 0, 7, "")
	overlong[3] = 200
	for _, row := range []struct {
		name   string
		frame  []byte
		status data.CommandStatusType // 0: understood
		fatal  bool
		answer bool
	}{
		{"enquire_link", frame(0x15, 0, 7, ""), 0, false, false},
		{"submit_sm_resp with an id", frame(0x80000004, 0, 7, "abc\x00"), 0, false, false},
		{"refused submit_sm_resp without a body", frame(0x80000004, 0x58, 7, ""), 0, false, false},
		{"refused submit_sm_resp with half a body", frame(0x80000004, 0x58, 7, "ab"), 0, false, false},
		{"refused bind_transceiver_resp without a body", frame(0x80000009, 0x0d, 7, ""), 0, false, false},
		{"a command that does not exist", frame(0x77, 0, 7, ""), data.ESME_RINVCMDID, false, false},
		{"an answer that does not exist", frame(0x80000077, 0, 7, ""), data.ESME_RINVCMDID, false, true},
		{"submit_sm cut short", frame(0x04, 0, 7, "\x00\x01"), data.ESME_RINVMSGLEN, false, false},
		{"a length that is not the frame's", overlong, data.ESME_RINVCMDLEN, true, false},
		{"shorter than a header", []byte("GET / HTTP"), data.ESME_RINVCMDLEN, true, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			p, err := wire.Parse(row.frame)
			if row.status == 0 {
				if err != nil || p.GetSequenceNumber() != 7 {
					t.Fatalf("got %v, %v", p, err)
				}
				return
			}
			var bad *wire.Malformed
			if !errors.As(err, &bad) || bad.Status != row.status || bad.Fatal != row.fatal || bad.Answer != row.answer {
				t.Fatalf("got %+v", err)
			}
		})
	}
}

func TestReadGoesOnBehindAMalformedPDU(t *testing.T) {
	ours, theirs := net.Pipe()
	c := wire.New(ours)
	defer c.Close()
	go func() {
		_, _ = theirs.Write(append(frame(0x77, 0, 1, "rubbish"), frame(0x15, 0, 2, "")...))
	}()
	if _, err := c.Read(); err == nil {
		t.Fatal("the unknown command was understood")
	}
	p, err := c.Read()
	if err != nil || p.GetSequenceNumber() != 2 {
		t.Fatalf("got %v, %v", p, err)
	}
}

func TestReadRefusesALengthThatIsTooLong(t *testing.T) {
	ours, theirs := net.Pipe()
	c := wire.New(ours)
	defer c.Close()
	go func() {
		_, _ = theirs.Write([]byte("\x7f\xff\xff\xff\x00\x00\x00\x04\x00\x00\x00\x00\x00\x00\x00\x09"))
	}()
	_, err := c.Read()
	var bad *wire.Malformed
	if !errors.As(err, &bad) || !bad.Fatal || bad.Sequence != 9 {
		t.Fatalf("got %+v", err)
	}
}

func TestFinishWritesWhatWasQueued(t *testing.T) {
	ours, theirs := net.Pipe()
	c := wire.New(ours)
	for range 3 {
		if err := c.Send(pdu.NewEnquireLink()); err != nil {
			t.Fatal(err)
		}
	}
	c.Finish()
	if err := c.Send(pdu.NewEnquireLink()); !errors.Is(err, wire.ErrClosed) {
		t.Fatalf("a PDU after the last: %v", err)
	}
	all, err := io.ReadAll(theirs)
	if err != nil || len(all) != 3*16 {
		t.Fatalf("%d bytes, %v", len(all), err)
	}
}

func TestSendEndsWhenThePeerNeverReads(t *testing.T) {
	ours, theirs := net.Pipe()
	defer func() { _ = theirs.Close() }()
	c := wire.New(ours)
	ended := make(chan error)
	go func() {
		for {
			if err := c.Send(pdu.NewEnquireLink()); err != nil {
				ended <- err
				return
			}
		}
	}()
	c.Close()
	if err := <-ended; !errors.Is(err, wire.ErrClosed) {
		t.Fatal(err)
	}
}

// FuzzParse looks for bytes that make the decoder panic or that are understood but cannot be written again.
func FuzzParse(f *testing.F) {
	f.Add(frame(0x04, 0, 1, "\x00\x00\x0010699000\x00\x01\x018613800000000\x00\x40\x00\x00\x00\x00\x01\x00\x08\x00\x08\x05\x00\x03\x01\x02\x01\x4f\x60"))
	f.Add(frame(0x05, 0, 1, "\x00\x01\x01861380\x00\x00\x00106\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x04id:1\x04\x27\x00\x01\x02"))
	f.Add(frame(0x80000009, 0, 1, "centre\x00"))
	f.Add(frame(0x09, 0, 1, "hub\x00secret\x00\x00\x34\x00\x00\x00"))
	f.Add(frame(0x21, 0, 1, "\x00\x00\x00\x00\x02"))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := wire.Parse(b)
		var bad *wire.Malformed
		if err != nil && !errors.As(err, &bad) {
			t.Fatalf("an error of another type: %v", err)
		}
		if err == nil {
			p.Marshal(pdu.NewBuffer(nil))
		}
	})
}
