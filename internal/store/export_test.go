package store

import (
	"context"
	"maps"
	"slices"
)

// Retention tells whether Prune takes rows of a table away, and why not.
func Retention(table string) (pruned bool, why string) {
	for _, p := range prunings {
		pruned = pruned || slices.Contains(p.tables, table)
	}
	return pruned, kept[table]
}

// RetentionTables lists the tables that have a retention or a reason to have none.
func RetentionTables() []string {
	tables := slices.Collect(maps.Keys(kept))
	for _, p := range prunings {
		tables = append(tables, p.tables...)
	}
	return tables
}

// Exec runs a statement in the transaction, whatever it does there.
func (tx *Tx) Exec(ctx context.Context, query string) error {
	_, err := tx.exec(ctx, query)
	return err
}
