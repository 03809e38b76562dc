package connector

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"
	_ "time/tzdata" // the default zone must be known on a machine without zone files
)

// SQLOptions says how to ask an app's SQL database.
type SQLOptions struct {
	Driver string // "postgres" or "sqlite"
	URL    string // postgres://…, or for SQLite the file's path
	// Query takes one parameter, $1, the batch of numbers in the table's form: for PostgreSQL a text[]
	// (WHERE phone = ANY($1)), for SQLite a JSON array (WHERE phone IN (SELECT value FROM json_each($1))). It returns one
	// row for each account, with the columns phone_number, verified_at, registered_at (at least one of these two) and,
	// if you like, account.
	Query        string
	NumberFormat NumberFormat   // default E164
	CountryCode  string         // digits; needed with National
	Zone         *time.Location // of values without a zone; default Asia/Shanghai
	Timeout      time.Duration  // of one query; default 30 seconds, most 5 minutes
}

// Limits of an SQL database.
const (
	ZoneDefault         = "Asia/Shanghai"
	QueryTimeoutDefault = 30 * time.Second
	QueryTimeoutMax     = 5 * time.Minute

	rowsMax        = 200_000 // in one batch; more means that the query joins wrongly
	connectionsMax = 4
	queryBytesMax  = 64 << 10
)

// SQLDatabase is a Database that asks an SQL database with the app's own query. It opens the database for reading only.
type SQLDatabase struct {
	options SQLOptions
	dialect dialect
	db      *sql.DB
}

// dialect is what differs between the databases.
type dialect interface {
	open(o SQLOptions) (*sql.DB, error)
	batch(numbers []string) (any, error) // the value of $1
	prepare(ctx context.Context, tx *sql.Tx, query string) (string, error)
	// scan says what of the query's plan reads a whole table, or "".
	scan(ctx context.Context, tx *sql.Tx, query string, batch any) (string, error)
	advice(err error) string
}

// OpenSQL checks the options and prepares the database; it does not connect yet. Close it when done.
func OpenSQL(o SQLOptions) (*SQLDatabase, error) {
	o, err := o.complete()
	if err != nil {
		return nil, err
	}
	d := dialects[o.Driver]
	db, err := d.open(o)
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(connectionsMax)
	db.SetMaxIdleConns(connectionsMax)
	return &SQLDatabase{options: o, dialect: d, db: db}, nil
}

var dialects = map[string]dialect{"postgres": postgres{}, "sqlite": sqlite{}}

func (o SQLOptions) complete() (SQLOptions, error) {
	if o.NumberFormat == "" {
		o.NumberFormat = E164
	}
	var wrong []error
	if dialects[o.Driver] == nil {
		wrong = append(wrong, errors.New("database.driver must be postgres or sqlite"))
	}
	wrong = append(wrong, o.NumberFormat.check(o.CountryCode), checkQuery(o.Query),
		within("Timeout", &o.Timeout, QueryTimeoutDefault, QueryTimeoutMax))
	o.Query = strings.TrimRight(o.Query, "; \t\r\n")
	if o.Zone == nil {
		zone, err := time.LoadLocation(ZoneDefault)
		wrong = append(wrong, err)
		o.Zone = zone
	}
	return o, errors.Join(wrong...)
}

func checkQuery(q string) error {
	switch {
	case strings.TrimSpace(q) == "":
		return errors.New("query is missing: the SQL that finds the accounts of a batch of numbers")
	case len(q) > queryBytesMax:
		return fmt.Errorf("query is over %d bytes", queryBytesMax)
	case !strings.Contains(q, "$1"):
		return errors.New("query must use $1, the batch of numbers")
	}
	return nil
}

// Close gives the connections back.
func (d *SQLDatabase) Close() error { return d.db.Close() }

// Bindings runs the query once for the whole batch.
func (d *SQLDatabase) Bindings(ctx context.Context, phoneNumbers []string) ([]Binding, error) {
	asked := make(map[string]string, len(phoneNumbers)) // by the table's form
	inTable := make([]string, 0, len(phoneNumbers))
	for _, n := range phoneNumbers {
		if form, ok := d.options.NumberFormat.inTable(n, d.options.CountryCode); ok {
			asked[form] = n
			inTable = append(inTable, form)
		}
	}
	var bindings []Binding
	err := d.read(ctx, func(ctx context.Context, tx *sql.Tx) (err error) {
		bindings, err = d.query(ctx, tx, inTable, asked)
		return err
	})
	return bindings, err
}

// read runs f in a read-only transaction, within the time for one query. An *UnreadableError is no failure of the
// transaction and comes through as it is.
func (d *SQLDatabase) read(ctx context.Context, f func(context.Context, *sql.Tx) error) error {
	ctx, cancel := context.WithTimeout(ctx, d.options.Timeout) // the wire's time, not the country's
	defer cancel()
	tx, err := d.db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return fmt.Errorf("the database cannot be reached: %w", err)
	}
	defer func() { _ = tx.Rollback() }() // nothing was written
	return f(ctx, tx)
}

func (d *SQLDatabase) query(ctx context.Context, tx *sql.Tx, inTable []string, asked map[string]string) ([]Binding, error) {
	batch, err := d.dialect.batch(inTable)
	if err != nil {
		return nil, err
	}
	query, err := d.dialect.prepare(ctx, tx, d.options.Query)
	if err != nil {
		return nil, err
	}
	rows, err := tx.QueryContext(ctx, query, batch)
	if err != nil {
		return nil, fmt.Errorf("the query failed: %w", err)
	}
	defer func() { _ = rows.Close() }()
	columns, err := columnsOfRows(rows)
	if err != nil {
		return nil, err
	}
	return d.collect(rows, columns, asked)
}

func columnsOfRows(rows *sql.Rows) (columns, error) {
	types, err := rows.ColumnTypes()
	if err != nil {
		return columns{}, fmt.Errorf("the query's columns: %w", err)
	}
	var names, databaseTypes []string
	for _, t := range types {
		names = append(names, t.Name())
		databaseTypes = append(databaseTypes, t.DatabaseTypeName())
	}
	return columnsOf(names, databaseTypes)
}

func (d *SQLDatabase) collect(rows *sql.Rows, c columns, asked map[string]string) ([]Binding, error) {
	var bindings []Binding
	var unreadable UnreadableError
	row := make([]any, c.width)
	into := make([]any, c.width)
	for i := range row {
		into[i] = &row[i]
	}
	for n := 0; rows.Next(); n++ {
		if n == rowsMax {
			return nil, fmt.Errorf("the query returned more than %d rows for one batch: does it join so that accounts repeat?", rowsMax)
		}
		if err := rows.Scan(into...); err != nil {
			return nil, fmt.Errorf("the query's rows: %w", err)
		}
		b, err := d.binding(row, c, asked)
		switch {
		case b.PhoneNumber == "":
			return nil, err
		case err != nil:
			unreadable.add(b.PhoneNumber, err)
		default:
			bindings = append(bindings, b)
		}
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("the query failed: %w", err)
	}
	if unreadable.Causes != nil {
		return bindings, &unreadable
	}
	return bindings, nil
}

// binding reads one row. Without a phone number in the answer the whole batch is in doubt; with one, only that number.
func (d *SQLDatabase) binding(row []any, c columns, asked map[string]string) (Binding, error) {
	form, err := textOf(row[c.phoneNumber])
	if err != nil {
		return Binding{}, &shapeError{fmt.Errorf("%s: %w", columnPhoneNumber, err)}
	}
	b := Binding{PhoneNumber: asked[form]}
	if b.PhoneNumber == "" {
		return b, &shapeError{ErrNotAsked}
	}
	if c.account >= 0 {
		if b.Account, err = textOf(row[c.account]); err != nil {
			return b, fmt.Errorf("%s: %w", columnAccount, err)
		}
	}
	b.VerifiedAt, b.RegisteredAt, err = c.instants(row, d.options.Zone)
	return b, err
}
