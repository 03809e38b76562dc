package connector

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
)

// postgres asks PostgreSQL through pgx.
type postgres struct{}

func (postgres) open(o SQLOptions) (*sql.DB, error) {
	config, err := pgx.ParseConfig(o.URL)
	if err != nil {
		// pgx's own error repeats the address, in which a password may stand.
		return nil, errors.New("database.url must be PostgreSQL's: postgres://user:password@host:5432/name?sslmode=verify-full")
	}
	config.RuntimeParams["default_transaction_read_only"] = "on"
	config.RuntimeParams["statement_timeout"] = strconv.FormatInt(o.Timeout.Milliseconds(), 10)
	if config.RuntimeParams["application_name"] == "" {
		config.RuntimeParams["application_name"] = "untether-connect"
	}
	return stdlib.OpenDB(*config), nil
}

func (postgres) batch(numbers []string) (any, error) { return numbers, nil }

func (postgres) prepare(_ context.Context, _ *sql.Tx, query string) (string, error) {
	return query, nil
}

// plan is the part of PostgreSQL's EXPLAIN that tells of reading whole tables.
type plan struct {
	NodeType  string `json:"Node Type"`
	Schema    string `json:"Schema"`
	Relation  string `json:"Relation Name"`
	IndexCond string `json:"Index Cond"`
	Plans     []plan `json:"Plans"`
}

// smallTableRows is up to where reading a whole table is the right thing to do.
const smallTableRows = 10_000

// scan asks for the plan with sequential scans discouraged: for 1,000 numbers PostgreSQL rightly prefers one on a table
// of middling size, and what matters is whether an index could serve at all when the table grows.
func (postgres) scan(ctx context.Context, tx *sql.Tx, query string, batch any) (string, error) {
	if _, err := tx.ExecContext(ctx, "SET LOCAL enable_seqscan = off"); err != nil {
		return "", fmt.Errorf("SET LOCAL enable_seqscan: %w", err)
	}
	var text []byte
	if err := tx.QueryRowContext(ctx, "EXPLAIN (VERBOSE, FORMAT JSON) "+query, batch).Scan(&text); err != nil {
		return "", fmt.Errorf("EXPLAIN: %w", err)
	}
	var plans []struct {
		Plan plan `json:"Plan"`
	}
	if err := json.Unmarshal(text, &plans); err != nil {
		return "", fmt.Errorf("EXPLAIN's answer: %w", err)
	}
	for _, p := range plans {
		for _, table := range p.Plan.scanned(nil) {
			if table.large(ctx, tx) {
				return table.Relation, nil
			}
		}
	}
	return "", nil
}

// large tells whether the node's table is large by PostgreSQL's own statistics, or nobody knows.
func (p plan) large(ctx context.Context, tx *sql.Tx) bool {
	var rows float64
	err := tx.QueryRowContext(ctx, `SELECT reltuples FROM pg_class WHERE oid = to_regclass(format('%I.%I', $1::text, $2::text))`,
		p.Schema, p.Relation).Scan(&rows)
	return err != nil || rows < 0 || rows >= smallTableRows
}

// scanned collects the nodes that read a whole table: a sequential scan, or an index walked from end to end.

func (p plan) scanned(found []plan) []plan {
	if p.whole() {
		found = append(found, p)
	}
	for _, below := range p.Plans {
		found = below.scanned(found)
	}
	return found
}

func (p plan) whole() bool {
	switch p.NodeType {
	case "Seq Scan":
		return true
	case "Index Scan", "Index Only Scan":
		return p.IndexCond == ""
	case "Bitmap Heap Scan":
		return len(p.Plans) == 1 && p.Plans[0].NodeType == "Bitmap Index Scan" && p.Plans[0].IndexCond == ""
	}
	return false
}

// advice says what to do about PostgreSQL's refusal, by its SQLSTATE.
func (postgres) advice(err error) string {
	var refusal *pgconn.PgError
	if !errors.As(err, &refusal) {
		return "check host, port and sslmode in the database's url, and that this machine may connect (pg_hba.conf, firewall)"
	}
	switch refusal.Code {
	case "28P01", "28000":
		return "check user and password in the database's url"
	case "3D000":
		return "check the database's name at the end of the url"
	case "42501":
		return "grant the user SELECT on the tables of the query, and USAGE on their schema"
	case "42P01", "42703":
		return "check the names of tables and columns in the query, and the user's search_path"
	case "42883", "42804", "22P02":
		return "$1 is a list of texts: write WHERE phone = ANY($1), and for a column that is not text phone::text = ANY($1)"
	case "25006":
		return "the query writes; the connector only reads"
	case "57014":
		return "the query takes too long: it needs an index on the phone number's column, or a larger queryTimeoutSeconds"
	case "08P01":
		return "a pooler such as PgBouncer stands before the database: let it ignore the start parameters " +
			"statement_timeout and default_transaction_read_only, or connect past it"
	}
	return "try the query by hand in psql with a list of two numbers for $1"
}
