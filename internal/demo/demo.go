// Package demo joins a hub and the sandbox's country on one machine: everything on loopback, state in one directory, and
// the country's clock for both. `untether demo` and the end-to-end tests run it.
//
// It guarantees that the hub is the one that `serve` runs (the country is to it what any hub's peers are), and that nothing
// can be reached from another machine. It promises nothing about secrets: the country hands them out to whoever asks.
package demo

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"untether/internal/access"
	"untether/internal/catalog"
	"untether/internal/clock"
	"untether/internal/hub"
	"untether/internal/keys"
	"untether/internal/portal"
	"untether/internal/sandbox"
	"untether/internal/sms"
	"untether/internal/verification"
)

// Options says what demo to make. The zero value is `untether demo` without flags.
type Options struct {
	Listen   string       // loopback only; default ListenDefault
	Dir      string       // keeps the state; default: a temporary one that Run removes when it ends
	Database string       // of the hub, see store.Open; default: a SQLite file in Dir
	Seed     uint64       // of a country that is made afresh; default SeedDefault
	People   int          // how many, when it is made afresh; default people.CountDefault
	Log      *slog.Logger // default: none
	// Adjust, when given, may change what the hub is opened with.
	Adjust func(*hub.Options)
}

// Defaults of Options.
const (
	ListenDefault = "127.0.0.1:8080"
	SeedDefault   = 2026
)

// lease is short, so that a connector that was made to fail is seen to be asked again while somebody watches.
const lease = 15 * time.Second

// ErrNotLoopback says that a demo was to be opened to other machines.
var ErrNotLoopback = errors.New("the demo listens on loopback only: it gives out made-up people's codes and every credential " +
	"to whoever asks; use 127.0.0.1, [::1] or localhost")

// Demo is a hub and its country, ready to run.
type Demo struct {
	Hub     *hub.Hub
	Country *sandbox.Country
	Clock   *clock.Movable // of both
	Dir     string         // where the state is

	temporary bool
}

// Open makes the country and the hub and takes the address; Run makes them work. After an error nothing is left behind;
// after success Run must be called, also to take the demo down.
func Open(ctx context.Context, o Options) (*Demo, error) {
	o = o.withDefaults()
	if !hub.Loopback(o.Listen) {
		return nil, ErrNotLoopback
	}
	d := &Demo{Clock: &clock.Movable{}, Dir: o.Dir}
	if err := d.makeDir(); err != nil {
		return nil, fmt.Errorf("the demo's directory: %w", err)
	}
	if err := d.open(ctx, o); err != nil {
		return nil, errors.Join(err, d.remove())
	}
	return d, nil
}

func (o Options) withDefaults() Options {
	if o.Listen == "" {
		o.Listen = ListenDefault
	}
	if o.Seed == 0 {
		o.Seed = SeedDefault
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

func (d *Demo) makeDir() (err error) {
	if d.Dir != "" {
		return os.MkdirAll(d.Dir, 0o700)
	}
	d.temporary = true
	d.Dir, err = os.MkdirTemp("", "untether-demo-")
	return err
}

func (d *Demo) open(ctx context.Context, o Options) error {
	ring, _, err := keys.LoadOrCreate(filepath.Join(d.Dir, "root.key"))
	if err != nil {
		return err
	}
	country, err := sandbox.Open(ctx, sandbox.Options{Dir: filepath.Join(d.Dir, "country"), Clock: d.Clock, Seed: o.Seed,
		People: o.People, Log: o.Log.With("part", "sandbox")})
	if err != nil {
		return err
	}
	d.Country = country
	options := hubOptions(o, country, ring, d.Clock)
	if options.Database == "" {
		options.Database = filepath.Join(d.Dir, "hub.db")
	}
	if o.Adjust != nil {
		o.Adjust(&options)
	}
	if d.Hub, err = hub.Open(ctx, options); err != nil {
		return errors.Join(err, country.Close())
	}
	return nil
}

func (d *Demo) remove() error {
	if !d.temporary {
		return nil
	}
	return os.RemoveAll(d.Dir)
}

// wide are budgets that nobody meets who tries things out or measures them.
var wide = verification.Rate{Count: 1_000_000, Per: time.Minute, Burst: 1_000_000}

func hubOptions(o Options, country *sandbox.Country, ring *keys.Ring, c clock.Clock) hub.Options {
	setup := country.Setup()
	options := hub.Options{
		Clock: c, Log: o.Log, Keys: ring, Database: o.Database, Listen: o.Listen, OpsListen: "127.0.0.1:0",
		SMS: sms.Config{Address: setup.SMS.Address, SystemID: setup.SMS.SystemID, Password: setup.SMS.Password,
			ReconnectMin: 100 * time.Millisecond, ReconnectMax: 2 * time.Second},
		ShortCode: setup.SMS.ShortCode,
		Networks:  []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")},
		Channels: map[string]verification.Channel{
			hub.PortalChannel:     {ID: hub.PortalChannel, Codes: wide, Guesses: wide},
			sandbox.ChannelClient: {ID: sandbox.ChannelClient, Codes: wide, Guesses: wide},
		},
		OpenChannel: true,
		Lease:       lease,
		Notice:      notice(country.Sample()),
		Mount: func(pages *portal.Portal) map[string]http.Handler {
			handler := country.Handler(pages)
			return map[string]http.Handler{"/sandbox/v1/": handler, "/handsets": handler, "/handsets/": handler}
		},
	}
	for _, k := range setup.Carriers {
		options.Carriers = append(options.Carriers, hub.Carrier{ID: k.ID, Prefixes: k.Prefixes, IdentityURL: k.IdentityURL, Secret: k.Secret})
	}
	for _, k := range setup.Clients {
		options.Clients = append(options.Clients, access.Client{ID: k.ID, SecretHash: access.HashSecret(k.Secret),
			Role: access.Role(k.Role), Subject: k.Subject, Scopes: k.Scopes})
	}
	return options
}

func notice(s sandbox.Sample) *portal.Notice {
	return &portal.Notice{
		Text: catalog.Text{ZhCN: "演示：人、号码和账号都是编的。", En: "A demonstration: people, numbers and accounts are made up."},
		Links: []portal.NoticeLink{
			{Text: catalog.Text{ZhCN: "看他们的手机", En: "See their phones"}, Href: "/handsets"},
		},
		Sample: &portal.Sample{Name: s.Name, PhoneNumber: Spaced(s.PhoneNumber), LastSix: s.IDLast6},
	}
}

// Spaced writes a Chinese mobile number as people read it, 138 1234 5678; any other stays as it is.
func Spaced(e164 string) string {
	national, ok := strings.CutPrefix(e164, "+86")
	if !ok || len(national) != 11 {
		return e164
	}
	return national[:3] + " " + national[3:7] + " " + national[7:]
}

// URL is where the portal is.
func (d *Demo) URL() string { return d.Hub.URL() }

// Sample is somebody to try it with.
func (d *Demo) Sample() sandbox.Sample { return d.Country.Sample() }

// Run works until ctx ends or something breaks: the apps and carriers join, and the hub serves. Then the hub stops first,
// while its peers still answer, and a temporary directory is removed.
func (d *Demo) Run(ctx context.Context) error {
	d.Country.Join(context.WithoutCancel(ctx), d.URL())
	err := d.Hub.Run(ctx)
	return errors.Join(err, d.Country.Close(), d.remove())
}
