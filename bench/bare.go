package main

import (
	"context"
	"database/sql"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	"untether/internal/store"
)

// written is what the hub wrote in a run, by its own metrics.
type written struct {
	inserts, updates map[string]float64 // rows by table
	commits          float64
}

func (w written) rows() float64 {
	sum := 0.0
	for _, m := range []map[string]float64{w.inserts, w.updates} {
		for _, n := range m {
			sum += n
		}
	}
	return sum
}

// readWritten reads the hub's metrics.
func (h *hubProcess) readWritten() (written, error) {
	w := written{map[string]float64{}, map[string]float64{}, 0}
	resp, err := http.Get(h.ops + "/metrics")
	if err != nil {
		return w, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return w, err
	}
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		n, _ := strconv.ParseFloat(value, 64)
		var table, verb string
		switch {
		case name == "untether_store_commits_total":
			w.commits = n
		case strings.HasPrefix(name, "untether_store_rows_changed_total{"):
			quoted := strings.Split(name, `"`)
			table, verb = quoted[1], quoted[3] // labels stand in alphabetical order
			switch verb {
			case "insert":
				w.inserts[table] += n
			default:
				w.updates[table] += n
			}
		}
	}
	return w, nil
}

// rowset is rows of one table as the hub left them, and the statements that bring them there again.
type rowset struct {
	insert    string
	rows      [][]any // as they were when they were put there
	updates   []update
	perSearch float64
	changes   float64 // how often a row was changed, on average
}

// update is one change of every row, by its key.
type update struct {
	statement string
	args      [][]any
}

// history says how the rows of a table come to their last form: what they hold at first, and which columns change together.
// A table's changes beyond its steps repeat the last one.
type history struct {
	key    []string
	first  map[string]any
	second []string
	third  []string
}

var histories = map[string]history{
	"codes":         {key: []string{"subject", "id"}, first: map[string]any{"status": "open", "search": ""}, second: []string{"status", "tries", "search"}},
	"number_limits": {key: []string{"subject"}, second: []string{"sent", "failures", "locked_until", "id_tries", "id_locked_until", "changed_at"}},
	"searches":      {key: []string{"subject", "id"}, first: map[string]any{"status": "collecting", "replied_at": 0}, second: []string{"status", "replied_at"}},
	"work": {key: []string{"subject", "ref", "lane"}, first: map[string]any{"state": "open", "due_at": 0, "attempts": 0, "outcome": "", "done_at": 0},
		second: []string{"due_at", "attempts"}, third: []string{"state", "outcome", "done_at"}},
	"text_parts": {key: []string{"centre_id"}, first: map[string]any{"status": "", "final_at": 0}, second: []string{"status", "final_at"}},
	"audit":      {key: []string{"id"}, first: map[string]any{"batch": 0, "hash": nil}, second: []string{"batch", "hash"}},
}

// rowsMax is how many rows of a table are written bare at the most; the rate does not need more.
const rowsMax = 400_000

// readRows reads the tables of a database that the hub has left.
func readRows(db *sql.DB, w written, searches int) ([]rowset, error) {
	var sets []rowset
	for _, table := range []string{"codes", "number_limits", "searches", "work", "text_parts", "audit"} {
		s, err := readTable(db, table)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", table, err)
		}
		if len(s.rows) == 0 {
			return nil, fmt.Errorf("%s: the hub wrote nothing there", table)
		}
		s.perSearch = float64(len(s.rows)) / float64(searches)
		// Rows put there and rows changed: an INSERT that found its row is a change too.
		s.changes = (w.inserts[table]+w.updates[table])/float64(searches)/s.perSearch - 1
		sets = append(sets, s)
	}
	return sets, nil
}

func readTable(db *sql.DB, table string) (rowset, error) {
	rows, err := db.Query(fmt.Sprintf(`SELECT * FROM %s LIMIT %d`, table, rowsMax))
	if err != nil {
		return rowset{}, err
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return rowset{}, err
	}
	var last [][]any
	for rows.Next() {
		row := make([]any, len(columns))
		pointers := make([]any, len(columns))
		for i := range row {
			pointers[i] = &row[i]
		}
		if err := rows.Scan(pointers...); err != nil {
			return rowset{}, err
		}
		last = append(last, row)
	}
	return histories[table].of(table, columns, last), rows.Err()
}

// of makes the statements for rows in their last form.
func (h history) of(table string, columns []string, last [][]any) rowset {
	places := make([]string, len(columns))
	for i := range columns {
		places[i] = fmt.Sprintf("$%d", i+1)
	}
	s := rowset{insert: fmt.Sprintf(`INSERT INTO %s (%s) VALUES (%s)`, table, strings.Join(columns, ", "), strings.Join(places, ", "))}
	for _, row := range last {
		first := slices.Clone(row)
		for i, c := range columns {
			if v, ok := h.first[c]; ok {
				first[i] = v
			}
		}
		s.rows = append(s.rows, first)
	}
	for _, step := range [][]string{h.second, h.third} {
		if step != nil {
			s.updates = append(s.updates, h.update(table, columns, step, last))
		}
	}
	return s
}

func (h history) update(table string, columns, step []string, last [][]any) update {
	var set, where []string
	for i, c := range step {
		set = append(set, fmt.Sprintf("%s = $%d", c, i+1))
	}
	for i, k := range h.key {
		where = append(where, fmt.Sprintf("%s = $%d", k, len(step)+i+1))
	}
	u := update{statement: fmt.Sprintf(`UPDATE %s SET %s WHERE %s`, table, strings.Join(set, ", "), strings.Join(where, " AND "))}
	for _, row := range last {
		var args []any
		for _, c := range append(slices.Clone(step), h.key...) {
			args = append(args, row[slices.Index(columns, c)])
		}
		u.args = append(u.args, args)
	}
	return u
}

// bare writes the same rows into an empty database in as many commits as the hub made, by one writer with prepared
// statements, and gives searches a second.
func bare(ctx context.Context, open func() (*sql.DB, error), sets []rowset, searches int, perCommit float64) (float64, error) {
	db, err := open()
	if err != nil {
		return 0, err
	}
	defer db.Close()
	c, err := db.Conn(ctx)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	n := searches
	for _, s := range sets {
		n = min(n, int(float64(len(s.rows))/s.perSearch))
	}
	step := max(1, int(perCommit))
	begun := time.Now()
	for first := 0; first < n; first += step {
		if err := bareCommit(ctx, c, sets, first, min(step, n-first)); err != nil {
			return 0, err
		}
	}
	return float64(n) / time.Since(begun).Seconds(), nil
}

func bareCommit(ctx context.Context, c *sql.Conn, sets []rowset, first, searches int) error {
	if _, err := c.ExecContext(ctx, `BEGIN`); err != nil {
		return err
	}
	for _, s := range sets {
		from, to := int(float64(first)*s.perSearch), int(float64(first+searches)*s.perSearch)
		to = min(to, len(s.rows))
		if err := writeAll(ctx, c, s.insert, s.rows[from:to]); err != nil {
			return err
		}
		for i, left := 0, s.changes; left > 0.01; i, left = i+1, left-1 {
			u := s.updates[min(i, len(s.updates)-1)]
			part := from + int(float64(to-from)*min(left, 1))
			if err := writeAll(ctx, c, u.statement, u.args[from:part]); err != nil {
				return err
			}
		}
	}
	_, err := c.ExecContext(ctx, `COMMIT`)
	return err
}

// writeAll runs one statement for many sets of arguments: prepared on SQLite, in one round trip on PostgreSQL.
func writeAll(ctx context.Context, c *sql.Conn, statement string, rows [][]any) error {
	if len(rows) == 0 {
		return nil
	}
	piped := false
	err := c.Raw(func(driverConn any) error {
		pg, ok := driverConn.(*stdlib.Conn)
		if !ok {
			return nil
		}
		piped = true
		batch := &pgx.Batch{}
		for _, row := range rows {
			batch.Queue(statement, row...)
		}
		return pg.Conn().SendBatch(ctx, batch).Close()
	})
	if err != nil || piped {
		return err
	}
	s, err := c.PrepareContext(ctx, statement)
	if err != nil {
		return err
	}
	defer s.Close()
	for _, row := range rows {
		if _, err := s.ExecContext(ctx, row...); err != nil {
			return err
		}
	}
	return nil
}

// empty makes the tables in an empty database and closes it.
func empty(ctx context.Context, address string) error {
	db, err := store.Open(ctx, address)
	if err != nil {
		return err
	}
	return db.Close()
}
