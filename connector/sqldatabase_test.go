package connector

import (
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// engine is one of the databases that every test of SQLDatabase runs on.
type engine struct {
	driver string
	where  string // the condition on a text column phone
	open   func(t *testing.T) (address string, db *sql.DB)
}

func engines(t *testing.T, f func(t *testing.T, e engine)) {
	t.Run("sqlite", func(t *testing.T) {
		f(t, engine{"sqlite", "phone IN (SELECT value FROM json_each($1))", openSQLite})
	})
	t.Run("postgres", func(t *testing.T) {
		if os.Getenv("UNTETHER_TEST_POSTGRES") == "" {
			t.Skip("UNTETHER_TEST_POSTGRES is not set")
		}
		f(t, engine{"postgres", "phone = ANY($1)", openPostgres})
	})
}

func openSQLite(t *testing.T) (string, *sql.DB) {
	path := filepath.Join(t.TempDir(), "the app's #1 data?.db")
	if strings.ContainsAny(path, "?#") {
		path = filepath.Join(t.TempDir(), "the app's data.db")
	}
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return path, db
}

// openPostgres gives the test a schema of its own.
func openPostgres(t *testing.T) (string, *sql.DB) {
	address, err := url.Parse(os.Getenv("UNTETHER_TEST_POSTGRES"))
	if err != nil {
		t.Fatal("UNTETHER_TEST_POSTGRES is not a URL")
	}
	var random [8]byte
	_, _ = rand.Read(random[:])
	schema := "connector_" + hex.EncodeToString(random[:])
	admin, err := sql.Open("pgx", address.String())
	if err != nil {
		t.Fatal(err)
	}
	run(t, admin, "CREATE SCHEMA "+schema)
	t.Cleanup(func() { run(t, admin, "DROP SCHEMA "+schema+" CASCADE"); _ = admin.Close() })
	query := address.Query()
	query.Set("search_path", schema)
	address.RawQuery = query.Encode()
	db, err := sql.Open("pgx", address.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return address.String(), db
}

func run(t *testing.T, db *sql.DB, statements ...string) {
	t.Helper()
	for _, s := range statements {
		if _, err := db.Exec(s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
}

// database makes an SQLDatabase of the engine over the statements' tables.
func (e engine) database(t *testing.T, o SQLOptions, statements ...string) *SQLDatabase {
	t.Helper()
	address, db := e.open(t)
	run(t, db, statements...)
	o.Driver, o.URL = e.driver, address
	o.Query = strings.ReplaceAll(o.Query, "{where}", e.where)
	d, err := OpenSQL(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	return d
}

const usersTable = `CREATE TABLE users (phone text, account text, exact timestamp with time zone, wall timestamp, day date, number bigint, words text)`

func TestSQLDatabaseReadsEveryType(t *testing.T) {
	at := time.Date(2023, 5, 1, 8, 30, 0, 0, shanghai)
	day := Instant{time.Date(2023, 5, 1, 0, 0, 0, 0, shanghai), true}
	want := map[string]Instant{
		"exact": {Time: at}, "wall": {Time: at}, "day": day, "number": {Time: at}, "words": {Time: at},
	}
	engines(t, func(t *testing.T, e engine) {
		for column, instant := range want {
			t.Run(column, func(t *testing.T) {
				d := e.database(t, SQLOptions{Query: "SELECT phone AS phone_number, " + column + " AS Verified_At, account FROM users WHERE {where} ORDER BY account -- as it stands;"},
					usersTable,
					fmt.Sprintf(`INSERT INTO users VALUES ('+8613800000001', 'one', '2023-05-01 08:30:00+08:00', '2023-05-01 08:30:00', '2023-05-01', %d, '2023-05-01T00:30:00Z')`, at.UnixMilli()),
					`INSERT INTO users (phone, account) VALUES ('+8613800000001', 'two'), ('+8613800000003', 'three')`)
				got, err := d.Bindings(t.Context(), []string{numberA, numberB})
				if err != nil {
					t.Fatal(err)
				}
				if len(got) != 2 || got[0].PhoneNumber != numberA || got[0].Account != "one" || got[1].Account != "two" {
					t.Fatalf("got %d bindings: %#v", len(got), got)
				}
				if v := got[0].VerifiedAt; !v.Time.Equal(instant.Time) || v.DayOnly != instant.DayOnly {
					t.Errorf("verified at %v, want %v", v, instant)
				}
				if !got[1].VerifiedAt.IsZero() || !got[1].RegisteredAt.IsZero() {
					t.Errorf("NULL became %v", got[1].VerifiedAt)
				}
			})
		}
	})
}

func TestSQLDatabaseNumberFormats(t *testing.T) {
	tests := map[NumberFormat]string{E164: "+8613800000001", Digits: "8613800000001", National: "13800000001"}
	engines(t, func(t *testing.T, e engine) {
		for format, inTable := range tests {
			t.Run(string(format), func(t *testing.T) {
				d := e.database(t, SQLOptions{NumberFormat: format, CountryCode: "86",
					Query: "SELECT phone AS phone_number, number AS registered_at FROM users WHERE {where}"},
					usersTable, `INSERT INTO users (phone) VALUES ('`+inTable+`')`)
				got, err := d.Bindings(t.Context(), []string{numberA, "+113800000001"})
				if err != nil || len(got) != 1 || got[0].PhoneNumber != numberA {
					t.Errorf("got %v, %v", got, err)
				}
			})
		}
	})
}

func TestSQLDatabaseRefuses(t *testing.T) {
	tests := map[string]struct {
		query, want string
	}{
		"a number that was not asked for": {"SELECT phone AS phone_number, day AS verified_at FROM users WHERE {where} OR 1=1", "not asked for"},
		"a NULL number":                   {"SELECT NULL AS phone_number, day AS verified_at FROM users WHERE {where}", "not asked for"},
		"an unknown column":               {"SELECT phone AS phone_number, day AS verified_at, account AS nick FROM users WHERE {where}", `"nick"`},
		"no number":                       {"SELECT day AS verified_at FROM users WHERE {where}", "must return a column phone_number"},
		"no date":                         {"SELECT phone AS phone_number FROM users WHERE {where}", "must return verified_at or registered_at"},
		"no such table":                   {"SELECT phone AS phone_number, day AS verified_at FROM people WHERE {where}", "people"},
		"a writing query":                 {"DELETE FROM users WHERE {where} RETURNING phone AS phone_number, day AS verified_at", ""},
	}
	engines(t, func(t *testing.T, e engine) {
		for name, test := range tests {
			t.Run(name, func(t *testing.T) {
				d := e.database(t, SQLOptions{Query: test.query}, usersTable,
					`INSERT INTO users (phone) VALUES ('+8613800000001'), ('+8613800000002')`)
				_, err := d.Bindings(t.Context(), []string{numberA})
				if err == nil || !strings.Contains(err.Error(), test.want) {
					t.Errorf("error %v, want one with %q", err, test.want)
				}
			})
		}
	})
}

func TestSQLDatabaseKeepsTheReadableNumbers(t *testing.T) {
	engines(t, func(t *testing.T, e engine) {
		d := e.database(t, SQLOptions{Query: "SELECT phone AS phone_number, words AS verified_at FROM users WHERE {where}"}, usersTable,
			`INSERT INTO users (phone, words) VALUES ('+8613800000001', 'last spring'), ('+8613800000002', '2023-05-01')`)
		got, err := d.Bindings(t.Context(), []string{numberA, numberB})
		var unreadable *UnreadableError
		if !errors.As(err, &unreadable) || len(unreadable.Causes) != 1 || unreadable.Causes[numberA] == nil {
			t.Fatalf("error %v", err)
		}
		if len(got) != 1 || got[0].PhoneNumber != numberB {
			t.Errorf("bindings %v", got)
		}
		if strings.Contains(err.Error(), "spring") || strings.Contains(err.Error(), "8613800000001") {
			t.Errorf("the error repeats what stands in the table: %v", err)
		}
	})
}

func TestSQLDatabaseCannotWrite(t *testing.T) {
	engines(t, func(t *testing.T, e engine) {
		d := e.database(t, SQLOptions{Query: "SELECT phone AS phone_number, day AS verified_at FROM users WHERE {where}"}, usersTable)
		if _, err := d.db.ExecContext(t.Context(), "INSERT INTO users (phone) VALUES ('x')"); err == nil {
			t.Error("a write outside the transaction went through")
		}
	})
}

func TestSQLDatabaseGivesUpASlowQuery(t *testing.T) {
	slow := map[string]string{
		"postgres": "SELECT phone AS phone_number, day AS verified_at FROM users, pg_sleep(600) WHERE {where}",
		"sqlite": `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n)
			SELECT phone AS phone_number, day AS verified_at FROM users WHERE {where} AND (SELECT count(*) FROM n) > 0`,
	}
	engines(t, func(t *testing.T, e engine) {
		d := e.database(t, SQLOptions{Query: slow[e.driver], Timeout: 200 * time.Millisecond}, usersTable,
			`INSERT INTO users (phone) VALUES ('+8613800000001')`)
		if _, err := d.Bindings(t.Context(), []string{numberA}); err == nil {
			t.Error("no error")
		}
	})
}

func TestOpenSQLRefuses(t *testing.T) {
	good := SQLOptions{Driver: "sqlite", URL: "users.db", Query: "SELECT $1"}
	tests := map[string]struct {
		spoil func(*SQLOptions)
		want  string
	}{
		"driver":            {func(o *SQLOptions) { o.Driver = "oracle" }, "driver must be"},
		"no query":          {func(o *SQLOptions) { o.Query = " " }, "query is missing"},
		"no parameter":      {func(o *SQLOptions) { o.Query = "SELECT 1" }, "must use $1"},
		"format":            {func(o *SQLOptions) { o.NumberFormat = "roman" }, "numberFormat must be"},
		"no country":        {func(o *SQLOptions) { o.NumberFormat = National }, "countryCode must be"},
		"country with plus": {func(o *SQLOptions) { o.NumberFormat, o.CountryCode = National, "+86" }, "countryCode must be"},
		"pragmas in a path": {func(o *SQLOptions) { o.URL = "users.db?_pragma=query_only(0)" }, "without parameters"},
		"a URI":             {func(o *SQLOptions) { o.URL = "file:users.db" }, "without parameters"},
		"no path":           {func(o *SQLOptions) { o.URL = "" }, "must be the path"},
		"postgres address":  {func(o *SQLOptions) { o.Driver, o.URL = "postgres", "postgres://u:hush@[" }, "must be PostgreSQL's"},
		"timeout":           {func(o *SQLOptions) { o.Timeout = time.Hour }, "Timeout"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			o := good
			test.spoil(&o)
			_, err := OpenSQL(o)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want one with %q", err, test.want)
			}
			if err != nil && strings.Contains(err.Error(), "hush") {
				t.Error("the error repeats the password")
			}
		})
	}
}

// A batch of 1,000 over 20,000 rows must count exactly what a row-by-row look says.
func TestSQLDatabaseOnManyRows(t *testing.T) {
	insert := map[string]string{
		"postgres": `INSERT INTO users (phone, number) SELECT '+8613' || (900000000 + i % 9000), CASE WHEN i % 3 > 0 THEN 1700000000 + i END FROM generate_series(0, 19999) AS s(i)`,
		"sqlite": `WITH RECURSIVE s(i) AS (SELECT 0 UNION ALL SELECT i+1 FROM s WHERE i < 19999)
			INSERT INTO users (phone, number) SELECT '+8613' || (900000000 + i % 9000), CASE WHEN i % 3 > 0 THEN 1700000000 + i END FROM s`,
	}
	engines(t, func(t *testing.T, e engine) {
		d := e.database(t, SQLOptions{Query: "SELECT phone AS phone_number, number AS verified_at FROM users WHERE {where}"},
			usersTable, insert[e.driver], "CREATE INDEX users_phone ON users (phone)")
		tenureStart := time.Unix(1700010000, 0)
		var want count
		numbers := make([]string, 1000)
		for n := range numbers {
			numbers[n] = fmt.Sprintf("+8613%d", 900000000+9*n)
			for i := 9 * n; i < 20000; i += 9000 {
				switch {
				case i%3 == 0:
					want.undated++
				case i < 10000:
					want.left++
				default:
					want.accounts++
				}
			}
		}
		bindings, err := d.Bindings(t.Context(), numbers)
		if err != nil {
			t.Fatal(err)
		}
		var got count
		for _, b := range bindings {
			got.add(b, tenureStart)
		}
		if got != want || want.undated == 0 {
			t.Errorf("counted %+v, want %+v", got, want)
		}
	})
}

func TestAnswersThroughSQL(t *testing.T) {
	engines(t, func(t *testing.T, e engine) {
		d := e.database(t, SQLOptions{Query: "SELECT phone AS phone_number, exact AS verified_at, day AS registered_at FROM users WHERE {where}"}, usersTable,
			`INSERT INTO users (phone, exact) VALUES ('+8613800000001', '2024-05-01T10:00:00Z'), ('+8613800000001', '2024-05-01T09:59:59Z')`,
			`INSERT INTO users (phone, day) VALUES ('+8613800000001', '2024-05-01'), ('+8613800000001', '2024-05-02')`)
		h := newFakeHub(t, &hasty{})
		h.offer("a", "count", numberA, start)
		connect(t, h, d)
		h.until(h.answered("a"))
		if got, want := h.answers["a"], (result{"a", "count", 2, 1, 1}); got != want {
			t.Errorf("answered %+v, want %+v", got, want)
		}
	})
}

var _ Database = (*SQLDatabase)(nil)

// A table that keeps numbers as integers: compared as integers, so that its index serves.
func TestSQLDatabaseIntegerNumbers(t *testing.T) {
	where := map[string]string{
		"postgres": "number = ANY($1::text[]::bigint[])",
		"sqlite":   "number IN (SELECT CAST(value AS INTEGER) FROM json_each($1))",
	}
	engines(t, func(t *testing.T, e engine) {
		d := e.database(t, SQLOptions{NumberFormat: Digits, Query: "SELECT number AS phone_number, day AS verified_at FROM users WHERE " + where[e.driver]},
			usersTable, `INSERT INTO users (number, day) VALUES (8613800000001, '2023-05-01')`)
		got, err := d.Bindings(t.Context(), []string{numberA, numberB})
		if err != nil || len(got) != 1 || got[0].PhoneNumber != numberA || !got[0].VerifiedAt.DayOnly {
			t.Errorf("got %v, %v", got, err)
		}
	})
}
