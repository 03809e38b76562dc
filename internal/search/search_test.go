package search_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"untether/internal/fault"
	"untether/internal/registry"
	"untether/internal/search"
	"untether/internal/store"
	"untether/internal/store/storetest"
	"untether/internal/tenure"
	"untether/internal/work"
)

func TestExactlyOneCloserWins(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db)
		s := w.start("alipay", "wechat")
		w.answer("alipay", search.Counts{Accounts: 1})
		w.close(s)
		if sent := w.texts(); len(sent) != 0 {
			t.Fatalf("closed before every app answered: %q", sent[0].Text)
		}
		w.answer("wechat", search.Counts{Left: 2})
		var closers sync.WaitGroup
		for range 16 {
			closers.Go(func() {
				if err := w.Close(t.Context(), []search.Key{w.key(s)}); err != nil {
					t.Error(err)
				}
			})
		}
		closers.Wait()
		if sent := w.texts(); len(sent) != 1 || w.Counts().Closed.Load() != 1 {
			t.Errorf("%d texts, %d closed", len(sent), w.Counts().Closed.Load())
		}
		if r := w.read(s); r.Status != search.Replied || r.RepliedAt.IsZero() {
			t.Errorf("%+v", r)
		}
	})
}

// The running service closes at the deadline, also what another process left behind, and right after the last answer.
func TestRunCloses(t *testing.T) {
	w := newWorld(t, storetest.Open(t))
	w.start("alipay") // answered, but whoever took the answer died before closing
	w.answer("alipay", search.Counts{Accounts: 3})
	behind := newWorld(t, w.db)
	behind.Keys, behind.Verifier, behind.clock, behind.Service.Clock = w.Keys, w.Verifier, w.clock, w.clock
	run(t, behind)
	if text := awaitText(t, behind); !strings.Contains(text, "Alipay 3") {
		t.Errorf("%q", text)
	}
	w.clock.Advance(25 * time.Hour)
	due := behind.start("alipay", "qq")
	behind.answer("alipay", search.Counts{Accounts: 1})
	w.clock.Advance(search.ReplyWithin)
	text := awaitText(t, behind)
	if !strings.Contains(text, "Alipay 1") || !strings.Contains(text, "No answer: QQ") {
		t.Errorf("%q", text)
	}
	behind.answer("qq", search.Counts{Accounts: 9}) // late
	r := behind.read(due)
	if r.Apps[1].Status != search.Late || r.Apps[1].Accounts != 9 {
		t.Errorf("%+v", r.Apps)
	}
	if sent := behind.texts(); len(sent) != 0 {
		t.Errorf("a late answer sent %q", sent[0].Text)
	}
}

func run(t *testing.T, w *world) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- w.Run(ctx, silent) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func awaitText(t *testing.T, w *world) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for {
		bell := w.Bells.Listen("text")
		if sent := w.texts(); len(sent) > 0 {
			return sent[0].Text
		}
		select {
		case <-bell:
		case <-ctx.Done():
			t.Fatal("no text came")
		}
	}
}

func (w *world) end(tenureID string) {
	w.t.Helper()
	_, err := w.registry.Take(w.t.Context(), "alpha", []registry.Reported{{Sequence: 1, Number: number, Type: tenure.Cancelled, At: w.clock.Now(), TenureID: tenureID}}, time.Time{})
	if err != nil {
		w.t.Fatal(err)
	}
}

func TestVoidSendsNothing(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db)
		collecting := w.start("alipay")
		w.end("t1")
		w.close(collecting)
		w.clock.Advance(search.ReplyWithin)
		w.close(collecting)
		if sent := w.texts(); len(sent) != 0 {
			t.Errorf("sent %q", sent[0].Text)
		}
		if r := w.read(collecting); r.Status != search.Void || !r.RepliedAt.IsZero() || r.Apps[0].Status != search.Pending {
			t.Errorf("%+v", r)
		}
	})
	storetest.Each(t, func(t *testing.T, db *store.DB) { // composed already, but not handed over
		w := newWorld(t, db)
		s := w.start("alipay")
		w.answer("alipay", search.Counts{Accounts: 4})
		w.close(s)
		w.end("t1")
		if sent := w.texts(); len(sent) != 0 {
			t.Errorf("sent %q", sent[0].Text)
		}
		if r := w.read(s); r.Status != search.Void || r.Apps[0].Counts != (search.Counts{}) {
			t.Errorf("a void search tells %+v", r)
		}
	})
}

// The carrier's yes can be older than its report that the tenure ended.
func TestTenureEndsBetweenMatchAndAcceptance(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db)
		request := w.request("alipay")
		w.carriers.before = func() { w.end("t1") }
		if _, err := w.Start(t.Context(), web, request); !fault.Is(err, "IDENTITY_NOT_MATCHED") && !fault.Is(err, "CODE_NOT_ACCEPTED") {
			t.Errorf("%v", err)
		}
		if tasks, err := w.LeaseTasks(t.Context(), "alipay", 10, 0); err != nil || len(tasks) != 0 {
			t.Errorf("%d tasks, %v", len(tasks), err)
		}
	})
}

func TestReading(t *testing.T) {
	w := newWorld(t, storetest.Open(t))
	s := w.start("alipay")
	for name, c := range map[string]struct{ id, token string }{
		"another search": {"AAAAAAAAAAAAAAAA", s.AccessToken},
		"another token":  {s.ID, strings.Repeat("A", len(s.AccessToken))},
		"no token":       {s.ID, ""},
		"longer":         {s.ID, s.AccessToken + "A"},
	} {
		if _, err := w.Read(t.Context(), c.id, c.token); !errors.Is(err, search.ErrNotFound) {
			t.Errorf("%s: %v", name, err)
		}
	}
	w.clock.Advance(search.ReadableFor - time.Minute)
	w.read(s)
	w.clock.Advance(time.Minute)
	if _, err := w.Read(t.Context(), s.ID, s.AccessToken); !errors.Is(err, search.ErrNotFound) {
		t.Errorf("read after %v: %v", search.ReadableFor, err)
	}
}

func TestAskingAgain(t *testing.T) {
	w := newWorld(t, storetest.Open(t))
	first := w.start("alipay")
	w.clock.Advance(2 * time.Minute)
	if again := w.start("qq"); again.ID != first.ID || again.AccessToken != first.AccessToken {
		t.Error("a running search was not shared")
	}
	w.clock.Advance(2 * time.Minute)
	request := w.request("qq")
	w.answer("alipay", search.Counts{})
	w.close(first)
	if again, err := w.Start(t.Context(), web, request); err != nil || again.ID != first.ID || again.Status != search.Collecting {
		t.Errorf("while its text is on its way: %+v, %v", again, err)
	}
	w.clock.Advance(2 * time.Minute)
	var f *fault.Error
	if _, err := w.Start(t.Context(), web, w.request()); !errors.As(err, &f) || f.Code != "SEARCH_TOO_SOON" || f.RetryAfter <= 23*time.Hour || f.RetryAfter >= 24*time.Hour {
		t.Errorf("%v", err)
	}
	w.carriers.match.TenureID = "t2" // another holder owes nothing to the former one's searches
	w.clock.Advance(2 * time.Minute)
	if other := w.start("qq"); other.ID == first.ID {
		t.Error("a search of another tenure was shared")
	}
}

// A text that can never be handed over does not keep a tenure from searching for ever.
func TestUnsentReplyDoesNotBlock(t *testing.T) {
	w := newWorld(t, storetest.Open(t))
	first := w.start("alipay")
	w.clock.Advance(search.ReadableFor)
	w.close(first) // its text is never handed over
	if err := w.db.Write(t.Context(), func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.FinishWork(ctx, w.clock.Now(), []work.Result{{Key: work.Key{Subject: w.key(first).Subject, Ref: first.ID, Lane: work.Texts}, State: work.Failed}})
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if second := w.start("alipay"); second.ID == first.ID || second.Status != search.Collecting {
		t.Errorf("%+v", second)
	}
}

func TestParallelStartsBeginOneSearch(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		w := newWorld(t, db)
		request := w.request("alipay")
		ids := make([]string, 2)
		var starts sync.WaitGroup
		for i := range ids {
			starts.Go(func() {
				s, err := w.Start(t.Context(), web, request)
				if err != nil {
					t.Error(err)
				}
				ids[i] = s.ID
			})
		}
		starts.Wait()
		if ids[0] != ids[1] || w.Counts().Accepted.Load() != 1 {
			t.Errorf("%v, %d accepted", ids, w.Counts().Accepted.Load())
		}
	})
}

func TestLeases(t *testing.T) {
	w := newWorld(t, storetest.Open(t))
	w.start("alipay")
	lease := func() int {
		t.Helper()
		tasks, err := w.LeaseTasks(t.Context(), "alipay", 10, 0)
		if err != nil {
			t.Fatal(err)
		}
		return len(tasks)
	}
	if n := lease(); n != 1 {
		t.Fatalf("%d tasks", n)
	}
	if n := lease(); n != 0 {
		t.Errorf("%d tasks within the lease", n)
	}
	w.clock.Advance(search.LeaseDefault)
	if n := lease(); n != 1 {
		t.Errorf("%d tasks after the lease", n)
	}
	w.clock.Advance(search.ReadableFor)
	if n := lease(); n != 0 {
		t.Errorf("%d tasks after the search's life", n)
	}
}

// A waiting lease is woken by the task that it waits for.
func TestLeaseWaits(t *testing.T) {
	w := newWorld(t, storetest.Open(t))
	request := w.request("alipay")
	got := make(chan int)
	go func() {
		tasks, _ := w.LeaseTasks(t.Context(), "alipay", 10, search.LeaseWait)
		got <- len(tasks)
	}()
	if _, err := w.Start(t.Context(), web, request); err != nil {
		t.Fatal(err)
	}
	if n := <-got; n != 1 {
		t.Errorf("%d tasks", n)
	}
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		tasks, _ := w.LeaseTasks(ctx, "alipay", 10, search.LeaseWait)
		got <- len(tasks)
	}()
	cancel()
	if n := <-got; n != 0 {
		t.Errorf("%d tasks for one who went away", n)
	}
}
