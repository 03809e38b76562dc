package store

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
)

// Change is one kind of change to one table.
type Change struct {
	Verb  string // insert, update or delete
	Table string
}

// meter counts what transactions changed, also those that were undone: it is there to show the work, not the state.
type meter struct {
	transactions atomic.Int64
	statements   sync.Map // statement text → *tally
}

type tally struct {
	Change
	rows atomic.Int64
}

// Changed gives how many rows each kind of statement has changed since the database was opened.
func (db *DB) Changed() map[Change]int64 {
	sums := map[Change]int64{}
	db.meter.statements.Range(func(_, value any) bool {
		if t := value.(*tally); t.Verb != "" {
			sums[t.Change] += t.rows.Load()
		}
		return true
	})
	return sums
}

// Transactions gives how many writing transactions were run, and Commits how many commits they shared.
func (db *DB) Transactions() int64 { return db.meter.transactions.Load() }

// Commits gives how often the database was told to make changes last.
func (db *DB) Commits() int64 { return db.driver.committed() }

func (m *meter) of(query string) *tally {
	if t, ok := m.statements.Load(query); ok {
		return t.(*tally)
	}
	t, _ := m.statements.LoadOrStore(query, &tally{Change: changeOf(query)})
	return t.(*tally)
}

// changeOf reads what a statement changes from its first words; a SELECT changes nothing.
func changeOf(query string) Change {
	switch f := strings.Fields(query); {
	case len(f) > 2 && f[0] == "INSERT":
		return Change{"insert", f[2]}
	case len(f) > 2 && f[0] == "DELETE":
		return Change{"delete", f[2]}
	case len(f) > 1 && f[0] == "UPDATE":
		return Change{"update", f[1]}
	}
	return Change{}
}

// metered counts the rows that its conn changes.
type metered struct {
	conn
	meter *meter
}

func (m metered) exec(ctx context.Context, query string, args ...any) (int64, error) {
	n, err := m.conn.exec(ctx, query, args...)
	m.meter.of(query).rows.Add(n)
	return n, err
}

func (m metered) each(ctx context.Context, query string, n int, args func(int) []any, scan func(int, scanner) error) error {
	t := m.meter.of(query)
	if scan == nil {
		changed, err := m.conn.changes(ctx, query, n, args)
		t.add(changed)
		return err
	}
	return m.conn.each(ctx, query, n, args, func(i int, row scanner) error {
		t.rows.Add(1)
		return scan(i, row)
	})
}

func (m metered) changes(ctx context.Context, query string, n int, args func(int) []any) ([]int64, error) {
	changed, err := m.conn.changes(ctx, query, n, args)
	m.meter.of(query).add(changed)
	return changed, err
}

func (t *tally) add(changed []int64) {
	for _, n := range changed {
		t.rows.Add(n)
	}
}
