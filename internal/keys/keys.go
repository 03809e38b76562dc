// Package keys holds the hub's secrets: one root key, kept outside the database, and what is derived from it (HKDF-SHA-256,
// one key a purpose). Whoever has the database without the root key has no number, no text and no code; whoever loses the
// root key loses them too.
package keys

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io/fs"
	"os"
	"strings"
	"sync"

	"untether/internal/phone"
)

// Size of the root key in bytes.
const Size = 32

// Ring derives everything that is secret. It is safe for use by many goroutines.
type Ring struct {
	root     []byte
	subjects sync.Pool // of hash.Hash keyed for Subject
	hashes   sync.Pool // of hash.Hash keyed for Hash
	sealing  cipher.AEAD
	signer   ed25519.PrivateKey
}

// New derives a ring from a root key of Size bytes.
func New(root []byte) (*Ring, error) {
	if len(root) != Size {
		return nil, fmt.Errorf("the root key must be %d bytes", Size)
	}
	derived := map[string][]byte{}
	for _, purpose := range []string{"subject", "seal", "hash", "sign"} {
		key, err := hkdf.Key(sha256.New, root, nil, "untether "+purpose, Size)
		if err != nil {
			return nil, err
		}
		derived[purpose] = key
	}
	block, err := aes.NewCipher(derived["seal"])
	if err != nil {
		return nil, err
	}
	sealing, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, err
	}
	return &Ring{
		root:     bytes.Clone(root),
		subjects: keyed(derived["subject"]),
		hashes:   keyed(derived["hash"]),
		sealing:  sealing,
		signer:   ed25519.NewKeyFromSeed(derived["sign"]),
	}, nil
}

func keyed(key []byte) sync.Pool {
	return sync.Pool{New: func() any { return hmac.New(sha256.New, key) }}
}

// Generate makes a new root key.
func Generate() []byte {
	root := make([]byte, Size)
	rand.Read(root)
	return root
}

// LoadOrCreate reads a root key (64 hexadecimal digits) from a file that only its owner may read; where there is no file,
// it makes a key and writes one. created tells which it was.
func LoadOrCreate(path string) (ring *Ring, created bool, err error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		root := Generate()
		if err := write(path, hex.EncodeToString(root)+"\n"); err != nil {
			return nil, false, fmt.Errorf("the root key cannot be written: %w", err)
		}
		ring, err = New(root)
		return ring, true, err
	}
	if err != nil {
		return nil, false, fmt.Errorf("the root key cannot be read: %w", err)
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, false, err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, false, fmt.Errorf("others may read the root key %s: run chmod 600 %s", path, path)
	}
	root, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil || len(root) != Size {
		return nil, false, fmt.Errorf("%s does not hold a root key: %d hexadecimal digits are expected", path, 2*Size)
	}
	ring, err = New(root)
	return ring, false, err
}

// write makes a file that was not there and is on the disk when it returns.
func write(path, text string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Sync(), f.Close())
}

// Subject is the keyed hash under which everything about a number is stored: 22 characters.
func (r *Ring) Subject(n phone.Number) string {
	return mac(&r.subjects, 16, n.E164())
}

// Hash is a keyed hash of a code or token, bound to its purpose: 43 characters.
func (r *Ring) Hash(purpose string, parts ...string) string {
	return mac(&r.hashes, sha256.Size, append([]string{purpose}, parts...)...)
}

// mac hashes the parts with their lengths, so that no two lists of parts hash alike.
func mac(pool *sync.Pool, size int, parts ...string) string {
	h := pool.Get().(hash.Hash)
	defer pool.Put(h)
	h.Reset()
	var sum [sha256.Size]byte
	for _, p := range parts {
		h.Write([]byte{byte(len(p) >> 8), byte(len(p))})
		h.Write([]byte(p))
	}
	return base64.RawURLEncoding.EncodeToString(h.Sum(sum[:0])[:size])
}

// Seal encrypts for a context (AES-256-GCM with a random nonce); Open needs the same context.
func (r *Ring) Seal(context string, plain []byte) []byte {
	return r.sealing.Seal(nil, nil, plain, []byte(context))
}

// ErrSealed says that a sealed value was changed, or sealed under another root key or context.
var ErrSealed = errors.New("a sealed value cannot be opened: it was changed, or the root key is another one")

// Open decrypts what Seal made.
func (r *Ring) Open(context string, sealed []byte) ([]byte, error) {
	plain, err := r.sealing.Open(nil, nil, sealed, []byte(context))
	if err != nil {
		return nil, ErrSealed
	}
	return plain, nil
}

// Derive gives a key of its own to a purpose outside this package.
func (r *Ring) Derive(purpose string) (key [Size]byte) {
	derived, err := hkdf.Key(sha256.New, r.root, nil, "untether for "+purpose, Size)
	if err != nil {
		panic(err) // only a size that SHA-256 cannot give is an error
	}
	copy(key[:], derived)
	return key
}

// Signer signs the audit trail's checkpoints.
func (r *Ring) Signer() ed25519.PrivateKey { return r.signer }

// NewID makes an unguessable identifier: 96 random bits in 16 characters of base64url.
func NewID() string {
	var b [12]byte
	rand.Read(b[:])
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// NewToken makes an unguessable bearer token: 256 random bits in 43 characters.
func NewToken() string {
	var b [32]byte
	rand.Read(b[:])
	return base64.RawURLEncoding.EncodeToString(b[:])
}
