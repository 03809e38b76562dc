// Package contracttest holds the doors to their documents in tests. Validate compares every answer of a handler with the
// document of its operation; Malformed makes requests that a document forbids. It knows nothing of what the doors do: an
// answer that fits the document can still be wrong.
package contracttest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"

	"untether/api"
	"untether/internal/api/respond"
)

// document is one OpenAPI document, ready to find operations in.
type document struct {
	*openapi3.T
	name   string
	router routers.Router
}

// documents are loaded once: tests only read them.
var documents = sync.OnceValues(func() ([]document, error) {
	var all []document
	for _, name := range api.Names {
		d, err := load(name)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		all = append(all, d)
	}
	return all, nil
})

func load(name string) (document, error) {
	text, err := api.Load(name)
	if err != nil {
		return document{}, err
	}
	loader := openapi3.NewLoader()
	parsed, err := loader.LoadFromData(text)
	if err != nil {
		return document{}, err
	}
	if err := parsed.Validate(loader.Context); err != nil {
		return document{}, err
	}
	parsed.Servers = nil // a test's server has an address of its own
	router, err := gorillamux.NewRouter(parsed)
	return document{parsed, name, router}, err
}

// Validate wraps a handler so that every answer to a path of a document is compared with it: status, media type, body,
// stable code, echoed correlator; and a success to a request that the document forbids is an error too. Other paths
// (pages, say) pass unseen. Answers are held back until they are complete.
func Validate(t testing.TB, handler http.Handler) http.Handler {
	t.Helper()
	all, err := documents()
	if err != nil {
		t.Fatal(err)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked, body, err := keep(r)
		if err != nil {
			t.Errorf("%s %s: reading the request: %v", r.Method, r.URL.Path, err)
		}
		answer := httptest.NewRecorder()
		handler.ServeHTTP(answer, r)
		if err := compare(all, asked, body, answer); err != nil {
			t.Errorf("%s %s → %d: %v", r.Method, r.URL.Path, answer.Code, err)
		}
		for name, values := range answer.Header() {
			w.Header()[name] = values
		}
		w.WriteHeader(answer.Code)
		_, _ = w.Write(answer.Body.Bytes())
	})
}

// keep copies the request, so that what the handler reads can be looked at again.
func keep(r *http.Request) (asked *http.Request, body []byte, err error) {
	if r.Body != nil {
		body, err = io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
	}
	return r.Clone(r.Context()), body, err
}

func compare(all []document, asked *http.Request, body []byte, answer *httptest.ResponseRecorder) error {
	if given := asked.Header.Get("X-Correlator"); answer.Code < 300 && answer.Header().Get("X-Correlator") != given {
		return errors.New("x-correlator is not echoed")
	}
	for _, d := range all {
		route, params, err := d.router.FindRoute(asked)
		if errors.Is(err, routers.ErrMethodNotAllowed) {
			return isFailure(answer, http.StatusMethodNotAllowed)
		}
		if err == nil {
			return compareRoute(route, params, asked, body, answer)
		}
	}
	return nil
}

func compareRoute(route *routers.Route, params map[string]string, asked *http.Request, body []byte, answer *httptest.ResponseRecorder) error {
	asked.Body = io.NopCloser(bytes.NewReader(body))
	input := &openapi3filter.RequestValidationInput{Request: asked, PathParams: params, Route: route, Options: &openapi3filter.Options{
		IncludeResponseStatus: true, AuthenticationFunc: openapi3filter.NoopAuthenticationFunc,
	}}
	if answer.Code < 300 {
		if err := openapi3filter.ValidateRequest(asked.Context(), input); err != nil {
			return fmt.Errorf("a request that the document forbids was taken: %w", err)
		}
	}
	output := &openapi3filter.ResponseValidationInput{RequestValidationInput: input, Status: answer.Code, Header: answer.Header(), Options: input.Options}
	output.SetBodyBytes(answer.Body.Bytes())
	if err := openapi3filter.ValidateResponse(asked.Context(), output); err != nil {
		return err
	}
	return hasListedCode(route.Operation, answer)
}

// hasListedCode looks whether a failure's code is among those that the document lists for this status of this operation.
func hasListedCode(operation *openapi3.Operation, answer *httptest.ResponseRecorder) error {
	if answer.Code < 400 {
		return nil
	}
	if err := isFailure(answer, answer.Code); err != nil {
		return err
	}
	listed := operation.Responses.Status(answer.Code)
	if listed == nil || listed.Value == nil {
		return errors.New("the status is not in the document")
	}
	var failure respond.Failure
	_ = json.Unmarshal(answer.Body.Bytes(), &failure) // isFailure has read it
	codes, _ := listed.Value.Extensions["x-codes"].([]any)
	if !slices.Contains(codes, any(failure.Code)) {
		return fmt.Errorf("the code %s is not listed for this status", failure.Code)
	}
	return nil
}

func isFailure(answer *httptest.ResponseRecorder, status int) error {
	var failure respond.Failure
	err := json.Unmarshal(answer.Body.Bytes(), &failure)
	if err != nil || answer.Code != status || failure.Status != status || failure.Code == "" || failure.Message == "" {
		return fmt.Errorf("not the shape of a failure with status %d: %.200s", status, answer.Body)
	}
	return nil
}
