package store_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"untether/internal/audit"
	"untether/internal/search"
	"untether/internal/store"
	"untether/internal/store/storetest"
	"untether/internal/texts"
	"untether/internal/verification"
	"untether/internal/words"
	"untether/internal/work"
)

func aSearch(subject, id string) search.Search {
	return search.Search{Subject: subject, ID: id, Tenure: "t1", TenureStart: time.Date(1962, 5, 6, 7, 8, 9, 1000, time.UTC), Channel: "portal",
		Language: words.En, Status: search.Collecting, Apps: []string{"wechat", "qq"}, Number: []byte{9, 0, 9}, RequestedAt: start,
		Deadline: start.Add(48 * time.Hour)}
}

func addSearch(db *store.DB, searches ...search.Search) error {
	return db.Search(ctx, func(ctx context.Context, tx search.Tx) error {
		for _, x := range searches {
			if err := tx.AddSearch(ctx, x); err != nil {
				return err
			}
		}
		return nil
	})
}

func mustAddSearch(t *testing.T, db *store.DB, searches ...search.Search) {
	t.Helper()
	if err := addSearch(db, searches...); err != nil {
		t.Fatal(err)
	}
}

func find(t *testing.T, db *store.DB, id string) (x search.Search, found bool) {
	t.Helper()
	err := db.ReadSearch(ctx, func(ctx context.Context, tx search.Tx) (err error) {
		x, found, err = tx.FindSearch(ctx, id)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return x, found
}

func TestSearchIsKeptWhole(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		want := aSearch("s", "x")
		mustAddSearch(t, db, want)
		got, found := find(t, db, "x")
		if !found || got.Subject != want.Subject || got.ID != want.ID || got.Tenure != want.Tenure || !got.TenureStart.Equal(want.TenureStart) ||
			got.Channel != want.Channel || got.Language != want.Language || got.Status != want.Status || !slices.Equal(got.Apps, want.Apps) ||
			!bytes.Equal(got.Number, want.Number) || !got.RequestedAt.Equal(want.RequestedAt) || !got.Deadline.Equal(want.Deadline) || !got.RepliedAt.IsZero() {
			t.Errorf("got %+v\nwant %+v", got, want)
		}
		if _, found := find(t, db, "y"); found {
			t.Error("a search that is not there was found")
		}
		if err := addSearch(db, aSearch("another", "x")); err == nil {
			t.Error("an id was given twice")
		}
		broken := aSearch("s", "z")
		broken.Status = "lost"
		if err := addSearch(db, broken); err == nil {
			t.Error("a status that does not exist was stored")
		}
	})
}

func TestLatestSearch(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		older, newer, other := aSearch("s", "b-older"), aSearch("s", "a-newer"), aSearch("s", "other")
		newer.RequestedAt = start.Add(time.Hour)
		other.Tenure, other.RequestedAt = "t2", start.Add(2*time.Hour)
		mustAddSearch(t, db, newer, older, other)
		for _, test := range []struct{ subject, tenure, want string }{{"s", "t1", "a-newer"}, {"s", "t2", "other"}, {"s", "t3", ""}, {"s2", "t1", ""}} {
			err := db.ReadSearch(ctx, func(ctx context.Context, tx search.Tx) error {
				x, found, err := tx.LatestSearch(ctx, test.subject, test.tenure)
				if found != (test.want != "") || x.ID != test.want {
					t.Errorf("%+v: got %q, %v", test, x.ID, found)
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	})
}

func TestTenureEnded(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		_, err := storetest.SQL(t, db).Exec(`INSERT INTO lives (subject, state, suspended, carrier, tenure, tenure_start, since, ended)
			VALUES ('s', 'frozen', FALSE, 'mobile', '', 0, 0, 't1 t22')`)
		if err != nil {
			t.Fatal(err)
		}
		for _, test := range []struct {
			subject, tenure string
			want            bool
		}{{"s", "t1", true}, {"s", "t22", true}, {"s", "t2", false}, {"s", "", false}, {"s", "t1 t22", false}, {"s2", "t1", false}} {
			err := db.ReadSearch(ctx, func(ctx context.Context, tx search.Tx) error {
				got, err := tx.TenureEnded(ctx, test.subject, test.tenure)
				if got != test.want {
					t.Errorf("%+v: got %v", test, got)
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	})
}

func begin(t *testing.T, db *store.DB, now time.Time, ids ...string) []string {
	t.Helper()
	var begun []string
	err := db.Search(ctx, func(ctx context.Context, tx search.Tx) error {
		begun = nil
		keys := make([]search.Key, len(ids))
		for i, id := range ids {
			keys[i] = search.Key{Subject: "s", ID: id}
		}
		searches, err := tx.BeginReplies(ctx, keys, now)
		for _, x := range searches {
			if x.Status != search.Replying || x.Subject != "s" || len(x.Apps) != 2 {
				t.Errorf("begun: %+v", x)
			}
			begun = append(begun, x.ID)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return begun
}

func TestBeginReplies(t *testing.T) {
	tests := map[string]struct {
		status search.Status
		open   int // tasks of two
		now    time.Duration
		want   bool
	}{
		"an answer is missing":              {search.Collecting, 1, 0, false},
		"all have answered":                 {search.Collecting, 0, 0, true},
		"just before the deadline":          {search.Collecting, 2, 48*time.Hour - time.Microsecond, false},
		"at the deadline":                   {search.Collecting, 2, 48 * time.Hour, true},
		"another is at it":                  {search.Replying, 0, 49 * time.Hour, false},
		"it was replied to":                 {search.Replied, 0, 49 * time.Hour, false},
		"the tenure ended":                  {search.Void, 0, 49 * time.Hour, false},
		"the tenure ended, tasks were open": {search.Void, 2, 49 * time.Hour, false},
	}
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		for name, test := range tests {
			x := aSearch("s", name)
			x.Status = test.status
			mustAddSearch(t, db, x)
			for i, app := range []string{"wechat", "qq"} {
				it := item("s", name, work.AppLane(app))
				addWork(t, db, it)
				if i >= test.open {
					finish(t, db, start, work.Result{Key: it.Key, State: work.Done, Outcome: "{}"})
				}
			}
			if got := begin(t, db, start.Add(test.now), name); len(got) == 1 != test.want {
				t.Errorf("%s: begun %v", name, got)
			}
			if got := begin(t, db, start.Add(test.now), name); len(got) != 0 {
				t.Errorf("%s: begun twice", name)
			}
		}
		if got := begin(t, db, start, "missing"); len(got) != 0 {
			t.Errorf("a missing search was begun: %v", got)
		}
	})
}

// Many closers at once: one wins, however the searches are ordered in their lists.
func TestOneCloserWins(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		ids := make([]string, 10)
		for i := range ids {
			ids[i] = fmt.Sprint(i)
			mustAddSearch(t, db, aSearch("s", ids[i]))
		}
		var won [10]atomic.Int64
		var closing sync.WaitGroup
		for c := range 8 {
			closing.Go(func() {
				mine := slices.Clone(ids)
				if c%2 == 1 {
					slices.Reverse(mine)
				}
				for _, id := range begin(t, db, start, mine...) {
					won[id[0]-'0'].Add(1)
				}
			})
		}
		closing.Wait()
		for i := range won {
			if n := won[i].Load(); n != 1 {
				t.Errorf("search %d was closed %d times", i, n)
			}
		}
	})
}

func TestAnsweredSearches(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		for i, status := range []search.Status{search.Collecting, search.Collecting, search.Collecting, search.Replied, search.Collecting} {
			x := aSearch("s", fmt.Sprint(i))
			x.Status, x.Deadline = status, start.Add(time.Duration(10-i)*time.Hour)
			mustAddSearch(t, db, x)
			if i == 1 { // the only one that waits
				addWork(t, db, item("s", x.ID, "app:qq"))
			}
		}
		for _, test := range []struct {
			since time.Duration
			max   int
			want  string
		}{{0, 10, "[4 2 0]"}, {0, 2, "[4 2]"}, {6 * time.Hour, 10, "[4 2 0]"}, {6*time.Hour + time.Microsecond, 10, "[2 0]"}, {11 * time.Hour, 10, "[]"}} {
			err := db.ReadSearch(ctx, func(ctx context.Context, tx search.Tx) error {
				found, err := tx.AnsweredSearches(ctx, start.Add(test.since), test.max)
				ids := []string{}
				for _, k := range found {
					ids = append(ids, k.ID)
				}
				if fmt.Sprint(ids) != test.want {
					t.Errorf("since %v: %v, want %v", test.since, ids, test.want)
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	})
}

func TestDueSearches(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		next := func() (next time.Time) {
			err := db.ReadSearch(ctx, func(ctx context.Context, tx search.Tx) (err error) {
				next, err = tx.NextDeadline(ctx)
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			return next
		}
		if got := next(); !got.IsZero() {
			t.Errorf("no search, next deadline %v", got)
		}
		for i, status := range []search.Status{search.Collecting, search.Collecting, search.Replying, search.Void, search.Replied, search.Collecting} {
			x := aSearch("s", fmt.Sprint(i))
			x.Status, x.Deadline = status, start.Add(time.Duration(10-i)*time.Hour)
			mustAddSearch(t, db, x)
			if i != 5 { // 5 waits for nothing
				addWork(t, db, item("s", x.ID, "app:qq"))
			}
		}
		if got := next(); !got.Equal(start.Add(5 * time.Hour)) {
			t.Errorf("next deadline %v", got)
		}
		for _, test := range []struct {
			after time.Duration
			max   int
			want  string
		}{{0, 10, "[]"}, {5*time.Hour - time.Microsecond, 10, "[]"}, {5 * time.Hour, 10, "[5]"}, {9 * time.Hour, 10, "[5 1]"}, {10 * time.Hour, 10, "[5 1 0]"}, {10 * time.Hour, 2, "[5 1]"}} {
			err := db.ReadSearch(ctx, func(ctx context.Context, tx search.Tx) error {
				due, err := tx.DueSearches(ctx, start.Add(test.after), test.max)
				ids := []string{}
				for _, k := range due {
					ids = append(ids, k.ID)
				}
				if fmt.Sprint(ids) != test.want {
					t.Errorf("after %v: %v, want %v", test.after, ids, test.want)
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	})
}

func TestTasksLeavesOutTexts(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		addWork(t, db, item("s", "a", "app:qq"), item("s", "a", "app:wechat"), item("s", "a", work.Texts), item("s", "b", "app:qq"), item("s2", "a", "app:qq"))
		err := db.ReadSearch(ctx, func(ctx context.Context, tx search.Tx) error {
			tasks, err := tx.Tasks(ctx, []search.Key{{Subject: "s", ID: "b"}, {Subject: "s", ID: "missing"}, {Subject: "s", ID: "a"}})
			if len(tasks) != 3 || len(tasks[0]) != 1 || len(tasks[1]) != 0 || len(tasks[2]) != 2 {
				t.Errorf("tasks %+v", tasks)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

func TestCodes(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		code := verification.Code{Subject: "s", ID: "c1", Channel: "portal", Hash: "h", Number: []byte{1, 0}, Status: verification.Open,
			IssuedAt: start, ExpiresAt: start.Add(5 * time.Minute)}
		second, other := code, code
		second.ID = "c2"
		other.Subject, other.ID = "s2", "c3"
		write(t, db, func(ctx context.Context, tx tx) error {
			return errors.Join(tx.AddCode(ctx, code), tx.AddCode(ctx, second), tx.AddCode(ctx, other))
		})
		get := func(id string) (c verification.Code, found bool) {
			write(t, db, func(ctx context.Context, tx tx) (err error) {
				c, found, err = tx.FindCode(ctx, id)
				return err
			})
			return c, found
		}
		got, found := get("c1")
		if !found || got.Subject != "s" || got.ID != "c1" || got.Channel != "portal" || got.Hash != "h" || !bytes.Equal(got.Number, []byte{1, 0}) ||
			got.Status != verification.Open || got.Tries != 0 || got.Search != "" || !got.IssuedAt.Equal(start) || !got.ExpiresAt.Equal(code.ExpiresAt) {
			t.Errorf("got %+v", got)
		}
		if _, found := get("c4"); found {
			t.Error("a code that is not there was found")
		}
		code.Status, code.Tries, code.Search = verification.Used, 3, "x"
		write(t, db, func(ctx context.Context, tx tx) error {
			return errors.Join(tx.SaveCode(ctx, code), tx.ReplaceCodes(ctx, "s"))
		})
		for id, want := range map[string]verification.Status{"c1": verification.Used, "c2": verification.Replaced, "c3": verification.Open} {
			if got, _ := get(id); got.Status != want {
				t.Errorf("%s is %s, want %s", id, got.Status, want)
			}
		}
		if got, _ := get("c1"); got.Tries != 3 || got.Search != "x" {
			t.Errorf("got %+v", got)
		}
	})
}

func receive(t *testing.T, db *store.DB, receipts ...texts.Receipt) (received []texts.Received) {
	t.Helper()
	err := db.Texts(ctx, func(ctx context.Context, tx texts.Tx) (err error) {
		received, err = tx.ReceiveParts(ctx, receipts)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return received
}

func TestReceiveParts(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		it := item("s", "r", work.Texts)
		it.Kind = texts.KindReply
		addWork(t, db, it)
		lease(t, db, work.Texts, start, 1)
		err := db.Texts(ctx, func(ctx context.Context, tx texts.Tx) error {
			return tx.AddParts(ctx, []texts.Part{{CentreID: "1", Subject: "s", Ref: "r", Index: 0, SentAt: start}, {CentreID: "2", Subject: "s", Ref: "r", Index: 1, SentAt: start},
				{CentreID: "3", Subject: "gone", Ref: "r", SentAt: start}})
		})
		if err != nil {
			t.Fatal(err)
		}
		got := receive(t, db, texts.Receipt{MessageID: "2", Status: "ENROUTE", At: start}, texts.Receipt{MessageID: "9", Final: true, At: start},
			texts.Receipt{MessageID: "2", Final: true, Delivered: true, Status: "DELIVRD", At: start}, texts.Receipt{MessageID: "3", Final: true, At: start})
		if len(got) != 4 {
			t.Fatalf("%d received", len(got))
		}
		for i, known := range []bool{true, false, true, true} {
			if got[i].Known != known {
				t.Errorf("receipt %d: known %v", i, got[i].Known)
			}
		}
		if got[0].Key != it.Key || got[0].Attempts != 1 || !got[0].Deadline.Equal(it.Deadline) {
			t.Errorf("got %+v", got[0])
		}
		if !got[3].Deadline.IsZero() || got[3].Attempts != 0 {
			t.Errorf("a text that is gone: %+v", got[3])
		}
		if got := receive(t, db, texts.Receipt{MessageID: "2", Final: true, Status: "UNDELIV", At: start}); !got[0].Known || !got[0].Repeated {
			t.Error("a second last word was taken")
		}
		var status string
		if err := storetest.SQL(t, db).QueryRow(`SELECT status FROM text_parts WHERE centre_id = '2'`).Scan(&status); err != nil || status != "DELIVRD" {
			t.Errorf("status %q, %v", status, err)
		}
		// The centre gives the id out again, after months: the older part is forgotten.
		err = db.Texts(ctx, func(ctx context.Context, tx texts.Tx) error {
			return tx.AddParts(ctx, []texts.Part{{CentreID: "2", Subject: "s", Ref: "new", SentAt: start.Add(time.Hour)}})
		})
		if err != nil {
			t.Fatal(err)
		}
		if got := receive(t, db, texts.Receipt{MessageID: "2", Final: true, At: start}); !got[0].Known || got[0].Ref != "new" {
			t.Errorf("got %+v", got)
		}
	})
}

func TestSearchesReplied(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		var keys []work.Key
		for _, status := range []search.Status{search.Collecting, search.Replying, search.Replied, search.Void} {
			x := aSearch("s", string(status))
			x.Status = status
			mustAddSearch(t, db, x)
			keys = append(keys, work.Key{Subject: "s", Ref: x.ID, Lane: work.Texts})
		}
		at := start.Add(time.Hour)
		if err := db.Texts(ctx, func(ctx context.Context, tx texts.Tx) error { return tx.SearchesReplied(ctx, at, keys) }); err != nil {
			t.Fatal(err)
		}
		for id, want := range map[string]search.Status{"collecting": search.Collecting, "replying": search.Replied, "replied": search.Replied, "void": search.Void} {
			x, _ := find(t, db, id)
			if x.Status != want || x.RepliedAt.Equal(at) != (id == "replying") {
				t.Errorf("%s: %s at %v", id, x.Status, x.RepliedAt)
			}
		}
	})
}

func TestFailOverdueTexts(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		at := start.Add(time.Hour)
		for _, test := range []struct {
			ref, lane     string
			due, deadline time.Duration
		}{
			{"overdue", work.Texts, 0, time.Hour},
			{"in time", work.Texts, 0, time.Hour + time.Microsecond},
			{"leased still", work.Texts, time.Hour + time.Microsecond, time.Hour},
			{"another lane", "app:qq", 0, time.Hour},
		} {
			it := item("s", test.ref, test.lane)
			it.Due, it.Deadline = start.Add(test.due), start.Add(test.deadline)
			addWork(t, db, it)
		}
		for _, want := range []int{1, 0} {
			err := db.Texts(ctx, func(ctx context.Context, tx texts.Tx) error {
				n, err := tx.FailOverdueTexts(ctx, at)
				if n != want {
					t.Errorf("%d failed, want %d", n, want)
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	})
}

// An entry is committed with the change that it tells of, or not at all; its id sorts by time.
func TestAddAudit(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		var entries []audit.Entry
		for i := range 20 {
			entries = append(entries, audit.Entry{At: start.Add(time.Duration(19-i) * time.Microsecond), Actor: "hub", Action: "a", Subject: "s",
				Ref: fmt.Sprint(19 - i), Detail: `清号 "x"`})
		}
		write(t, db, func(ctx context.Context, tx tx) error { return tx.AddAudit(ctx, entries...) })
		err := db.Write(ctx, func(ctx context.Context, tx tx) error {
			return errors.Join(tx.AddAudit(ctx, entries...), errWanted)
		})
		if !errors.Is(err, errWanted) {
			t.Fatal(err)
		}
		err = db.ReadAudit(ctx, func(ctx context.Context, trail audit.Trail) error {
			rows, err := trail.UnsealedAudit(ctx, 100)
			if len(rows) != 20 {
				t.Fatalf("%d rows", len(rows))
			}
			salts := map[string]bool{}
			for i, r := range rows {
				if r.Ref != fmt.Sprint(i) || !r.At.Equal(start.Add(time.Duration(i)*time.Microsecond)) || r.Detail != entries[0].Detail || len(r.Salt) != 16 || r.Hash != nil {
					t.Errorf("row %d: %+v", i, r)
				}
				salts[string(r.Salt)] = true
			}
			if len(salts) != 20 {
				t.Error("salts repeat")
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}
