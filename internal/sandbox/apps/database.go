package apps

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"net/url"
	"path/filepath"

	_ "modernc.org/sqlite" // the driver

	"untether/connector"
	"untether/internal/phone"
	"untether/internal/sandbox/people"
	"untether/internal/tenure"
)

// database is one app's own accounts in an SQLite file of the app's own shape. It implements connector.Database.
type database struct {
	shape
	db *sql.DB
}

// made is the file's user_version once its accounts are in it; they go in with one transaction.
const made = 1

func openDatabase(ctx context.Context, dir, app string, accounts []people.Account) (*database, error) {
	pragmas := url.Values{"_pragma": {"busy_timeout(5000)", "journal_mode(WAL)", "synchronous(NORMAL)"}, "_txlock": {"immediate"}}
	file := url.URL{Scheme: "file", Opaque: (&url.URL{Path: filepath.Join(dir, app+".db")}).EscapedPath(), RawQuery: pragmas.Encode()}
	db, err := sql.Open("sqlite", file.String())
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(4)
	d := &database{shapeOf(app), db}
	if err := d.fill(ctx, accounts); err != nil {
		_ = db.Close()
		return nil, fmt.Errorf("the database of %s: %w", app, err)
	}
	return d, nil
}

// fill makes the tables with the accounts, unless an earlier start did.
func (d *database) fill(ctx context.Context, accounts []people.Account) error {
	var version int
	if err := d.db.QueryRowContext(ctx, `PRAGMA user_version`).Scan(&version); err != nil || version == made {
		return err
	}
	tx, err := d.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	if _, err := tx.ExecContext(ctx, d.schema); err != nil {
		return err
	}
	for _, in := range d.inserts {
		if err := d.insertAll(ctx, tx, in, accounts); err != nil {
			return err
		}
	}
	if _, err := tx.ExecContext(ctx, fmt.Sprintf(`PRAGMA user_version = %d`, made)); err != nil {
		return err
	}
	return tx.Commit()
}

func (d *database) insertAll(ctx context.Context, tx *sql.Tx, in insert, accounts []people.Account) error {
	statement, err := tx.PrepareContext(ctx, in.sql)
	if err != nil {
		return err
	}
	defer func() { _ = statement.Close() }()
	for _, a := range accounts {
		if _, err := statement.ExecContext(ctx, in.args(d.shape, a)...); err != nil {
			return err
		}
	}
	return nil
}

// add enters one account.
func (d *database) add(ctx context.Context, a people.Account) error {
	tx, err := d.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	for _, in := range d.inserts {
		if _, err := tx.ExecContext(ctx, in.sql, in.args(d.shape, a)...); err != nil {
			return err
		}
	}
	return tx.Commit()
}

// bound is one account's tie to a number.
type bound struct {
	number     phone.Number
	account    string
	registered tenure.Mark
	verified   tenure.Mark
}

func (b bound) binding() tenure.Binding {
	return tenure.Binding{Registered: b.registered, Verified: b.verified}
}

// find looks many numbers up in one query.
func (d *database) find(ctx context.Context, numbers []phone.Number) ([]bound, error) {
	asked := make(map[string]phone.Number, len(numbers))
	written := make([]string, len(numbers))
	for i, n := range numbers {
		written[i] = d.number(n)
		asked[written[i]] = n
	}
	list, err := json.Marshal(written)
	if err != nil {
		return nil, err
	}
	rows, err := d.db.QueryContext(ctx, d.shape.find, string(list))
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var all []bound
	for rows.Next() {
		var number, account string
		var registered, verified any
		if err := rows.Scan(&number, &account, &registered, &verified); err != nil {
			return nil, err
		}
		all = append(all, bound{asked[number], account, d.read(registered), d.read(verified)})
	}
	return all, rows.Err()
}

// Bindings answers the app's connector.
func (d *database) Bindings(ctx context.Context, phoneNumbers []string) ([]connector.Binding, error) {
	numbers := make([]phone.Number, len(phoneNumbers))
	for i, s := range phoneNumbers {
		n, err := phone.Parse(s)
		if err != nil {
			return nil, err
		}
		numbers[i] = n
	}
	found, err := d.find(ctx, numbers)
	if err != nil {
		return nil, err
	}
	bindings := make([]connector.Binding, len(found))
	for i, b := range found {
		bindings[i] = connector.Binding{PhoneNumber: b.number.E164(), Account: b.account,
			VerifiedAt: instant(b.verified), RegisteredAt: instant(b.registered)}
	}
	return bindings, nil
}

func instant(m tenure.Mark) connector.Instant {
	return connector.Instant{Time: m.At, DayOnly: m.DayOnly}
}
