package store

import (
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
