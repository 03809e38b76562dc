package search

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"time"

	"untether/internal/phone"
	"untether/internal/work"
)

// AppStatus is how far an app is with its answer.
type AppStatus string

// The statuses of an app within a search.
const (
	Pending  AppStatus = "pending"  // no answer yet; one is still taken while the search can be read
	Answered AppStatus = "answered" // in time
	Late     AppStatus = "late"     // after the deadline: in the report, not in the text
	Failed   AppStatus = "failed"   // it answered nonsense, which is not believed
)

// Counts is an app's answer.
type Counts struct {
	Accounts int `json:"accounts"` // bound within the present tenure
	Left     int `json:"left"`     // bound before it
	Undated  int `json:"undated"`  // nobody can tell
}

// AppReport is one app's part of a report; the counts are zero until it answered.
type AppReport struct {
	App    string
	Status AppStatus
	Counts
}

// Report is what a search has found so far. A void one tells nothing.
type Report struct {
	ID          string
	Status      Status // collecting, replied or void
	RequestedAt time.Time
	Deadline    time.Time
	RepliedAt   time.Time    // zero until the text was handed over
	Number      phone.Number // for showing it masked
	Apps        []AppReport
}

// Read gives the report to whoever holds the search's access token, for ReadableFor. Unknown, wrong and outdated are one
// answer: ErrNotFound.
func (s *Service) Read(ctx context.Context, id, accessToken string) (Report, error) {
	if subtle.ConstantTimeCompare([]byte(accessToken), []byte(s.accessToken(id))) != 1 {
		return Report{}, ErrNotFound
	}
	var found Search
	var items [][]work.Item
	err := s.Store.ReadSearch(ctx, func(ctx context.Context, tx Tx) error {
		var ok bool
		var err error
		found, ok, err = tx.FindSearch(ctx, id)
		if err != nil {
			return err
		}
		if !ok || !s.Clock.Now().Before(found.RequestedAt.Add(ReadableFor)) {
			return ErrNotFound
		}
		items, err = tx.Tasks(ctx, []Key{{found.Subject, found.ID}})
		return err
	})
	if err != nil {
		return Report{}, err
	}
	return s.report(found, items[0])
}

func (s *Service) report(x Search, items []work.Item) (Report, error) {
	number, err := s.openNumber(x)
	if err != nil {
		return Report{}, err
	}
	r := Report{ID: x.ID, Status: public(x.Status), RequestedAt: x.RequestedAt, Deadline: x.Deadline, RepliedAt: x.RepliedAt, Number: number}
	if x.Status == Void {
		r.RepliedAt = time.Time{}
	}
	for _, app := range reportApps(x, items) {
		if x.Status == Void {
			app.Status, app.Counts = Pending, Counts{}
		}
		r.Apps = append(r.Apps, app)
	}
	return r, nil
}

// reportApps reads the tasks' outcomes in the order in which the search lists the apps.
func reportApps(x Search, items []work.Item) []AppReport {
	byLane := make(map[string]work.Item, len(items))
	for _, item := range items {
		byLane[item.Lane] = item
	}
	reports := make([]AppReport, len(x.Apps))
	for i, app := range x.Apps {
		reports[i] = appReport(app, byLane[work.AppLane(app)], x.Deadline)
	}
	return reports
}

func appReport(app string, item work.Item, deadline time.Time) AppReport {
	r := AppReport{App: app, Status: Pending}
	switch item.State {
	case work.Done:
		if json.Unmarshal([]byte(item.Outcome), &r.Counts) != nil {
			r.Status = Failed
			break
		}
		r.Status = Answered
		if item.DoneAt.After(deadline) {
			r.Status = Late
		}
	case work.Failed:
		r.Status = Failed
	}
	return r
}

func (s *Service) openNumber(x Search) (phone.Number, error) {
	plain, err := s.Keys.Open(x.Subject, x.Number)
	if err != nil {
		return phone.Number{}, err
	}
	return phone.Parse(string(plain))
}
