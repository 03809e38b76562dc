package connector

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"untether/internal/clock"
)

// ErrCheckFailed is what Check returns when a step failed; the report says which.
var ErrCheckFailed = errors.New("the check found something wrong")

// slowBatch is when a full batch takes so long that the query wants an index.
const slowBatch = 2 * time.Second

// Check tries a configuration step by step and writes one line a step to w, in English: "ok", "warn" or "FAIL", what was
// tried, and for all but "ok" what to do. It leases no task and writes nothing anywhere. It returns ErrCheckFailed when a
// step failed.
func Check(ctx context.Context, c *Config, w io.Writer) error {
	r := &report{w: w, clock: clock.System{}}
	r.ok("configuration", "read; it can be used")
	for _, warning := range c.warnings() {
		r.warn("configuration", warning)
	}
	r.database(ctx, c)
	r.hub(ctx, c)
	if r.failed {
		return ErrCheckFailed
	}
	return nil
}

// report writes the lines and remembers whether one was a failure.
type report struct {
	w      io.Writer
	clock  clock.Clock
	failed bool
}

func (r *report) ok(step, text string)   { r.line("ok  ", step, text) }
func (r *report) warn(step, text string) { r.line("warn", step, text) }

func (r *report) fail(step string, err error, advice string) {
	r.failed = true
	text := concealed(errors.New(strings.ReplaceAll(err.Error(), "\n", "; ")))
	if advice != "" {
		text += "\n      → " + advice
	}
	r.line("FAIL", step, text)
}

func (r *report) line(mark, step, text string) {
	_, _ = fmt.Fprintf(r.w, "%s  %s: %s\n", mark, step, text)
}

func (r *report) database(ctx context.Context, c *Config) {
	d, err := c.OpenDatabase()
	if err != nil {
		r.fail("database", err, "")
		return
	}
	defer func() { _ = d.Close() }()
	if err := d.read(ctx, func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "SELECT 1")
		return err
	}); err != nil {
		r.fail("database", err, d.adviceOn(err))
		return
	}
	r.ok("database", "reached; opened for reading only")
	if r.query(ctx, d) {
		r.speed(ctx, d)
	}
}

// adviceOn is the database's own advice, but for an error that already says what to do.
func (d *SQLDatabase) adviceOn(err error) string {
	var wrong *shapeError
	if errors.As(err, &wrong) {
		return ""
	}
	return d.dialect.advice(err)
}

// query tries the query with an empty batch and with one made-up number; the columns are checked on the way.
func (r *report) query(ctx context.Context, d *SQLDatabase) bool {
	if _, err := d.Bindings(ctx, nil); err != nil {
		r.fail("query with no number", err, d.adviceOn(err))
		return false
	}
	r.ok("query with no number", "runs; the columns are right")
	_, err := d.Bindings(ctx, madeUpNumbers(1, d.options.CountryCode))
	var unreadable *UnreadableError
	switch {
	case errors.As(err, &unreadable):
		r.fail("query with a made-up number", err, "")
	case err != nil:
		r.fail("query with a made-up number", err, d.adviceOn(err))
	default:
		r.ok("query with a made-up number", "runs")
	}
	return err == nil
}

// speed times a full batch and looks at the plan.
func (r *report) speed(ctx context.Context, d *SQLDatabase) {
	numbers := madeUpNumbers(BatchMax, d.options.CountryCode)
	began := r.clock.Now()
	if _, err := d.Bindings(ctx, numbers); err != nil {
		r.fail("a batch of 1,000", err, d.adviceOn(err))
		return
	}
	took := r.clock.Now().Sub(began).Round(time.Millisecond)
	if took > slowBatch {
		r.warn("a batch of 1,000", fmt.Sprintf("took %v; put an index on the phone number's column as the query uses it", took))
	} else {
		r.ok("a batch of 1,000", fmt.Sprintf("took %v", took))
	}
	table, err := d.wholeTable(ctx, numbers)
	switch {
	case err != nil:
		r.warn("plan", "it cannot be shown: "+concealed(err))
	case table != "":
		r.warn("plan", fmt.Sprintf("the query reads the whole of %s for every batch; "+
			"put an index on the phone number's column, or compare the column itself and not a function of it", clipped(table, 64)))
	default:
		r.ok("plan", "no large table is read whole")
	}
}

// wholeTable names a table that the query reads from end to end, or nothing.
func (d *SQLDatabase) wholeTable(ctx context.Context, numbers []string) (table string, err error) {
	inTable := make([]string, 0, len(numbers))
	for _, n := range numbers {
		if form, ok := d.options.NumberFormat.inTable(n, d.options.CountryCode); ok {
			inTable = append(inTable, form)
		}
	}
	batch, err := d.dialect.batch(inTable)
	if err != nil {
		return "", err
	}
	err = d.read(ctx, func(ctx context.Context, tx *sql.Tx) (err error) {
		table, err = d.dialect.scan(ctx, tx, d.options.Query, batch)
		return err
	})
	return table, err
}

// madeUpNumbers are numbers that nobody has: in China no mobile number begins with 10.
func madeUpNumbers(n int, countryCode string) []string {
	if countryCode == "" {
		countryCode = "86"
	}
	numbers := make([]string, n)
	for i := range numbers {
		numbers[i] = fmt.Sprintf("+%s100%07d", countryCode, i)
	}
	return numbers
}

// hub fetches a token: that needs the address, the connection, the credential and the scope.
func (r *report) hub(ctx context.Context, c *Config) {
	o, err := c.Options(nil, nil)
	if err != nil {
		r.fail("credentials", err, "")
		return
	}
	h, err := newHub(o.Hub, o.ClientID, o.ClientSecret, nil, r.clock)
	if err != nil {
		r.fail("hub", err, "")
		return
	}
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	_, err = h.token.get(ctx)
	var away *unreachableError
	if errors.As(err, &away) {
		r.fail("hub", err, away.advice())
		return
	}
	r.ok("hub", "reached")
	r.credentials(err)
}

func (r *report) credentials(err error) {
	const ask = "ask the hub's operator to grant this client the scope `app`"
	var refusal *HubError
	switch isRefusal := errors.As(err, &refusal); {
	case err == nil:
		r.ok("credentials", "accepted")
		r.ok("scope", "`app` is granted")
	case errors.Is(err, errScopeMissing):
		r.ok("credentials", "accepted")
		r.fail("scope", err, ask)
	case isRefusal && scopeRefused(refusal):
		r.fail("scope", err, ask)
	case isRefusal && (refusal.Status == http.StatusUnauthorized || refusal.Code == "invalid_client"):
		r.fail("credentials", err, "check clientId and the client's secret; the hub's operator can give a new one")
	case isRefusal && refusal.Status >= 500, isRefusal && refusal.Status == http.StatusTooManyRequests:
		r.fail("credentials", err, "the hub is in trouble or busy; try again later")
	default:
		r.fail("credentials", err, "check that `hub` is the hub's own address, without a path such as /app/v1")
	}
}

func scopeRefused(e *HubError) bool {
	return e.Code == "invalid_scope" || e.Code == "INVALID_SCOPE" || e.Status == http.StatusForbidden
}
