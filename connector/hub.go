package connector

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"untether/internal/clock"
)

// Bounds of what the hub may send and how long it may take. They measure the wire, so they run on the machine's timers
// and not on the injected clock: a country that jumps two days ahead must not cut every connection.
const (
	answerBytesMax  = 4 << 20 // a lease of 1,000 tasks is about 300 KiB
	refusalBytesMax = 64 << 10
	answerTimeout   = 30 * time.Second // beyond the wait that was asked for
)

// HubError is the hub's refusal of a request.
type HubError struct {
	Status     int           // HTTP status
	Code       string        // the hub's stable code, or OAuth's; may be empty
	Message    string        // the hub's words, bounded
	RetryAfter time.Duration // zero: not said
}

// Error gives status, code and the hub's words.
func (e *HubError) Error() string {
	text := fmt.Sprintf("the hub answered %d", e.Status)
	if e.Code != "" {
		text += " " + e.Code
	}
	if e.Message != "" {
		text += ": " + e.Message
	}
	return text
}

// final tells whether trying the same again cannot help.
func final(err error) bool {
	var e *HubError
	if !errors.As(err, &e) {
		return false
	}
	switch e.Status {
	case http.StatusBadRequest, http.StatusNotFound, http.StatusConflict, http.StatusRequestEntityTooLarge,
		http.StatusUnprocessableEntity:
		return true
	}
	return false
}

// hub is the other end of the protocol: requests with a token, nothing else.
type hub struct {
	base  *url.URL
	http  *http.Client
	token *tokens
}

func newHub(base, clientID, clientSecret string, client *http.Client, c clock.Clock) (*hub, error) {
	u, err := hubAddress(base)
	if err != nil {
		return nil, err
	}
	if clientID == "" || clientSecret == "" {
		return nil, errors.New("the client's id and secret are both needed; the hub's operator gives them")
	}
	own := http.Client{}
	if client != nil {
		own = *client
	}
	// A redirect would carry the credential somewhere that nobody configured.
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	h := &hub{base: u, http: &own}
	h.token = newTokens(h, clientID, clientSecret, c)
	return h, nil
}

// hubAddress reads the hub's base address and insists on TLS, for what travels are phone numbers.
func hubAddress(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return nil, errors.New("hub must be the hub's address, for example https://hub.example")
	}
	if u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, errors.New("hub must be an address only: no user, no query, no fragment")
	}
	if u.Scheme == "http" && !loopback(u.Hostname()) {
		return nil, errors.New("hub must start with https:// (http:// is for a hub on this machine only): " +
			"phone numbers and the client's secret travel on it")
	}
	u.Path = strings.TrimSuffix(u.Path, "/")
	return u, nil
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}

func (h *hub) lease(ctx context.Context, most int, wait time.Duration) ([]task, error) {
	var answer leaseAnswer
	request := leaseRequest{Max: most, WaitSeconds: int(wait / time.Second)}
	if err := h.call(ctx, "/app/v1/tasks/lease", wait+answerTimeout, request, &answer); err != nil {
		return nil, err
	}
	if len(answer.Tasks) > most {
		return nil, fmt.Errorf("the hub leased %d tasks although %d at most were asked for", len(answer.Tasks), most)
	}
	return answer.Tasks, nil
}

func (h *hub) answer(ctx context.Context, results []result) ([]receipt, error) {
	var answer resultsAnswer
	if err := h.call(ctx, "/app/v1/tasks/results", answerTimeout, resultsRequest{results}, &answer); err != nil {
		return nil, err
	}
	if len(answer.Results) > len(results) {
		return nil, errors.New("the hub answered for more results than were sent")
	}
	return answer.Results, nil
}

// call posts JSON with the token. A 401 fetches a new token and tries once more: the hub may have forgotten ours.
func (h *hub) call(ctx context.Context, path string, timeout time.Duration, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	for try := 1; ; try++ {
		token, err := h.token.get(ctx)
		if err != nil {
			return err
		}
		err = h.post(ctx, path, "application/json", bytes.NewReader(body), bearer(token), out)
		var refusal *HubError
		if try == 2 || !errors.As(err, &refusal) || refusal.Status != http.StatusUnauthorized {
			return err
		}
		h.token.forget(token)
	}
}

func bearer(token string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) }
}

func (h *hub) post(ctx context.Context, path, contentType string, body io.Reader, sign func(*http.Request), out any) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, h.base.String()+path, body)
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", contentType)
	r.Header.Set("Accept", "application/json")
	r.Header.Set("User-Agent", "untether-connector")
	sign(r)
	response, err := h.http.Do(r)
	if err != nil {
		return &unreachableError{err}
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return refusal(response)
	}
	return decode(response.Body, out)
}

func decode(body io.Reader, out any) error {
	text, err := io.ReadAll(io.LimitReader(body, answerBytesMax+1))
	if err != nil {
		return &unreachableError{err}
	}
	if len(text) > answerBytesMax {
		return fmt.Errorf("the hub's answer is over %d bytes", answerBytesMax)
	}
	if json.Unmarshal(text, out) != nil {
		return errors.New("the hub's answer is not the JSON of the app protocol; is `hub` the right address?")
	}
	return nil
}

func refusal(response *http.Response) error {
	e := &HubError{Status: response.StatusCode}
	if s, err := strconv.Atoi(response.Header.Get("Retry-After")); err == nil && s > 0 {
		e.RetryAfter = min(time.Duration(min(s, 1<<20))*time.Second, retryAfterMax)
	}
	text, _ := io.ReadAll(io.LimitReader(response.Body, refusalBytesMax))
	var body refusalBody
	if json.Unmarshal(text, &body) == nil {
		e.Code = clipped(firstOf(body.Code, body.Error), 64)
		e.Message = clipped(firstOf(body.Message, body.ErrorDescription), 300)
	}
	if e.Status >= 300 && e.Status < 400 {
		e.Message = "it redirects, which is not followed; set `hub` to the final address"
	}
	return e
}

func firstOf(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// unreachableError is a request that brought no answer at all: name, connection, TLS, or a time-out.
type unreachableError struct{ cause error }

func (e *unreachableError) Error() string {
	cause := e.cause
	var u *url.Error
	if errors.As(cause, &u) {
		cause = u.Err // without the address, which the log has already
	}
	return "the hub cannot be reached: " + cause.Error()
}

func (e *unreachableError) Unwrap() error { return e.cause }

// advice says what to do about a hub that cannot be reached.
func (e *unreachableError) advice() string {
	var dns *net.DNSError
	switch {
	case errors.As(e.cause, &dns):
		return "check the name in `hub`, and this machine's DNS"
	case strings.Contains(e.cause.Error(), "certificate"):
		return "the hub's certificate is not trusted here: check the name in `hub`, this machine's time and its CA certificates"
	case errors.Is(e.cause, context.DeadlineExceeded):
		return "nothing answered in time: check the firewall (only outgoing connections are needed) and the proxy settings"
	}
	return "check that the hub runs at that address and port, and that a firewall lets this machine out"
}
