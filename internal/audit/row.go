package audit

import (
	"cmp"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"time"
)

// Row is an entry as it is stored.
type Row struct {
	ID    string // ordered by time
	Batch int64  // of the checkpoint that sealed it; 0: not sealed yet
	Entry
	Salt   []byte // random: after pruning, the hash cannot be guessed back to the entry
	Hash   []byte // of the row; nil before it is sealed
	Pruned bool   // emptied after its retention: only ID, Batch and Hash are left
}

// Checkpoint seals one batch of rows and, through Previous, all batches before it.
type Checkpoint struct {
	Batch     int64 // 1, 2, 3 …
	RowCount  int64
	Previous  []byte // hash of the checkpoint before; 32 zero bytes in the first
	Hash      []byte
	Signature []byte // Ed25519, over Hash
	At        time.Time
	Pruned    bool // its rows are pruned: all of them, or none
}

// Seal is what a row gets when it is sealed.
type Seal struct {
	ID   string
	Hash []byte
}

// first is what the first checkpoint has for Previous.
var first = make([]byte, sha256.Size)

// The three things that are hashed or signed begin with different words, so that none can be taken for another.
const (
	rowMark        = "untether audit row 1"
	checkpointMark = "untether audit checkpoint 1"
	signatureMark  = "untether audit signature 1"
)

// hashRow covers every column of a row but those that sealing and pruning write. Each field goes in with its length, so
// that no two rows are written alike.
func hashRow(r Row) []byte {
	b := make([]byte, 0, 256)
	b = field(b, rowMark)
	b = field(b, r.ID)
	b = number(b, r.At.UnixMicro())
	for _, s := range []string{r.Actor, r.Action, r.Subject, r.Ref, r.Detail, string(r.Salt)} {
		b = field(b, s)
	}
	sum := sha256.Sum256(b)
	return sum[:]
}

// hashCheckpoint covers what a checkpoint says and the id and hash of every row of its batch, in the ids' order.
func hashCheckpoint(c Checkpoint, seals []Seal) []byte {
	inOrder := slices.SortedFunc(slices.Values(seals), func(a, b Seal) int { return cmp.Compare(a.ID, b.ID) })
	h := sha256.New()
	b := make([]byte, 0, 256)
	b = field(b, checkpointMark)
	b = field(b, string(c.Previous))
	b = number(b, c.Batch)
	b = number(b, c.At.UnixMicro())
	b = number(b, c.RowCount)
	h.Write(b)
	for _, s := range inOrder {
		b = field(field(b[:0], s.ID), string(s.Hash))
		h.Write(b)
	}
	return h.Sum(nil)
}

func field(b []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint32(b, uint32(len(s))), s...)
}

func number(b []byte, n int64) []byte { return binary.BigEndian.AppendUint64(b, uint64(n)) }

func sign(key ed25519.PrivateKey, hash []byte) []byte { return ed25519.Sign(key, signed(hash)) }

func signed(hash []byte) []byte { return field(field(nil, signatureMark), string(hash)) }
