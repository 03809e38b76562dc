package e2e

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"sync"
	"testing"
	"time"
	"unicode/utf16"
)

// foreignCentre is the SMS centre of npm's smpp package: a program that we did not write.
type foreignCentre struct {
	address string

	mu    sync.Mutex
	parts []foreignPart
}

// foreignPart is one submit_sm as that centre tells of it.
type foreignPart struct {
	Event, From, To, Hex            string
	Port                            int
	EsmClass, DataCoding, Reference int
}

// openForeignCentre starts it from a directory where the package is installed.
func openForeignCentre(t *testing.T, directory string) *foreignCentre {
	t.Helper()
	node := exec.Command("node", "../../internal/sms/testdata/centre.js", directory)
	node.Env = append(os.Environ(), "SYSTEM_ID=untether", "PASSWORD=lantern")
	node.Stderr = os.Stderr
	in := must(node.StdinPipe())(t) // its end ends the program
	out := must(node.StdoutPipe())(t)
	check(t, node.Start())
	c := &foreignCentre{}
	listening := make(chan int, 1)
	var reading sync.WaitGroup
	reading.Go(func() {
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			var p foreignPart
			if json.Unmarshal(lines.Bytes(), &p) == nil {
				c.note(p, listening)
			}
		}
		close(listening)
	})
	t.Cleanup(func() {
		check(t, in.Close())
		reading.Wait()
		_ = node.Wait()
	})
	port, ok := <-listening
	if !ok {
		t.Fatal("the foreign SMS centre does not start; is smpp installed in the directory?")
	}
	c.address = (&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port}).String()
	return c
}

func (c *foreignCentre) note(p foreignPart, listening chan<- int) {
	switch p.Event {
	case "listening":
		listening <- p.Port
	case "submit":
		c.mu.Lock()
		defer c.mu.Unlock()
		c.parts = append(c.parts, p)
	}
}

// foreignText is what a person reads of a text, joined from its parts by nothing but the standard.
type foreignText struct {
	text  string
	parts int
}

// texts joins the parts that came for a number (digits without a plus sign). A text is left out while a part of it is missing.
func (c *foreignCentre) texts(t testing.TB, number string) []foreignText {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	var texts []foreignText
	open := map[int]map[byte][]byte{}
	for _, p := range c.parts {
		if p.To != number {
			continue
		}
		octets := must(hex.DecodeString(p.Hex))(t)
		if p.From != "10699000" || p.DataCoding != 8 {
			t.Fatalf("a text from %s in data coding %d", p.From, p.DataCoding)
		}
		if p.EsmClass&0x40 == 0 {
			texts = append(texts, foreignText{utf16BE(octets), 1})
			continue
		}
		header := octets[:1+int(octets[0])]
		if len(header) != 6 || header[1] != 0 || header[2] != 3 { // 3GPP TS 23.040: concatenation with an 8-bit reference
			t.Fatalf("a user data header % x", header)
		}
		if open[p.Reference] == nil {
			open[p.Reference] = map[byte][]byte{}
		}
		open[p.Reference][header[5]] = octets[len(header):]
		if total := int(header[4]); len(open[p.Reference]) == total {
			var body []byte
			for i := range total {
				body = append(body, open[p.Reference][byte(i+1)]...)
			}
			delete(open, p.Reference)
			texts = append(texts, foreignText{utf16BE(body), total})
		}
	}
	return texts
}

func utf16BE(octets []byte) string {
	var units []uint16
	for pair := range slices.Chunk(octets, 2) {
		units = append(units, binary.BigEndian.Uint16(pair))
	}
	return string(utf16.Decode(units))
}

// ownCarrier is a carrier that exists in this test alone: it confirms one holder.
type ownCarrier struct {
	number, idLast6, secret string
	tenureID                string
	tenureStart             time.Time
}

func (c *ownCarrier) serve(t testing.TB) (address string) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var q struct{ PhoneNumber, IDLast6 string }
		if r.Method != http.MethodPost || r.URL.Path != "/identity-matches" || r.Header.Get("Authorization") != "Bearer "+c.secret ||
			json.NewDecoder(r.Body).Decode(&q) != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		answer := map[string]any{"match": false}
		if q.PhoneNumber == c.number && q.IDLast6 == c.idLast6 {
			answer = map[string]any{"match": true, "tenureId": c.tenureID, "tenureStart": c.tenureStart}
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(answer)
	}))
	t.Cleanup(server.Close)
	return server.URL
}
