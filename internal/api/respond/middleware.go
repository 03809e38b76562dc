package respond

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"path"
	"runtime/debug"
	"strings"

	"untether/internal/fault"
)

// Middleware wraps a handler.
type Middleware func(http.Handler) http.Handler

// Bounds of what is read before a body. A listener's MaxHeaderBytes should be HeaderBytesMax; what is beyond it net/http
// answers by itself, in words.
const (
	HeaderBytesMax    = 16 << 10
	headerFieldsMax   = 64
	headerValueMax    = 4 << 10
	targetBytesMax    = 2 << 10
	correlatorLenMax  = 256
	correlatorCharset = "-_:;./<>{}"
)

// Headers refuses requests with a path and query of more than 2 KiB, more than 64 header fields, or one of more than
// 4 KiB.
func Headers(log *slog.Logger) Middleware {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if err := checkHeaders(r); err != nil {
				Fail(w, r, log, err)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

func checkHeaders(r *http.Request) error {
	if len(r.RequestURI) > targetBytesMax {
		return fault.Invalidf("The path and query are longer than %d bytes.", targetBytesMax)
	}
	fields := 0
	for _, values := range r.Header {
		fields += len(values)
		for _, v := range values {
			if len(v) > headerValueMax {
				return fault.Invalidf("A header field is longer than %d bytes.", headerValueMax)
			}
		}
	}
	if fields > headerFieldsMax {
		return fault.Invalidf("There are more than %d header fields.", headerFieldsMax)
	}
	return nil
}

type correlatorKey struct{}

// Correlator echoes the header x-correlator and keeps it for the log. One that is not what the documents allow
// (^[a-zA-Z0-9-_:;.\/<>{}]{0,256}$) or that is there twice is refused and not echoed.
func Correlator(log *slog.Logger) Middleware {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			given := r.Header.Values("X-Correlator")
			if len(given) == 0 || len(given) == 1 && given[0] == "" {
				next.ServeHTTP(w, r)
				return
			}
			if len(given) > 1 || !isCorrelator(given[0]) {
				Fail(w, r, log, fault.Invalidf("x-correlator must be one value of at most %d letters, digits and any of %s",
					correlatorLenMax, correlatorCharset))
				return
			}
			w.Header().Set("X-Correlator", given[0])
			next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), correlatorKey{}, given[0])))
		})
	}
}

// CorrelatorOf is the correlator of the request that ctx belongs to, or "".
func CorrelatorOf(ctx context.Context) string {
	c, _ := ctx.Value(correlatorKey{}).(string)
	return c
}

func isCorrelator(s string) bool {
	if len(s) > correlatorLenMax {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if !(c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z' || strings.IndexByte(correlatorCharset, c) >= 0) {
			return false
		}
	}
	return true
}

// HostCheck refuses requests for other names than the allowed ones, so that a page elsewhere cannot reach this listener
// through a name of its own (DNS rebinding). An allowed name with a port allows that port only; one without allows every
// port. Letters count in either case.
func HostCheck(log *slog.Logger, allowed ...string) Middleware {
	names := map[string]bool{}
	for _, name := range allowed {
		names[strings.ToLower(name)] = true
	}
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			host := strings.ToLower(r.Host)
			if !names[host] && !names[withoutPort(host)] {
				Fail(w, r, log, fault.Invalidf("This listener does not serve the host name that was asked for."))
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

func withoutPort(host string) string {
	name, _, err := net.SplitHostPort(host)
	if err != nil {
		return strings.Trim(host, "[]")
	}
	return name
}

// Recover turns a panic into a 500 and a line in the log with its stack. When the answer has begun, the connection is cut
// instead, so that half an answer is never taken for a whole one.
func Recover(log *slog.Logger) Middleware {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			watched := &watchedWriter{ResponseWriter: w}
			defer func() { rescue(watched, r, log, recover()) }()
			next.ServeHTTP(watched, r)
		})
	}
}

func rescue(w *watchedWriter, r *http.Request, log *slog.Logger, cause any) {
	if cause == nil {
		return
	}
	if cause == http.ErrAbortHandler {
		panic(cause)
	}
	log.ErrorContext(r.Context(), "panic", slog.String("cause", fmt.Sprint(cause)), slog.String("stack", string(debug.Stack())))
	if w.begun {
		panic(http.ErrAbortHandler)
	}
	Fail(w, r, log, fmt.Errorf("panic: %v", cause))
}

// watchedWriter knows whether an answer has begun.
type watchedWriter struct {
	http.ResponseWriter
	begun bool
}

func (w *watchedWriter) WriteHeader(status int) {
	w.begun = w.begun || status >= http.StatusOK
	w.ResponseWriter.WriteHeader(status)
}

func (w *watchedWriter) Write(p []byte) (int, error) {
	w.begun = true
	return w.ResponseWriter.Write(p)
}

// Unwrap lets http.ResponseController through.
func (w *watchedWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// Routes serves mux, and gives its refusals (no such path, no such method, a path to be cleaned) our one shape instead of
// its words. Allow is kept.
func Routes(log *slog.Logger, mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		handler, pattern := mux.Handler(r)
		refusal := &refusal{header: http.Header{}}
		if pattern == "" {
			handler.ServeHTTP(refusal, r)
		} else if !isClean(r.URL.Path) {
			refusal.status = http.StatusNotFound // mux would redirect to the cleaned path, in HTML
		}
		switch refusal.status {
		case 0:
			mux.ServeHTTP(w, r)
		case http.StatusMethodNotAllowed:
			w.Header().Set("Allow", refusal.header.Get("Allow"))
			Fail(w, r, log, ErrMethodNotAllowed)
		default:
			Fail(w, r, log, ErrNotFound)
		}
	})
}

func isClean(p string) bool {
	return p == "/" || strings.HasPrefix(p, "/") && path.Clean(p) == strings.TrimSuffix(p, "/")
}

// refusal listens to what a mux says to a request that it has no handler for.
type refusal struct {
	header http.Header
	status int
}

func (w *refusal) Header() http.Header         { return w.header }
func (w *refusal) WriteHeader(status int)      { w.status = status }
func (w *refusal) Write(p []byte) (int, error) { return len(p), nil }
