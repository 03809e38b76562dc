package sms_test

import (
	"bufio"
	"context"
	"encoding/hex"
	"encoding/json"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"untether/internal/clock"
	"untether/internal/phone"
	"untether/internal/sms"
	"untether/internal/texts"
)

// foreign is the SMS centre of npm's smpp package, run by node.
type foreign struct {
	t     *testing.T
	cmd   *exec.Cmd
	in    io.WriteCloser
	facts <-chan fact
	port  int
}

type fact struct {
	Event, ID, From, To, Hex        string
	Port                            int
	EsmClass, DataCoding, Reference int
}

// startForeign starts it on a port, 0 for a free one.
func startForeign(t *testing.T, directory string, port int) *foreign {
	t.Helper()
	cmd := exec.Command("node", "testdata/centre.js", directory, strconv.Itoa(port))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	f := &foreign{t: t, cmd: cmd, in: in, facts: readFacts(out)}
	t.Cleanup(f.kill)
	f.port = f.await("listening").Port
	return f
}

func readFacts(out io.Reader) <-chan fact {
	facts := make(chan fact, 1024)
	go func() {
		defer close(facts)
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			var f fact
			if json.Unmarshal(lines.Bytes(), &f) == nil {
				facts <- f
			}
		}
	}()
	return facts
}

func (f *foreign) kill() {
	_ = f.cmd.Process.Kill()
	_ = f.cmd.Wait()
}

// await returns the next fact of a kind.
func (f *foreign) await(event string) fact {
	f.t.Helper()
	for {
		select {
		case got, ok := <-f.facts:
			if !ok {
				f.t.Fatalf("the centre ended before %q", event)
			}
			if got.Event == event {
				return got
			}
		case <-f.t.Context().Done():
			f.t.Fatalf("no %q", event)
		}
	}
}

// body gives a part's text octets and checks the header before them.
func (f fact) body(t *testing.T, part, total int) []byte {
	t.Helper()
	b, err := hex.DecodeString(f.Hex)
	if err != nil {
		t.Fatal(err)
	}
	want := []byte{5, 0, 3, 0xAB ^ 0xCD, byte(total), byte(part)}
	if f.EsmClass != 0x40 || f.DataCoding != 8 || len(b) < 6 || !slices.Equal(b[:6], want) {
		t.Fatalf("part %d of %d: %+v", part, total, f)
	}
	return b[6:]
}

func TestForeignCentre(t *testing.T) {
	directory := os.Getenv("UNTETHER_NPM_SMPP")
	if directory == "" {
		t.Skip("UNTETHER_NPM_SMPP is not set: it names a directory where npm's smpp 0.5.1 is installed")
	}
	peer := startForeign(t, directory, 0)
	receipts, messages := make(chan texts.Receipt, 64), make(chan [3]string, 8)
	client := sms.New(sms.Config{
		Address: "127.0.0.1:" + strconv.Itoa(peer.port), SystemID: "hub", Password: "secret",
		ReconnectMin: 10 * time.Millisecond, ReconnectMax: 100 * time.Millisecond,
	}, clock.System{}, slog.New(slog.DiscardHandler), func(r texts.Receipt, recorded func()) { recorded(); receipts <- r },
		func(from, to, text string) { messages <- [3]string{from, to, text} })
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- client.Run(ctx) }()
	peer.await("bound")
	if err := client.Await(t.Context(), true); err != nil { // the centre has bound before its answer is here
		t.Fatal(err)
	}
	text := "【清号】" + strings.Repeat("您的号码下共有账号：微信📱一个，𠮷野家；", 9)

	t.Run("a Chinese text with emoji arrives whole", func(t *testing.T) { sendWhole(t, client, peer, receipts, text) })
	t.Run("a handset's texts are read in both alphabets", func(t *testing.T) {
		for _, text := range []string{"TD {stop}", "查清号📱"} {
			line, err := json.Marshal(map[string]string{"from": "+8613812345678", "to": "10699000", "text": text})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := peer.in.Write(append(line, '\n')); err != nil {
				t.Fatal(err)
			}
			if got := <-messages; got != [3]string{"+8613812345678", "10699000", text} {
				t.Errorf("got %q", got[2])
			}
		}
	})
	t.Run("dropped and started again", func(t *testing.T) {
		peer.kill()
		if err := client.Await(t.Context(), false); err != nil {
			t.Fatal(err)
		}
		peer = startForeign(t, directory, peer.port)
		if err := client.Await(t.Context(), true); err != nil {
			t.Fatal(err)
		}
		sendWhole(t, client, peer, receipts, text)
	})
	cancel()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
}

// sendWhole sends a text and checks what the centre got and every receipt.
func sendWhole(t *testing.T, client *sms.Client, peer *foreign, receipts <-chan texts.Receipt, text string) {
	t.Helper()
	ids, err := client.Submit(t.Context(), texts.Outgoing{
		Reference: 0xABCD, From: "10699000", To: phone.MustParse("+8613812345678"), Text: text,
	})
	if err != nil || len(ids) < 3 {
		t.Fatalf("%d ids, %v", len(ids), err)
	}
	var body []byte
	for i, id := range ids {
		f := peer.await("submit")
		if f.ID != id || f.From != "10699000" || f.To != "8613812345678" || f.Reference != 0xABCD {
			t.Errorf("part %d: %+v", i+1, f)
		}
		body = append(body, f.body(t, i+1, len(ids))...)
	}
	if got := sms.Decode(sms.CodingUCS2, body); got != text {
		t.Errorf("arrived as %q", got)
	}
	for range ids {
		if r := <-receipts; !r.Delivered || !slices.Contains(ids, r.MessageID) {
			t.Errorf("receipt %+v", r)
		}
		peer.await("answered")
	}
}
