// Package ops is the door for whoever runs the hub: Prometheus metrics, liveness and readiness, on a listener of their own
// that is never the public one. Nothing here names a person, a number or a secret.
package ops

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Check is one thing that must work for the hub to be ready.
type Check struct {
	Name string
	Run  func(context.Context) error
}

// checkWithin bounds one check.
const checkWithin = 2 * time.Second

// New makes the handler: /metrics, /healthz (the process answers) and /readyz (every check passes).
func New(metrics *prometheus.Registry, checks []Check) http.Handler {
	metrics.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(metrics, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { write(w, http.StatusOK, map[string]string{"hub": "ok"}) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		status, words := ready(r.Context(), checks)
		write(w, status, words)
	})
	return mux
}

func ready(ctx context.Context, checks []Check) (int, map[string]string) {
	status, words := http.StatusOK, map[string]string{}
	for _, c := range checks {
		within, cancel := context.WithTimeout(ctx, checkWithin)
		words[c.Name] = "ok"
		if err := c.Run(within); err != nil {
			status, words[c.Name] = http.StatusServiceUnavailable, "not ready: "+err.Error()
		}
		cancel()
	}
	return status, words
}

func write(w http.ResponseWriter, status int, words map[string]string) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(words)
}

// Requests counts requests by door and status, and measures them.
type Requests struct {
	seconds *prometheus.HistogramVec
}

// NewRequests registers the metric untether_http_request_seconds.
func NewRequests(metrics *prometheus.Registry) *Requests {
	r := &Requests{prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "untether_http_request_seconds",
		Help:    "Time to answer requests of the public listener, by door and status.",
		Buckets: []float64{.001, .005, .025, .1, .5, 2, 10, 30}}, []string{"door", "status"})}
	metrics.MustRegister(r.seconds)
	return r
}

// Door measures a handler under a name.
func (r *Requests) Door(name string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		begun := time.Now() // the machine's own clock: a duration, not a time of the country
		seen := &statusWriter{ResponseWriter: w, status: http.StatusOK}
		defer func() {
			r.seconds.WithLabelValues(name, strconv.Itoa(seen.status)).Observe(time.Since(begun).Seconds())
		}()
		next.ServeHTTP(seen, req)
	})
}

type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap lets http.ResponseController through.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// Gauge registers a value that is read when it is asked for.
func Gauge(metrics *prometheus.Registry, name, help string, read func() float64) {
	metrics.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, read))
}

// Counter registers a count that is read when it is asked for; it never falls.
func Counter(metrics *prometheus.Registry, name, help string, read func() float64) {
	metrics.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, read))
}
