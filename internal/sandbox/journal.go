package sandbox

import (
	"bufio"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"untether/internal/ident"
	"untether/internal/phone"
	"untether/internal/sandbox/carriers"
	"untether/internal/tenure"
)

// founding is what a country is made from; it is written once.
type founding struct {
	Seed   uint64    `json:"seed"`
	MadeAt time.Time `json:"madeAt"`
	People int       `json:"people"`
	Secret []byte    `json:"secret"` // of which every credential of the country is derived
}

// deed is one thing that was done to the country: its clock was set ahead, or a carrier acted.
type deed struct {
	AdvanceNanos int64     `json:"advanceNanos,omitzero"`
	Number       string    `json:"number,omitempty"`
	Type         string    `json:"type,omitempty"`
	At           time.Time `json:"at,omitzero"`
	Receiving    string    `json:"receiving,omitempty"`
	Name         string    `json:"name,omitempty"`
	Document     string    `json:"document,omitempty"` // of somebody made up
}

// journal is the country's memory: founding.json and, in deeds.jsonl, one deed a line.
type journal struct {
	founding founding
	path     string

	mu   sync.Mutex
	file *os.File
}

func openJournal(dir string, fresh founding) (*journal, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	founded, err := foundIn(dir, fresh)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, "deeds.jsonl")
	file, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	return &journal{founding: founded, path: path, file: file}, nil
}

// foundIn reads what the directory's country was made from, or founds it.
func foundIn(dir string, fresh founding) (founding, error) {
	path := filepath.Join(dir, "founding.json")
	raw, err := os.ReadFile(path)
	if err == nil {
		var old founding
		if err := json.Unmarshal(raw, &old); err != nil {
			return old, err
		}
		if old.People < 1 || len(old.Secret) == 0 {
			return old, errors.New("founding.json is not whole; use another directory")
		}
		return old, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return founding{}, err
	}
	fresh.Secret = make([]byte, 32)
	if _, err := rand.Read(fresh.Secret); err != nil {
		return founding{}, err
	}
	if raw, err = json.Marshal(fresh); err != nil {
		return founding{}, err
	}
	if err := os.WriteFile(path+".new", raw, 0o600); err != nil {
		return founding{}, err
	}
	return fresh, os.Rename(path+".new", path)
}

// write appends a deed. Its line begins, not ends, with the line feed, so that one cut off by a crash harms no other.
func (j *journal) write(d deed) error {
	line, err := json.Marshal(d)
	if err != nil {
		return err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	_, err = j.file.Write(append([]byte{'\n'}, line...))
	return err
}

func (j *journal) close() error { return j.file.Close() }

// replay does again what was done. A line cut off by a crash is left out.
func (j *journal) replay(c *Country) error {
	file, err := os.Open(j.path)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		var d deed
		if json.Unmarshal(lines.Bytes(), &d) != nil {
			continue
		}
		if d.AdvanceNanos > 0 {
			c.clock.Advance(time.Duration(d.AdvanceNanos))
			continue
		}
		act, err := d.act()
		if err == nil {
			_, err = c.carriers.Act(act)
		}
		if err != nil {
			return err
		}
	}
	return lines.Err()
}

func (d deed) act() (carriers.Act, error) {
	number, err := phone.Parse(d.Number)
	if err != nil {
		return carriers.Act{}, err
	}
	a := carriers.Act{Number: number, Type: tenure.Type(d.Type), Receiving: d.Receiving, At: d.At}
	if d.Document == "" {
		return a, nil
	}
	document, err := ident.ParseDocument(d.Document)
	a.Person = &carriers.Newcomer{Name: d.Name, Document: document}
	return a, err
}

func deedOf(number phone.Number, done carriers.Done) deed {
	d := deed{Number: number.E164(), Type: string(done.Event.Type), At: done.Event.At, Receiving: done.Event.Receiving}
	if done.Event.Type == tenure.Activated || done.Event.Type == tenure.Transferred {
		d.Name, d.Document = done.Person.Name, done.Person.Document.Number()
	}
	return d
}
