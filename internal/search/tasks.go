package search

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"untether/internal/audit"
	"untether/internal/clock"
	"untether/internal/phone"
	"untether/internal/work"
)

// KindCount asks an app how many accounts are bound to a number.
const KindCount = "count"

// Limits of the app protocol.
const (
	LeaseMax    = 1000                  // tasks in one lease, results in one answer
	LeaseWait   = 20 * time.Second      // how long an empty lease may wait
	countMax    = 10_000                // more accounts than this at one number in one app is nonsense
	lookEvery   = 5 * time.Second       // for tasks that another replica put into a lane
	gatherFor   = 20 * time.Millisecond // how long the first of many is held, so that one transaction serves them all
	handleMax   = 128                   // characters of a task's id
	detailRefs  = 200                   // refs named in one audit entry
	taskContext = "task/"
)

// Task is one question to an app.
type Task struct {
	ID          string // opaque to the app
	Kind        string
	Number      phone.Number
	TenureStart time.Time
	Deadline    time.Time // an answer after it comes too late for the text
}

// taskPayload is what the item of a task holds, sealed.
type taskPayload struct {
	Number      string `json:"n"`
	TenureStart int64  `json:"s"` // microseconds since 1970
	Deadline    int64  `json:"d"`
}

// tasks makes an item for every app of a search. All hold the same payload, sealed once.
func (s *Service) tasks(x Search, n phone.Number) ([]work.Item, error) {
	plain, err := json.Marshal(taskPayload{n.E164(), x.TenureStart.UnixMicro(), x.Deadline.UnixMicro()})
	if err != nil {
		return nil, err
	}
	payload := s.Keys.Seal(taskContext+x.ID, plain)
	items := make([]work.Item, len(x.Apps))
	for i, app := range x.Apps {
		items[i] = work.Item{Key: work.Key{Subject: x.Subject, Ref: x.ID, Lane: work.AppLane(app)}, Kind: KindCount, Tenure: x.Tenure,
			Payload: payload, Due: x.RequestedAt, Deadline: x.RequestedAt.Add(ReadableFor)}
	}
	return items, nil
}

// LeaseTasks gives an app up to max tasks, and waits for the first one up to wait. What is not answered by the end of the
// lease is offered again.
func (s *Service) LeaseTasks(ctx context.Context, app string, max int, wait time.Duration) ([]Task, error) {
	max = min(max, LeaseMax)
	lane := work.AppLane(app)
	until := s.Clock.Now().Add(min(wait, LeaseWait))
	for {
		bell := s.Bells.Listen(lane)
		items, err := s.lease(ctx, lane, max)
		if err != nil || len(items) > 0 {
			return s.openTasks(items, err)
		}
		if !s.waitForTasks(ctx, bell, until) {
			return nil, nil
		}
	}
}

func (s *Service) lease(ctx context.Context, lane string, max int) (items []work.Item, err error) {
	now := s.Clock.Now()
	lease := s.Lease
	if lease == 0 {
		lease = LeaseDefault
	}
	err = s.Store.Search(ctx, func(ctx context.Context, tx Tx) (err error) {
		items, err = tx.LeaseWork(ctx, lane, now, now.Add(lease), max)
		return err
	})
	return items, err
}

// waitForTasks tells whether it is worth looking again.
func (s *Service) waitForTasks(ctx context.Context, bell <-chan struct{}, until time.Time) bool {
	now := s.Clock.Now()
	if !now.Before(until) {
		return false
	}
	look := now.Add(lookEvery)
	if until.Before(look) {
		look = until
	}
	if await(ctx, s.Clock, look, bell) != nil {
		return false
	}
	clock.Wait(ctx, s.Clock, s.Clock.Now().Add(gatherFor))
	return true
}

// await returns at the bell or at the instant, with an error only when ctx ends.
func await(ctx context.Context, c clock.Clock, until time.Time, bell <-chan struct{}) error {
	reached, stop := c.At(until)
	defer stop()
	select {
	case <-bell:
	case <-reached:
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

func (s *Service) openTasks(items []work.Item, err error) ([]Task, error) {
	if err != nil {
		return nil, err
	}
	tasks := make([]Task, len(items))
	for i, item := range items {
		if tasks[i], err = s.openTask(item); err != nil {
			return nil, err
		}
	}
	return tasks, nil
}

func (s *Service) openTask(item work.Item) (Task, error) {
	plain, err := s.Keys.Open(taskContext+item.Ref, item.Payload)
	if err != nil {
		return Task{}, err
	}
	var p taskPayload
	if err := json.Unmarshal(plain, &p); err != nil {
		return Task{}, err
	}
	n, err := phone.Parse(p.Number)
	return Task{ID: handle(item.Key), Kind: item.Kind, Number: n, TenureStart: time.UnixMicro(p.TenureStart),
		Deadline: time.UnixMicro(p.Deadline)}, err
}

// handle is a task's id on the wire. The lane is not in it: it comes from the app's own credential, so that no app can answer
// for another.
func handle(k work.Key) string {
	return base64.RawURLEncoding.EncodeToString([]byte(k.Subject + "." + k.Ref))
}

func keyOf(id, app string) (work.Key, bool) {
	if len(id) > handleMax {
		return work.Key{}, false
	}
	plain, err := base64.RawURLEncoding.DecodeString(id)
	if err != nil {
		return work.Key{}, false
	}
	subject, ref, ok := strings.Cut(string(plain), ".")
	if !ok || !isName(subject) || !isName(ref) {
		return work.Key{}, false
	}
	return work.Key{Subject: subject, Ref: ref, Lane: work.AppLane(app)}, true
}

// isName tells whether s can be a name that the hub made (base64url). What an app made up must not reach the database, which
// refuses some bytes and with them the whole batch.
func isName(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(c rune) bool {
		return !(c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '-' || c == '_')
	})
}

// Answer is one result from an app, as it came.
type Answer struct {
	ID      string
	Kind    string
	Counts  Counts
	Missing bool // a count was not given
}

// Verdict tells an app what became of one of its results.
type Verdict struct {
	ID       string
	Accepted bool
	Code     string // why not: NOT_FOUND, CONFLICT, INVALID_ARGUMENT
	Message  string
}

// nonsense says what is wrong with an answer; empty: nothing.
func (a Answer) nonsense() string {
	switch {
	case a.Kind != KindCount:
		return "The outcome must be count: that is what was asked."
	case a.Missing:
		return "accounts, left and undated must all be given."
	case min(a.Counts.Accounts, a.Counts.Left, a.Counts.Undated) < 0:
		return "A count cannot be negative."
	case max(a.Counts.Accounts, a.Counts.Left, a.Counts.Undated) > countMax:
		return fmt.Sprintf("A count above %d is not believed.", countMax)
	}
	return ""
}

// TakeAnswers records an app's results. One that is nonsense ends the task as failed and is reported; one that comes twice
// counts once.
func (s *Service) TakeAnswers(ctx context.Context, app string, answers []Answer) ([]Verdict, error) {
	verdicts := make([]Verdict, len(answers))
	var results []work.Result
	var places []int // of results in answers
	for i, a := range answers {
		verdicts[i].ID = a.ID
		key, ok := keyOf(a.ID, app)
		if !ok {
			verdicts[i].refuse(codeUnknown, "There is no such task.")
			continue
		}
		result, why := outcome(key, a)
		if why != "" {
			verdicts[i].refuse(codeNonsense, why)
		}
		results, places = append(results, result), append(places, i)
	}
	now := s.Clock.Now()
	var was []work.State
	err := s.Store.Search(ctx, func(ctx context.Context, tx Tx) (err error) {
		if was, err = tx.FinishWork(ctx, now, results); err != nil {
			return err
		}
		return tx.AddAudit(ctx, answerEntries(app, results, was, now)...)
	})
	if err != nil {
		return nil, err
	}
	var touched []Key
	nonsense, why := 0, ""
	for j, state := range was {
		v := &verdicts[places[j]]
		if state == work.Open {
			touched = append(touched, Key{results[j].Subject, results[j].Ref})
			if results[j].State == work.Failed {
				nonsense, why = nonsense+1, v.Message
			}
		}
		v.settle(state)
	}
	s.reportNonsense(app, nonsense, why)
	s.closer.touch(touched)
	return verdicts, nil
}

// reportNonsense tells whoever runs the hub that an app answered what cannot be believed.
func (s *Service) reportNonsense(app string, tasks int, why string) {
	if tasks == 0 {
		return
	}
	s.counts.Nonsense.Add(int64(tasks))
	if s.Log != nil {
		s.Log.Warn("an app's answers are not believed; it counts as failed in these searches", "app", app, "tasks", tasks, "why", why)
	}
}

// settle completes a verdict by the state in which the task was found. A repetition is accepted and changes nothing.
func (v *Verdict) settle(was work.State) {
	switch {
	case was == "":
		v.refuse(codeUnknown, "There is no such task.")
	case was == work.Void:
		v.refuse(codeVoid, "The task is void: the number's tenure ended.")
	case v.Code == "":
		v.Accepted = true
	}
}

// Why a result is not accepted.
const (
	codeUnknown  = "NOT_FOUND"
	codeVoid     = "CONFLICT"
	codeNonsense = "INVALID_ARGUMENT"
)

func (v *Verdict) refuse(code, message string) { v.Accepted, v.Code, v.Message = false, code, message }

func outcome(key work.Key, a Answer) (work.Result, string) {
	if why := a.nonsense(); why != "" {
		return work.Result{Key: key, State: work.Failed, Outcome: `"nonsense"`}, why
	}
	text, _ := json.Marshal(a.Counts) // three integers
	return work.Result{Key: key, State: work.Done, Outcome: string(text)}, ""
}

// answerEntries tells of a batch of answers in as few rows as hold its refs.
func answerEntries(app string, results []work.Result, was []work.State, now time.Time) []audit.Entry {
	refs := map[work.State][]string{}
	for i, r := range results {
		if was[i] == work.Open {
			refs[r.State] = append(refs[r.State], r.Ref)
		}
	}
	var entries []audit.Entry
	for state, action := range map[work.State]string{work.Done: "tasks.answered", work.Failed: "tasks.nonsense"} {
		for r := refs[state]; len(r) > 0; r = r[min(detailRefs, len(r)):] {
			entries = append(entries, audit.Entry{At: now, Actor: "app:" + app, Action: action,
				Detail: strings.Join(r[:min(detailRefs, len(r))], " ")})
		}
	}
	return entries
}
