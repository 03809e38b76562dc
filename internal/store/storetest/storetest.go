// Package storetest opens databases for tests: a fresh SQLite file always, and a schema of its own on a PostgreSQL server
// when UNTETHER_TEST_POSTGRES holds its URL (scripts/postgres starts one). Both are gone when the test ends.
//
// It promises nothing about speed: on a throwaway server a commit may cost less than in life.
package storetest

import (
	"context"
	"database/sql"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
	_ "modernc.org/sqlite"             // the driver "sqlite"

	"untether/internal/keys"
	"untether/internal/store"
)

// Variable names the environment's URL of a PostgreSQL server for tests.
const Variable = "UNTETHER_TEST_POSTGRES"

// Each runs a test on every database that there is.
func Each(t *testing.T, test func(t *testing.T, db *store.DB)) {
	t.Helper()
	EachAddress(t, func(t *testing.T, address string) { test(t, open(t, address)) })
}

// EachAddress runs a test on the address of an empty database of every kind, for tests that open it themselves.
func EachAddress(t *testing.T, test func(t *testing.T, address string)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { test(t, file(t)) })
	if server := os.Getenv(Variable); server != "" {
		t.Run("postgres", func(t *testing.T) { test(t, schema(t, server)) })
	}
}

// Open gives an empty SQLite database, for tests that do not depend on the kind.
func Open(t testing.TB) *store.DB {
	t.Helper()
	return open(t, file(t))
}

// OpenPostgres gives an empty schema on the PostgreSQL server for tests; without one the test is skipped.
func OpenPostgres(t testing.TB) *store.DB {
	t.Helper()
	server := os.Getenv(Variable)
	if server == "" {
		t.Skip(Variable + " is not set")
	}
	return open(t, schema(t, server))
}

// addresses remembers where each *store.DB lies, for SQL.
var addresses sync.Map

func open(t testing.TB, address string) *store.DB {
	t.Helper()
	db, err := store.Open(context.Background(), address)
	if err != nil {
		t.Fatal(err)
	}
	addresses.Store(db, address)
	t.Cleanup(func() {
		addresses.Delete(db)
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

// SQL reaches a database that this package opened behind the store's back, as somebody would who has its password: to look
// at what lies there, and to tamper with it.
func SQL(t testing.TB, db *store.DB) *sql.DB {
	t.Helper()
	address, ok := addresses.Load(db)
	if !ok {
		t.Fatal("the database was not opened by storetest")
	}
	return Dial(t, address.(string))
}

// Dial is SQL for an address.
func Dial(t testing.TB, address string) *sql.DB {
	t.Helper()
	driver := "pgx"
	if !strings.HasPrefix(address, "postgres") {
		driver, address = "sqlite", "file:"+address+"?_pragma=busy_timeout(10000)"
	}
	raw, err := sql.Open(driver, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { raw.Close() })
	return raw
}

func file(t testing.TB) string { return filepath.Join(t.TempDir(), "untether.db") }

// schema makes a schema on the server and gives the URL whose search path is that schema alone.
func schema(t testing.TB, server string) string {
	t.Helper()
	admin := Dial(t, server)
	name := `test_` + strings.NewReplacer("-", "0", "_", "1").Replace(strings.ToLower(keys.NewID()))
	if _, err := admin.Exec(`CREATE SCHEMA ` + name); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := admin.Exec(`DROP SCHEMA ` + name + ` CASCADE`); err != nil {
			t.Error(err)
		}
	})
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal("the PostgreSQL server's URL cannot be read")
	}
	q := u.Query()
	q.Set("search_path", name)
	u.RawQuery = q.Encode()
	return u.String()
}
