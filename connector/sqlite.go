package connector

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"

	_ "modernc.org/sqlite" // the driver "sqlite"
)

// sqlite asks a SQLite file.
type sqlite struct{}

// open names the file in a URI, for only there mode=ro counts, and allows no parameters: the driver runs some as SQL.
func (sqlite) open(o SQLOptions) (*sql.DB, error) {
	if o.URL == "" || strings.ContainsAny(o.URL, "?#\x00") || strings.HasPrefix(o.URL, "file:") || strings.Contains(o.URL, ":memory:") {
		return nil, errors.New("database.url must be the path of a SQLite file, without parameters, for example /var/lib/app/users.db")
	}
	path, err := filepath.Abs(o.URL)
	if err != nil {
		return nil, fmt.Errorf("the path in database.url: %w", err)
	}
	uri := url.URL{Scheme: "file", Path: filepath.ToSlash(path), RawQuery: "mode=ro&_query_only=1&_busy_timeout=5000"}
	return sql.Open("sqlite", uri.String())
}

func (sqlite) batch(numbers []string) (any, error) {
	text, err := json.Marshal(numbers)
	return string(text), err
}

// prepare wraps the query so that every column is an expression (+x is x): for a plain column that is declared as a date the
// driver would turn text into a time, and the difference between a day and its midnight would be lost.
func (sqlite) prepare(ctx context.Context, tx *sql.Tx, query string) (string, error) {
	rows, err := tx.QueryContext(ctx, "SELECT * FROM (\n"+query+"\n) LIMIT 0", "[]")
	if err != nil {
		return "", fmt.Errorf("the query failed: %w", err)
	}
	defer func() { _ = rows.Close() }()
	names, err := rows.Columns()
	if err != nil {
		return "", fmt.Errorf("the query's columns: %w", err)
	}
	for i, name := range names {
		quoted := `"` + strings.ReplaceAll(name, `"`, `""`) + `"`
		names[i] = "+" + quoted + " AS " + quoted
	}
	return "SELECT " + strings.Join(names, ", ") + " FROM (\n" + query + "\n)", nil
}

// scan reads EXPLAIN QUERY PLAN: "SCAN users" reads it all, "SEARCH users USING INDEX …" does not. The list itself,
// json_each, is a virtual table and is meant to be read whole.
func (sqlite) scan(ctx context.Context, tx *sql.Tx, query string, batch any) (string, error) {
	rows, err := tx.QueryContext(ctx, "EXPLAIN QUERY PLAN "+query, batch)
	if err != nil {
		return "", fmt.Errorf("EXPLAIN QUERY PLAN: %w", err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var id, parent, unused int
		var detail string
		if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
			return "", fmt.Errorf("EXPLAIN QUERY PLAN: %w", err)
		}
		table, scans := strings.CutPrefix(detail, "SCAN ")
		if scans && !strings.Contains(table, "VIRTUAL TABLE") && !strings.HasPrefix(table, "CONSTANT ROW") {
			return table, nil
		}
	}
	return "", rows.Err()
}

func (sqlite) advice(err error) string {
	text := err.Error()
	switch {
	case strings.Contains(text, "unable to open"):
		return "check that the file exists and that this user may read it; beside a database in WAL mode the files -wal and -shm must be readable too"
	case strings.Contains(text, "not a database"):
		return "the file is not a SQLite database; check database.url"
	case strings.Contains(text, "no such"):
		return "check the names of tables and columns in the query"
	case strings.Contains(text, "readonly"):
		return "the query writes; the connector only reads"
	case strings.Contains(text, "interrupted"), errors.Is(err, context.DeadlineExceeded):
		return "the query takes too long: it needs an index on the phone number's column, or a larger queryTimeoutSeconds"
	}
	return "try the query by hand in the sqlite3 shell with '[\"+8613800000000\"]' for $1"
}
