// Package apps is the country's sixteen apps. Each has its own SQLite file with accounts in its own shape, a connector
// that answers the hub from it, and a log-in by text message.
//
// They guarantee that a connector's answer, the truth that the sandbox shows and the files agree. They do not guard their
// log-in: a code sent to a number opens the account that is bound to it, whoever left it there. That is the hole which
// Untether is about, shown as it is today.
package apps

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"

	"untether/internal/catalog"
	"untether/internal/clock"
	"untether/internal/fault"
	"untether/internal/phone"
	"untether/internal/sandbox/caller"
	"untether/internal/sandbox/people"
	"untether/internal/sms"
	"untether/internal/tenure"
)

// Options says what the apps are made of.
type Options struct {
	Dir     string // for the SQLite files; made when missing. Files of an earlier start are kept as they are
	Catalog *catalog.Catalog
	Country *people.Country
	Clock   clock.Clock
	Log     *slog.Logger
	SMS     func(app string) sms.Config // how the app binds with the SMS centre
}

// Apps is all of them.
type Apps struct {
	all []*App
}

// App is one.
type App struct {
	catalog.App
	database *database
	clock    clock.Clock
	log      *slog.Logger
	sender   *sender
	logins   logins

	mu        sync.Mutex
	behaviour Behaviour
	present   *shift // nil while none runs
}

// ErrNoApp is for an app that is not in the catalogue.
var ErrNoApp = fault.New(fault.NotFound, "NOT_FOUND", "There is no such app in this country.")

// Open makes or opens every app's database. Connectors start with Serve.
func Open(ctx context.Context, o Options) (*Apps, error) {
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, err
	}
	accounts := map[string][]people.Account{}
	for _, a := range o.Country.Accounts {
		accounts[a.App] = append(accounts[a.App], a)
	}
	apps := &Apps{}
	for i, entry := range o.Catalog.Apps() {
		d, err := openDatabase(ctx, o.Dir, entry.ID, accounts[entry.ID])
		if err != nil {
			apps.Close()
			return nil, err
		}
		log := o.Log.With("app", entry.ID)
		apps.all = append(apps.all, &App{App: entry, database: d, clock: o.Clock, log: log, behaviour: Normal,
			sender: newSender(fmt.Sprintf("1069%04d", i+1), o.SMS(entry.ID), o.Clock, log)})
	}
	return apps, nil
}

// Close ends the binds with the SMS centre and closes the files. Serve must have returned.
func (a *Apps) Close() {
	for _, app := range a.all {
		app.sender.close()
		_ = app.database.db.Close()
	}
}

// Find gives an app by its id.
func (a *Apps) Find(id string) (*App, error) {
	i := slices.IndexFunc(a.all, func(app *App) bool { return app.ID == id })
	if i < 0 {
		return nil, ErrNoApp
	}
	return a.all[i], nil
}

// Serve runs every app's connector against the hub until ctx ends and all have stopped.
func (a *Apps) Serve(ctx context.Context, hub string, credential func(app string) caller.Credential) {
	var running sync.WaitGroup
	for _, app := range a.all {
		running.Go(func() { app.serve(ctx, hub, credential(app.ID)) })
	}
	running.Wait()
}

// Truth counts, for every number with the instant at which its tenure began, what each app's database holds. Apps
// without an account of a number are not named.
func (a *Apps) Truth(ctx context.Context, starts map[phone.Number]time.Time) (map[phone.Number]map[string]people.Counts, error) {
	truth := make(map[phone.Number]map[string]people.Counts, len(starts))
	numbers := make([]phone.Number, 0, len(starts))
	for n := range starts {
		numbers = append(numbers, n)
		truth[n] = map[string]people.Counts{}
	}
	for _, app := range a.all {
		found, err := app.database.find(ctx, numbers)
		if err != nil {
			return nil, err
		}
		of := map[phone.Number][]tenure.Binding{}
		for _, b := range found {
			of[b.number] = append(of[b.number], b.binding())
		}
		for n, bindings := range of {
			truth[n][app.ID] = people.Count(bindings, starts[n])
		}
	}
	return truth, nil
}
