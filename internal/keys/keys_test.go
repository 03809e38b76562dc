package keys_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"untether/internal/keys"
	"untether/internal/phone"
)

func ring(t testing.TB, fill byte) *keys.Ring {
	t.Helper()
	r, err := keys.New(bytes.Repeat([]byte{fill}, keys.Size))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestSeal(t *testing.T) {
	r, other := ring(t, 1), ring(t, 2)
	plain := []byte("+8613812345678")
	sealed := r.Seal("subject", plain)
	if bytes.Contains(sealed, plain) || bytes.Equal(sealed, r.Seal("subject", plain)) {
		t.Error("the sealed value shows what is in it, or that it is the same")
	}
	if got, err := r.Open("subject", sealed); err != nil || !bytes.Equal(got, plain) {
		t.Errorf("opened %q, %v", got, err)
	}
	if got, err := r.Open("", r.Seal("", nil)); err != nil || len(got) != 0 {
		t.Errorf("opened %q, %v", got, err)
	}
	for name, open := range map[string]func() ([]byte, error){
		"another context":  func() ([]byte, error) { return r.Open("another", sealed) },
		"no context":       func() ([]byte, error) { return r.Open("", sealed) },
		"another root key": func() ([]byte, error) { return other.Open("subject", sealed) },
		"nothing":          func() ([]byte, error) { return r.Open("subject", nil) },
		"shortened":        func() ([]byte, error) { return r.Open("subject", sealed[:len(sealed)-1]) },
		"longer":           func() ([]byte, error) { return r.Open("subject", append(bytes.Clone(sealed), 0)) },
	} {
		if got, err := open(); err != keys.ErrSealed || got != nil {
			t.Errorf("%s: opened %q, %v", name, got, err)
		}
	}
	for i := range len(sealed) * 8 {
		changed := bytes.Clone(sealed)
		changed[i/8] ^= 1 << (i % 8)
		if _, err := r.Open("subject", changed); err != keys.ErrSealed {
			t.Fatalf("bit %d changed: %v", i, err)
		}
	}
}

func FuzzOpen(f *testing.F) {
	r := ring(f, 1)
	sealed := r.Seal("subject", []byte("plain"))
	f.Add("subject", sealed[:10])
	f.Add("another", sealed)
	f.Fuzz(func(t *testing.T, context string, value []byte) {
		if plain, err := r.Open(context, value); err == nil && (context != "subject" || string(plain) != "plain") {
			t.Errorf("opened %q for %q", plain, context)
		}
	})
}

func TestSubject(t *testing.T) {
	a, b := phone.MustParse("+8613812345678"), phone.MustParse("+8613812345679")
	r := ring(t, 1)
	if got := r.Subject(a); len(got) != 22 || got != r.Subject(a) {
		t.Errorf("subject %q, then %q", got, r.Subject(a))
	}
	if r.Subject(a) == r.Subject(b) || r.Subject(a) == ring(t, 2).Subject(a) {
		t.Error("two numbers, or two root keys, have one subject")
	}
	if strings.HasPrefix(r.Hash("subject", a.E164()), r.Subject(a)) || strings.HasPrefix(r.Hash(a.E164()), r.Subject(a)) {
		t.Error("Hash gives what Subject gives")
	}
}

// No two lists of parts hash alike.
func TestHashTellsPartsApart(t *testing.T) {
	r := ring(t, 1)
	seen := map[string][]string{}
	for _, parts := range [][]string{{"code", "ab", "c"}, {"code", "a", "bc"}, {"code", "abc"}, {"code", "abc", ""}, {"code", "", "abc"}, {"codea", "bc"},
		{"token", "ab", "c"}, {"code"}, {"", "code"}, {"code", "ab\x00c"}} {
		h := r.Hash(parts[0], parts[1:]...)
		if len(h) != 43 {
			t.Errorf("%q has %d characters", h, len(h))
		}
		if before, ok := seen[h]; ok {
			t.Errorf("%q and %q hash alike", before, parts)
		}
		seen[h] = parts
	}
}

func TestHashesTogether(t *testing.T) {
	r := ring(t, 1)
	want := r.Hash("p", "x")
	n := phone.MustParse("+8613812345678")
	subject := r.Subject(n)
	var hashing sync.WaitGroup
	for range 8 {
		hashing.Go(func() {
			for range 200 {
				if r.Hash("p", "x") != want || r.Subject(n) != subject {
					t.Error("a hash differs")
					return
				}
			}
		})
	}
	hashing.Wait()
}

func TestSigner(t *testing.T) {
	key := ring(t, 1).Signer()
	if !key.Equal(ring(t, 1).Signer()) || key.Equal(ring(t, 2).Signer()) {
		t.Error("the signing key does not follow from the root key alone")
	}
	public := key.Public().(ed25519.PublicKey)
	if !ed25519.Verify(public, []byte("x"), ed25519.Sign(key, []byte("x"))) {
		t.Error("the signature does not hold")
	}
}

func TestNewWantsAWholeKey(t *testing.T) {
	for _, size := range []int{0, keys.Size - 1, keys.Size + 1} {
		if _, err := keys.New(make([]byte, size)); err == nil {
			t.Errorf("%d bytes were taken for a root key", size)
		}
	}
}

func TestLoadOrCreate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "root.key")
	first, created, err := keys.LoadOrCreate(path)
	if err != nil || !created {
		t.Fatal(created, err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	second, created, err := keys.LoadOrCreate(path)
	if err != nil || created || !first.Signer().Equal(second.Signer()) {
		t.Errorf("the same file gives another key: %v, %v", created, err)
	}
}

func TestLoadRefuses(t *testing.T) {
	whole := hex.EncodeToString(bytes.Repeat([]byte{7}, keys.Size))
	tests := map[string]struct {
		text string
		mode os.FileMode
		want string
	}{
		"the group may read": {whole, 0o640, "chmod 600"},
		"all may read":       {whole, 0o604, "chmod 600"},
		"all may write":      {whole, 0o602, "chmod 600"},
		"empty":              {"", 0o600, "does not hold a root key"},
		"too short":          {whole[2:], 0o600, "does not hold a root key"},
		"too long":           {whole + "00", 0o600, "does not hold a root key"},
		"not hexadecimal":    {"zz" + whole[2:], 0o600, "does not hold a root key"},
		"two keys":           {whole + "\n" + whole, 0o600, "does not hold a root key"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "root.key")
			if err := os.WriteFile(path, []byte(test.text), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(path, test.mode); err != nil {
				t.Fatal(err)
			}
			_, _, err := keys.LoadOrCreate(path)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("error %v", err)
			}
			if len(test.text) > 10 && strings.Contains(err.Error(), test.text[2:10]) {
				t.Errorf("the error shows the key: %v", err)
			}
			if after, err := os.ReadFile(path); err != nil || string(after) != test.text {
				t.Errorf("the file was changed to %q, %v", after, err)
			}
		})
	}
	t.Run("spaces around", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "root.key")
		if err := os.WriteFile(path, []byte(" "+strings.ToUpper(whole)+"\r\n\n"), 0o400); err != nil {
			t.Fatal(err)
		}
		if _, created, err := keys.LoadOrCreate(path); err != nil || created {
			t.Error(created, err)
		}
	})
	t.Run("a folder", func(t *testing.T) {
		if _, _, err := keys.LoadOrCreate(t.TempDir()); err == nil {
			t.Error("a folder was taken for a key")
		}
	})
	t.Run("no such folder", func(t *testing.T) {
		if _, _, err := keys.LoadOrCreate(filepath.Join(t.TempDir(), "missing", "root.key")); err == nil {
			t.Error("a key was written nowhere")
		}
	})
}

func TestNewIDAndToken(t *testing.T) {
	seen := map[string]bool{}
	for range 1000 {
		id, token := keys.NewID(), keys.NewToken()
		if len(id) != 16 || len(token) != 43 || seen[id] || seen[token] {
			t.Fatalf("id %q, token %q", id, token)
		}
		seen[id], seen[token] = true, true
	}
	if a, b := keys.Generate(), keys.Generate(); len(a) != keys.Size || bytes.Equal(a, b) {
		t.Error("generated keys are short, or alike")
	}
}
