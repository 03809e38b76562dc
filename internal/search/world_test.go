package search_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"regexp"
	"sync"
	"testing"
	"time"

	"untether/internal/catalog"
	"untether/internal/clock"
	"untether/internal/ident"
	"untether/internal/keys"
	"untether/internal/phone"
	"untether/internal/registry"
	"untether/internal/search"
	"untether/internal/store"
	"untether/internal/texts"
	"untether/internal/verification"
	"untether/internal/words"
	"untether/internal/work"
)

var (
	number = phone.MustParse("+8613800000001")
	silent = slog.New(slog.DiscardHandler)
	wide   = verification.Rate{Count: 1_000_000, Per: time.Minute, Burst: 1_000_000}
	web    = verification.Channel{ID: "web", Codes: wide, Guesses: wide}
)

// carriers answers identity matches as it is told; before each answer it may do something.
type carriers struct {
	mu     sync.Mutex
	match  search.Match
	err    error
	before func()
}

func (c *carriers) Match(context.Context, phone.Number, ident.LastSix) (search.Match, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.before != nil {
		c.before()
	}
	return c.match, c.err
}

// world is the rules on a real database, with nobody closing searches but the test.
type world struct {
	*search.Service
	t        *testing.T
	db       *store.DB
	clock    *clock.Movable
	carriers *carriers
	registry *registry.Registry
}

func newWorld(t *testing.T, db *store.DB) *world {
	t.Helper()
	ring, err := keys.New(keys.Generate())
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, db: db, clock: &clock.Movable{}}
	w.carriers = &carriers{match: search.Match{Matched: true, TenureID: "t1", TenureStart: w.clock.Now().AddDate(-1, 0, 0)}}
	bells := &work.Bells{}
	w.registry = &registry.Registry{Store: db, Keys: ring, Clock: w.clock, Carriers: []registry.Carrier{{ID: "alpha", Prefixes: []string{"+86138"}}}}
	w.Service = &search.Service{Store: db, Keys: ring, Clock: w.clock, Bells: bells, Carriers: w.carriers, Catalog: catalog.Default(), Reply: style,
		Verifier: &verification.Verifier{Store: db, Keys: ring, Clock: w.clock, Bells: bells, ShortCode: "10699000"}}
	return w
}

var style = search.ReplyStyle{ShortCode: "10699000", Place: time.UTC,
	Service: map[words.Language]string{words.ZhCN: "微信公众号“清号”", words.En: "WeChat account Qinghao"},
	Menu:    map[words.Language]string{words.ZhCN: "我的查询", words.En: "My searches"}}

func lastSix(t *testing.T) ident.LastSix {
	t.Helper()
	last, err := ident.ParseLastSix("31002X")
	if err != nil {
		t.Fatal(err)
	}
	return last
}

// request asks for a code, reads it, and makes the request for a search with it.
func (w *world) request(apps ...string) search.Request {
	w.t.Helper()
	ticket, err := w.RequestCode(w.t.Context(), web, number, words.En, "")
	if err != nil {
		w.t.Fatal(err)
	}
	sent := w.texts()
	return search.Request{CodeID: ticket.ID, Code: regexp.MustCompile(`\d{6}`).FindString(sent[len(sent)-1].Text), LastSix: lastSix(w.t), Apps: apps, Language: words.En}
}

func (w *world) start(apps ...string) search.Started {
	w.t.Helper()
	started, err := w.Start(w.t.Context(), web, w.request(apps...))
	if err != nil {
		w.t.Fatal(err)
	}
	return started
}

func (w *world) key(s search.Started) search.Key {
	return search.Key{Subject: w.Keys.Subject(number), ID: s.ID}
}

// texts hands over what is due in the lane of texts.
func (w *world) texts() []texts.Payload {
	w.t.Helper()
	var got []texts.Payload
	now := w.clock.Now()
	err := w.db.Texts(w.t.Context(), func(ctx context.Context, tx texts.Tx) error {
		got = nil
		items, err := tx.LeaseWork(ctx, work.Texts, now, now.Add(time.Minute), 100)
		for _, item := range items {
			plain, openErr := w.Keys.Open(texts.SealContext(item.Key), item.Payload)
			var p texts.Payload
			jsonErr := json.Unmarshal(plain, &p)
			got = append(got, p)
			_, doneErr := tx.FinishWork(ctx, now, []work.Result{{Key: item.Key, State: work.Done, Outcome: `"sent"`}})
			err = errors.Join(err, openErr, jsonErr, doneErr)
			if item.Kind == texts.KindReply {
				err = errors.Join(err, tx.SearchesReplied(ctx, now, []work.Key{item.Key}))
			}
		}
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return got
}

// answer leases an app's tasks and answers each with the counts.
func (w *world) answer(app string, c search.Counts) {
	w.t.Helper()
	tasks, err := w.LeaseTasks(w.t.Context(), app, 10, 0)
	if err != nil || len(tasks) == 0 {
		w.t.Fatalf("%s leased %d tasks, %v", app, len(tasks), err)
	}
	for _, task := range tasks {
		verdicts, err := w.TakeAnswers(w.t.Context(), app, []search.Answer{{ID: task.ID, Kind: search.KindCount, Counts: c}})
		if err != nil || !verdicts[0].Accepted {
			w.t.Fatalf("%+v, %v", verdicts, err)
		}
	}
}

func (w *world) close(s search.Started) {
	w.t.Helper()
	if err := w.Close(w.t.Context(), []search.Key{w.key(s)}); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) read(s search.Started) search.Report {
	w.t.Helper()
	r, err := w.Read(w.t.Context(), s.ID, s.AccessToken)
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}
