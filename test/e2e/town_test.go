package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"

	"untether/internal/demo"
)

// town is a whole demo in this process: a hub, a country, one clock for both.
type town struct {
	world
	*demo.Demo
}

// openTown starts a demo of so many people on an empty database, and takes it down when the test ends.
func openTown(t *testing.T, database string, people int) *town {
	t.Helper()
	since := system.Now()
	d, err := demo.Open(t.Context(), demo.Options{Listen: "127.0.0.1:0", Dir: t.TempDir(), Database: database, People: people})
	check(t, err)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	w := &town{world{hub: d.URL(), country: d.URL(), ops: d.Hub.OpsURL()}, d}
	eventually(t, "the SMS centre is bound", func() (bool, error) {
		bound, err := w.metric(t.Context(), "untether_sms_centre_bound")
		return bound == 1, err
	})
	informed(t, database, len(d.Country.Setup().Carriers), since)
	return w
}

// some gives n people for whom it holds and whose handsets can be reached.
func (w *world) some(ctx context.Context, n int, holds func(person) bool) ([]person, error) {
	all, err := w.people(ctx, "")
	if err != nil {
		return nil, err
	}
	var some []person
	for _, p := range all {
		if len(some) == n {
			break
		}
		if !holds(p) {
			continue
		}
		if err := w.resume(ctx, p.PhoneNumber); err != nil {
			return nil, err
		}
		some = append(some, p)
	}
	if len(some) < n {
		return nil, fmt.Errorf("%d such people in the country, %d are wanted", len(some), n)
	}
	return some, nil
}

// resume ends a suspension, which the country does not show; a number that is not suspended stays as it is.
func (w *world) resume(ctx context.Context, number string) error {
	err := w.act(ctx, number, "resumed", "", "")
	var no *refusal
	if errors.As(err, &no) && no.Status == http.StatusConflict {
		return nil
	}
	return err
}

// users are people with an account at an app.
func (w *world) users(t testing.TB, n int, app string) []person {
	t.Helper()
	return must(w.some(t.Context(), n, func(p person) bool { return p.Accounts[app].Accounts > 0 }))(t)
}
