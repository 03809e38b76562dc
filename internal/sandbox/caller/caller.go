// Package caller is how the sandbox's peers call the hub: JSON over HTTP with OAuth 2 client credentials.
//
// It guarantees bounded reads, a token renewed before it runs out and once after a 401, and no redirect followed. It does
// not retry: the peers do, each in its own way.
package caller

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"untether/internal/clock"
)

// Credential is an OAuth 2 client of the hub.
type Credential struct{ ID, Secret, Scope string }

const answerBytesMax = 16 << 20

// Caller calls one hub as one client. Its methods may be called by several goroutines.
type Caller struct {
	hub        string
	credential Credential
	clock      clock.Clock
	http       *http.Client

	mu      sync.Mutex
	token   string
	renewAt time.Time
}

// New makes a caller of the hub at a base address such as http://127.0.0.1:8080; it opens nothing.
func New(hub string, credential Credential, c clock.Clock) *Caller {
	return &Caller{hub: strings.TrimSuffix(hub, "/"), credential: credential, clock: c, http: &http.Client{
		Transport:     &http.Transport{MaxIdleConnsPerHost: 2},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// StatusError is the hub's refusal.
type StatusError struct {
	Status  int
	Code    string `json:"code"`
	Message string `json:"message"`
}

// Error gives the status and the hub's own words.
func (e *StatusError) Error() string {
	return fmt.Sprintf("the hub answered %d %s: %.200s", e.Status, e.Code, e.Message)
}

// Post sends v as JSON and reads the answer into answer, unless that is nil. A refusal is a *StatusError.
func (c *Caller) Post(ctx context.Context, path string, v, answer any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	token, err := c.bearer(ctx)
	if err != nil {
		return err
	}
	err = c.send(ctx, path, "application/json", body, func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) }, answer)
	if refused, ok := err.(*StatusError); ok && refused.Status == http.StatusUnauthorized {
		c.forget(token)
	}
	return err
}

// Close drops idle connections.
func (c *Caller) Close() { c.http.CloseIdleConnections() }

func (c *Caller) forget(token string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.token == token {
		c.token = ""
	}
}

func (c *Caller) bearer(ctx context.Context) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.clock.Now()
	if c.token != "" && now.Before(c.renewAt) {
		return c.token, nil
	}
	var answer struct {
		AccessToken string `json:"access_token"`
		ExpiresIn   int64  `json:"expires_in"`
	}
	form := url.Values{"grant_type": {"client_credentials"}, "scope": {c.credential.Scope}}
	err := c.send(ctx, "/oauth2/token", "application/x-www-form-urlencoded", []byte(form.Encode()), func(r *http.Request) {
		r.SetBasicAuth(url.QueryEscape(c.credential.ID), url.QueryEscape(c.credential.Secret))
	}, &answer)
	if err != nil {
		return "", fmt.Errorf("no token: %w", err)
	}
	if answer.AccessToken == "" {
		return "", fmt.Errorf("the hub's token answer holds no token")
	}
	c.token, c.renewAt = answer.AccessToken, now.Add(time.Duration(answer.ExpiresIn)*time.Second*4/5)
	return c.token, nil
}

func (c *Caller) send(ctx context.Context, path, mediaType string, body []byte, sign func(*http.Request), answer any) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.hub+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", mediaType)
	sign(request)
	response, err := c.http.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	raw, err := io.ReadAll(io.LimitReader(response.Body, answerBytesMax))
	switch {
	case err != nil:
		return err
	case response.StatusCode/100 != 2:
		refused := &StatusError{}
		_ = json.Unmarshal(raw, refused) // whatever it says, the status is a refusal
		refused.Status = response.StatusCode
		return refused
	case answer == nil:
		return nil
	}
	return json.Unmarshal(raw, answer)
}
