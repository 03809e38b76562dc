package store

import (
	"context"
	"strings"
	"time"

	"untether/internal/search"
	"untether/internal/work"
)

// Search runs a transaction of package search.
func (db *DB) Search(ctx context.Context, fn func(context.Context, search.Tx) error) error {
	return db.Write(ctx, func(ctx context.Context, tx *Tx) error { return fn(ctx, tx) })
}

// ReadSearch runs a view of package search.
func (db *DB) ReadSearch(ctx context.Context, fn func(context.Context, search.Tx) error) error {
	return db.Read(ctx, func(ctx context.Context, tx *Tx) error { return fn(ctx, tx) })
}

const searchColumns = `subject, id, tenure, tenure_start, channel, language, status, apps, number, requested_at, deadline, replied_at`

func scanSearch(row scanner) (search.Search, error) {
	var x search.Search
	var apps string
	var start, requested, deadline, replied int64
	err := row.Scan(&x.Subject, &x.ID, &x.Tenure, &start, &x.Channel, &x.Language, &x.Status, &apps, &x.Number, &requested, &deadline, &replied)
	x.Apps = strings.Fields(apps)
	x.TenureStart, x.RequestedAt, x.Deadline, x.RepliedAt = time.UnixMicro(start), instant(requested), instant(deadline), instant(replied)
	return x, err
}

// AddSearch stores a new search.
func (tx *Tx) AddSearch(ctx context.Context, x search.Search) error {
	_, err := tx.exec(ctx, `INSERT INTO searches (`+searchColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`,
		x.Subject, x.ID, x.Tenure, x.TenureStart.UnixMicro(), x.Channel, string(x.Language), string(x.Status), strings.Join(x.Apps, " "), x.Number,
		micros(x.RequestedAt), micros(x.Deadline), micros(x.RepliedAt))
	return err
}

// FindSearch gives the search with the id.
func (tx *Tx) FindSearch(ctx context.Context, id string) (search.Search, bool, error) {
	return tx.findSearch(ctx, `SELECT `+searchColumns+` FROM searches WHERE id = $1`, id)
}

// LatestSearch gives the newest search of a tenure.
func (tx *Tx) LatestSearch(ctx context.Context, subject, tenure string) (search.Search, bool, error) {
	return tx.findSearch(ctx, `SELECT `+searchColumns+` FROM searches WHERE subject = $1 AND tenure = $2
		ORDER BY requested_at DESC LIMIT 1`, subject, tenure)
}

func (tx *Tx) findSearch(ctx context.Context, query string, args ...any) (x search.Search, found bool, err error) {
	err = tx.all(ctx, func(row scanner) (err error) {
		found = true
		x, err = scanSearch(row)
		return err
	}, query, args...)
	return x, found, err
}

// TenureEnded tells whether the fold of the number's events ended the tenure.
func (tx *Tx) TenureEnded(ctx context.Context, subject, tenure string) (ended bool, err error) {
	err = tx.all(ctx, func(row scanner) error {
		var ids string
		err := row.Scan(&ids)
		for _, id := range strings.Fields(ids) {
			ended = ended || id == tenure
		}
		return err
	}, `SELECT ended FROM lives WHERE subject = $1`, subject)
	return ended, err
}

// BeginReplies makes complete or due searches replying.
func (tx *Tx) BeginReplies(ctx context.Context, searches []search.Key, now time.Time) ([]search.Search, error) {
	var begun []search.Search
	err := tx.each(ctx, `UPDATE searches SET status = 'replying'
		WHERE subject = $1 AND id = $2 AND status = 'collecting' AND (deadline <= $3 OR NOT EXISTS (
			SELECT 1 FROM work WHERE work.subject = $1 AND work.ref = $2 AND work.state = 'open'))
		RETURNING `+searchColumns, len(searches), func(i int) []any {
		return []any{searches[i].Subject, searches[i].ID, micros(now)}
	}, func(_ int, row scanner) error {
		x, err := scanSearch(row)
		begun = append(begun, x)
		return err
	})
	return begun, err
}

// Tasks gives the apps' items of each search.
func (tx *Tx) Tasks(ctx context.Context, searches []search.Key) ([][]work.Item, error) {
	tasks := make([][]work.Item, len(searches))
	err := tx.each(ctx, `SELECT `+workColumns+` FROM work WHERE subject = $1 AND ref = $2 AND lane LIKE 'app:%'`, len(searches),
		func(i int) []any { return []any{searches[i].Subject, searches[i].ID} },
		func(i int, row scanner) error {
			it, err := scanItem(row)
			tasks[i] = append(tasks[i], it)
			return err
		})
	return tasks, err
}

// DueSearches gives collecting searches whose deadline has passed.
func (tx *Tx) DueSearches(ctx context.Context, now time.Time, max int) ([]search.Key, error) {
	return tx.searchKeys(ctx, `SELECT subject, id FROM searches WHERE status = 'collecting' AND deadline <= $1 ORDER BY deadline LIMIT $2`,
		micros(now), max)
}

// AnsweredSearches gives collecting searches that wait for nothing any more.
func (tx *Tx) AnsweredSearches(ctx context.Context, from time.Time, max int) ([]search.Key, error) {
	return tx.searchKeys(ctx, `SELECT subject, id FROM searches WHERE status = 'collecting' AND deadline >= $1 AND NOT EXISTS (
			SELECT 1 FROM work WHERE work.subject = searches.subject AND work.ref = searches.id AND work.state = 'open')
		ORDER BY deadline LIMIT $2`, micros(from), max)
}

func (tx *Tx) searchKeys(ctx context.Context, query string, args ...any) ([]search.Key, error) {
	var keys []search.Key
	err := tx.all(ctx, func(row scanner) error {
		var k search.Key
		err := row.Scan(&k.Subject, &k.ID)
		keys = append(keys, k)
		return err
	}, query, args...)
	return keys, err
}

// NextDeadline is the earliest deadline of a collecting search.
func (tx *Tx) NextDeadline(ctx context.Context) (time.Time, error) {
	var us int64
	err := tx.one(ctx, func(row scanner) error { return row.Scan(&us) },
		`SELECT COALESCE(MIN(deadline), 0) FROM searches WHERE status = 'collecting'`)
	return instant(us), err
}
