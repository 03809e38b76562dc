// Package hub puts the parts together: from Options it builds a running hub with its listeners, its workers and its
// database, and takes them down again in an order in which nothing in flight is lost. `untether serve`, the demo and the
// end-to-end tests run this same program; it does not know which of them it is.
package hub

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"untether/internal/access"
	"untether/internal/audit"
	"untether/internal/carrier"
	"untether/internal/catalog"
	"untether/internal/clock"
	"untether/internal/keys"
	"untether/internal/phone"
	"untether/internal/portal"
	"untether/internal/registry"
	"untether/internal/search"
	"untether/internal/sms"
	"untether/internal/store"
	"untether/internal/texts"
	"untether/internal/verification"
	"untether/internal/words"
	"untether/internal/work"
)

// Carrier is a carrier that the hub works with.
type Carrier struct {
	ID          string
	Prefixes    []string // beginnings of the E.164 numbers of its blocks
	IdentityURL string
	Secret      string // shown to it as Bearer
}

// Options is what a hub is made of. Clock, Log, Keys, Database and Listen are required.
type Options struct {
	Clock    clock.Clock
	Log      *slog.Logger
	Keys     *keys.Ring
	Database string // see store.Open

	Listen    string   // of the public listener
	OpsListen string   // of the one for metrics and health; empty: none
	Hosts     []string // host names that the public listener serves
	Secure    bool     // people reach it by HTTPS: cookies say so

	SMS       sms.Config
	ShortCode string
	Carriers  []Carrier
	Networks  []netip.Prefix // where calls may go out to
	Freeze    time.Duration  // zero: tenure.FreezeDefault

	Clients     []access.Client
	Channels    map[string]verification.Channel // budgets by client id
	OpenChannel bool                            // serve /v1 without a credential: on loopback only
	Lease       time.Duration                   // of apps' tasks; zero: search.LeaseDefault
	Retention   store.Policy

	Catalog     *catalog.Catalog
	Brand       catalog.Text
	ServiceName catalog.Text
	Menu        catalog.Text
	Place       *time.Location
	Notice      *portal.Notice
	// Mount gives further handlers by pattern on the public listener.
	Mount func(*portal.Portal) map[string]http.Handler
}

// PortalChannel is the channel that the hub's own pages are.
const PortalChannel = "portal"

// Hub is a hub that is ready to run.
type Hub struct {
	o        Options
	db       *store.DB
	searches *search.Service
	registry *registry.Registry
	sender   *texts.Sender
	centre   *sms.Client
	sealer   *audit.Sealer
	metrics  *prometheus.Registry
	public   *http.Server
	ops      *http.Server
	listener net.Listener
	opsAt    net.Listener
	stopping context.Context // ends when the hub begins to stop
	stop     context.CancelFunc
}

// Open builds a hub and takes its addresses; Run makes it work.
func Open(ctx context.Context, o Options) (*Hub, error) {
	o = o.withDefaults()
	if err := o.check(); err != nil {
		return nil, err
	}
	db, err := store.Open(ctx, o.Database)
	if err != nil {
		return nil, err
	}
	h := &Hub{o: o, db: db, metrics: prometheus.NewRegistry()}
	h.stopping, h.stop = context.WithCancel(context.Background())
	if err := h.build(); err != nil {
		h.stop()
		return nil, errors.Join(err, db.Close())
	}
	return h, nil
}

func (o Options) withDefaults() Options {
	if o.Catalog == nil {
		o.Catalog = catalog.Default()
	}
	if o.ShortCode == "" {
		o.ShortCode = "10699000"
	}
	if o.ServiceName == (catalog.Text{}) {
		o.ServiceName = portal.ServiceNameDefault
	}
	if o.Menu == (catalog.Text{}) {
		o.Menu = portal.MenuDefault
	}
	if o.Place == nil {
		o.Place = time.FixedZone("Asia/Shanghai", 8*3600)
	}
	if o.Retention == (store.Policy{}) {
		o.Retention = store.DefaultPolicy()
	}
	return o
}

func (o Options) check() error {
	if o.OpenChannel && !Loopback(o.Listen) {
		return errors.New("/v1 may be open without a credential on a loopback listener only")
	}
	return nil
}

// Loopback tells whether an address can only be reached from this machine.
func Loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

func (h *Hub) build() error {
	o, bells := h.o, &work.Bells{}
	h.registry = &registry.Registry{Store: h.db, Keys: o.Keys, Clock: o.Clock, Freeze: o.Freeze}
	var peers []carrier.Peer
	for _, c := range o.Carriers {
		h.registry.Carriers = append(h.registry.Carriers, registry.Carrier{ID: c.ID, Prefixes: c.Prefixes})
		peers = append(peers, carrier.Peer{ID: c.ID, URL: c.IdentityURL, Secret: c.Secret})
	}
	carriers, err := carrier.New(h.registry, peers, o.Networks)
	if err != nil {
		return err
	}
	h.sender = &texts.Sender{Store: h.db, Keys: o.Keys, Clock: o.Clock, Bells: bells, Log: o.Log.With("part", "texts"),
		Serves: func(n phone.Number) bool { return h.registry.Owner(n) != "" }}
	h.centre = sms.New(o.SMS, o.Clock, o.Log.With("part", "sms"), h.sender.OnReceipt, h.heard)
	h.sender.Centre = h.centre
	h.sender.Ready = func(ctx context.Context) error { return h.centre.Await(ctx, true) }
	h.sealer = &audit.Sealer{Store: h.db, Keys: o.Keys, Clock: o.Clock, Log: o.Log.With("part", "audit")}
	verifier := &verification.Verifier{Store: h.db, Keys: o.Keys, Clock: o.Clock, Bells: bells, ShortCode: o.ShortCode}
	h.searches = &search.Service{Store: h.db, Keys: o.Keys, Clock: o.Clock, Bells: bells, Verifier: verifier, Carriers: carriers,
		Catalog: o.Catalog, Lease: o.Lease, Log: o.Log.With("part", "searches"), Reply: search.ReplyStyle{ShortCode: o.ShortCode, Place: o.Place,
			Service: inLanguages(o.ServiceName), Menu: inLanguages(o.Menu)}}
	return h.listen()
}

func inLanguages(t catalog.Text) map[words.Language]string {
	return map[words.Language]string{words.ZhCN: t.ZhCN, words.En: t.En}
}

// heard takes a text from a handset. The short code has no menu yet, so it is only noted that one came.
func (h *Hub) heard(_, _, _ string) {
	h.o.Log.Info("a handset wrote to the short code; nobody reads there")
}

// URL is where the public listener is reached on this machine.
func (h *Hub) URL() string { return "http://" + h.listener.Addr().String() }

// OpsURL is where metrics and health are; empty: nowhere.
func (h *Hub) OpsURL() string {
	if h.opsAt == nil {
		return ""
	}
	return "http://" + h.opsAt.Addr().String()
}

// Retention work is done this often.
const pruneEvery = time.Hour

// stopWithin bounds how long requests in flight are waited for.
const stopWithin = 10 * time.Second

// Run works until ctx ends, then stops in order: no new requests, requests in flight, workers, the SMS centre, the
// database. An error before that ends it too.
func (h *Hub) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	serving := h.serve(cancel)
	line, hangUp := context.WithCancel(context.WithoutCancel(ctx)) // outlives the workers: they still send
	defer hangUp()
	var workers, lines sync.WaitGroup
	background := func(wg *sync.WaitGroup, ctx context.Context, name string, run func(context.Context) error) {
		wg.Go(func() {
			if err := run(ctx); err != nil && !errors.Is(err, context.Canceled) {
				cancel(fmt.Errorf("%s: %w", name, err))
			}
		})
	}
	working, rest := context.WithCancel(context.WithoutCancel(ctx))
	defer rest()
	background(&lines, line, "SMS centre", h.centre.Run)
	background(&workers, working, "texts", h.sender.Run)
	background(&workers, working, "searches", func(ctx context.Context) error { return h.searches.Run(ctx, h.o.Log.With("part", "searches")) })
	background(&workers, working, "audit", h.sealer.Run)
	background(&workers, working, "retention", h.prune)
	<-ctx.Done()
	h.stop()
	h.shutDown()
	serving.Wait()
	rest()
	workers.Wait()
	hangUp()
	lines.Wait()
	err := h.db.Close()
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.Canceled) {
		err = errors.Join(cause, err)
	}
	return err
}

func (h *Hub) serve(failed context.CancelCauseFunc) *sync.WaitGroup {
	var serving sync.WaitGroup
	start := func(s *http.Server, l net.Listener) {
		serving.Go(func() {
			if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
				failed(err)
			}
		})
	}
	start(h.public, h.listener)
	if h.ops != nil {
		start(h.ops, h.opsAt)
	}
	return &serving
}

func (h *Hub) shutDown() {
	within, cancel := context.WithTimeout(context.Background(), stopWithin)
	defer cancel()
	if err := h.public.Shutdown(within); err != nil {
		h.o.Log.Warn("requests in flight were cut off", "error", err)
		h.public.Close()
	}
	if h.ops != nil {
		h.ops.Close()
	}
}

func (h *Hub) prune(ctx context.Context) error {
	for {
		removed, err := h.db.Prune(ctx, h.o.Retention, h.o.Clock.Now())
		if err != nil && ctx.Err() == nil {
			h.o.Log.Error("what is past its retention cannot be removed", "error", err)
		} else {
			h.o.Log.Debug("retention", "removed", removed)
		}
		if err := clock.Wait(ctx, h.o.Clock, h.o.Clock.Now().Add(pruneEvery)); err != nil {
			return nil
		}
	}
}
