package hub

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"untether/internal/access"
	"untether/internal/api"
	"untether/internal/api/respond"
	"untether/internal/ops"
	"untether/internal/portal"
	"untether/internal/search"
	"untether/internal/store"
	"untether/internal/verification"
)

// listen takes the addresses and makes the servers.
func (h *Hub) listen() error {
	handler, err := h.publicHandler()
	if err != nil {
		return err
	}
	if h.listener, err = net.Listen("tcp", h.o.Listen); err != nil {
		return fmt.Errorf("the public address cannot be taken: %w", err)
	}
	h.public = h.server(handler)
	if h.o.OpsListen == "" {
		return nil
	}
	if h.opsAt, err = net.Listen("tcp", h.o.OpsListen); err != nil {
		return errors.Join(fmt.Errorf("the address for metrics and health cannot be taken: %w", err), h.listener.Close())
	}
	checks := []ops.Check{{Name: "database", Run: h.db.Ping}, {Name: "smsCentre", Run: func(context.Context) error {
		if !h.centre.Bound() {
			return errors.New("not bound")
		}
		return nil
	}}}
	h.registerMetrics()
	h.ops = h.server(respond.HostCheck(h.o.Log, "localhost", "127.0.0.1", "::1", h.opsAt.Addr().String())(ops.New(h.metrics, checks)))
	return nil
}

func (h *Hub) server(handler http.Handler) *http.Server {
	return &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       time.Minute,
		WriteTimeout:      time.Minute, // longer than a lease may wait
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    respond.HeaderBytesMax,
		ErrorLog:          slog.NewLogLogger(h.o.Log.Handler(), slog.LevelDebug), // strangers' broken connections
	}
}

func (h *Hub) publicHandler() (http.Handler, error) {
	o := h.o
	desk, err := access.NewDesk(h.db, o.Keys, o.Clock, o.Clients)
	if err != nil {
		return nil, err
	}
	doors := api.Options{Searches: h.searches, Events: h.registry, Desk: desk, Catalog: o.Catalog, Log: o.Log.With("part", "api"),
		Channels: o.Channels}
	own := verification.Channel{ID: PortalChannel, Codes: verification.CodesDefault, Guesses: verification.GuessesDefault}
	if ch, ok := o.Channels[PortalChannel]; ok {
		own = ch
	}
	if o.OpenChannel {
		doors.OpenChannel = &own
	}
	pages, err := portal.New(portal.Options{Searches: h.searches, Channel: own, Clock: o.Clock, Key: h.portalKey(), Catalog: o.Catalog,
		Log: o.Log.With("part", "portal"), Place: o.Place, SecureCookies: o.Secure, Brand: o.Brand, ServiceName: o.ServiceName, Menu: o.Menu,
		ShortCode: o.ShortCode, Notice: o.Notice})
	if err != nil {
		return nil, err
	}
	requests := ops.NewRequests(h.metrics)
	mux := http.NewServeMux()
	programs := respond.Correlator(o.Log)(h.endWaits(api.New(doors)))
	for _, path := range api.Paths {
		mux.Handle(path, requests.Door("api", programs))
	}
	if o.Mount != nil {
		for pattern, handler := range o.Mount(pages) {
			mux.Handle(pattern, requests.Door("mounted", handler))
		}
	}
	mux.Handle("/", requests.Door("portal", pages))
	hosts := append([]string{"localhost", "127.0.0.1", "::1"}, o.Hosts...)
	if !Loopback(o.Listen) {
		hosts = o.Hosts
	}
	return respond.Recover(o.Log)(respond.Headers(o.Log)(respond.HostCheck(o.Log, hosts...)(mux))), nil
}

// endWaits ends what waits for work when the hub begins to stop: an app's lease answers with nothing.
func (h *Hub) endWaits(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/app/v1/tasks/lease" {
			next.ServeHTTP(w, r)
			return
		}
		ctx, cancel := context.WithCancel(r.Context())
		defer cancel()
		defer context.AfterFunc(h.stopping, cancel)()
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

// portalKey seals what a browser keeps between two pages; every replica with the same root key has the same one.
func (h *Hub) portalKey() [32]byte { return h.o.Keys.Derive("portal") }

func (h *Hub) registerMetrics() {
	c := h.sender.Counts()
	for _, m := range []struct {
		name, help string
		read       func() int64
	}{
		{"untether_texts_handed_over_total", "Texts that the SMS centre took.", c.HandedOver.Load},
		{"untether_texts_resent_total", "Texts handed over in a further attempt; each may have arrived twice.", c.Resent.Load},
		{"untether_texts_refused_total", "Texts that cannot be sent at all.", c.Refused.Load},
		{"untether_texts_postponed_total", "Hand-overs that failed and are tried again.", c.Postponed.Load},
		{"untether_texts_delivered_parts_total", "Parts of texts with a receipt of delivery.", c.Delivered.Load},
		{"untether_texts_undelivered_parts_total", "Parts of texts with a receipt of failure.", c.Undelivered.Load},
		{"untether_texts_overdue_total", "Texts given up at their deadline.", c.Overdue.Load},
		{"untether_receipts_unknown_total", "Receipts for parts that are not ours.", c.UnknownReceipts.Load},
	} {
		ops.Counter(h.metrics, m.name, m.help, func() float64 { return float64(m.read()) })
	}
	ops.Gauge(h.metrics, "untether_sms_centre_bound", "1 while the bind with the SMS centre stands.", func() float64 {
		if h.centre.Bound() {
			return 1
		}
		return 0
	})
	ops.Counter(h.metrics, "untether_store_transactions_total", "Writing transactions.", func() float64 { return float64(h.db.Transactions()) })
	ops.Counter(h.metrics, "untether_store_commits_total", "Commits that the transactions shared.", func() float64 { return float64(h.db.Commits()) })
	h.metrics.MustRegister(rowsChanged{h.db})
	s := h.searches.Counts()
	ops.Counter(h.metrics, "untether_searches_accepted_total", "Searches accepted.", func() float64 { return float64(s.Accepted.Load()) })
	ops.Counter(h.metrics, "untether_searches_closed_total", "Searches whose reply was composed.", func() float64 { return float64(s.Closed.Load()) })
	ops.Counter(h.metrics, "untether_answers_nonsense_total", "Answers from apps that were not believed.", func() float64 { return float64(s.Nonsense.Load()) })
}

// rowsChanged is the metric untether_store_rows_changed_total by verb and table.
type rowsChanged struct{ db *store.DB }

var rowsChangedDesc = prometheus.NewDesc("untether_store_rows_changed_total", "Rows that statements changed.", []string{"verb", "table"}, nil)

func (rowsChanged) Describe(descs chan<- *prometheus.Desc) { descs <- rowsChangedDesc }

func (r rowsChanged) Collect(metrics chan<- prometheus.Metric) {
	for change, n := range r.db.Changed() {
		metrics <- prometheus.MustNewConstMetric(rowsChangedDesc, prometheus.CounterValue, float64(n), change.Verb, change.Table)
	}
}

var _ api.Searches = (*search.Service)(nil)
