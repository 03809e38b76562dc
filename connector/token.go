package connector

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"untether/internal/clock"
)

// scopeApp is what a connector asks for; a token has exactly the scopes asked for and granted.
const scopeApp = "app"

const (
	tokenLengthMax   = 4096
	tokenLifeMax     = 24 * time.Hour
	renewalMarginMax = time.Minute
)

// tokens keeps one access token and renews it before it expires. One lane fetches, the others wait for it.
type tokens struct {
	hub        *hub
	id, secret string
	clock      clock.Clock
	turn       chan struct{} // holds one when nobody is looking; guards the two below
	present    string
	renewAt    time.Time
}

func newTokens(h *hub, id, secret string, c clock.Clock) *tokens {
	t := &tokens{hub: h, id: id, secret: secret, clock: c, turn: make(chan struct{}, 1)}
	t.turn <- struct{}{}
	return t
}

func (t *tokens) take(ctx context.Context) error {
	select {
	case <-t.turn:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (t *tokens) free() { t.turn <- struct{}{} }

// get gives a token that is good for a while yet.
func (t *tokens) get(ctx context.Context) (string, error) {
	if err := t.take(ctx); err != nil {
		return "", err
	}
	defer t.free()
	if t.present != "" && t.clock.Now().Before(t.renewAt) {
		return t.present, nil
	}
	now := t.clock.Now()
	answer, err := t.fetch(ctx)
	if err != nil {
		return "", err
	}
	t.present, t.renewAt = answer.AccessToken, now.Add(usable(answer.ExpiresIn))
	return t.present, nil
}

// forget drops a token that the hub no longer takes, unless another lane has already renewed it.
func (t *tokens) forget(token string) {
	<-t.turn
	defer t.free()
	if t.present == token {
		t.present = ""
	}
}

// usable is for how long a token of so many seconds is used: a margin is kept for requests under way.
func usable(expiresInSeconds float64) time.Duration {
	life := tokenLifeMax
	if expiresInSeconds < tokenLifeMax.Seconds() {
		life = time.Duration(max(expiresInSeconds, 0) * float64(time.Second))
	}
	return life - min(life/5, renewalMarginMax)
}

func (t *tokens) fetch(ctx context.Context) (tokenAnswer, error) {
	var answer tokenAnswer
	form := url.Values{"grant_type": {"client_credentials"}, "scope": {scopeApp}}
	err := t.hub.post(ctx, "/oauth2/token", "application/x-www-form-urlencoded", strings.NewReader(form.Encode()), t.sign, &answer)
	if err != nil {
		return answer, err
	}
	return answer, answer.check()
}

// sign is client_secret_basic; RFC 6749, 2.3.1 wants both halves form-encoded first.
func (t *tokens) sign(r *http.Request) {
	r.SetBasicAuth(url.QueryEscape(t.id), url.QueryEscape(t.secret))
}

func (a tokenAnswer) check() error {
	switch {
	case a.AccessToken == "" || len(a.AccessToken) > tokenLengthMax || strings.ContainsAny(a.AccessToken, " \r\n\t"):
		return errors.New("the hub's token endpoint gave no usable token")
	case !strings.EqualFold(a.TokenType, "Bearer"):
		return errors.New("the hub's token is of an unknown type (Bearer was expected)")
	case a.Scope != nil && !slices.Contains(strings.Fields(*a.Scope), scopeApp):
		return errScopeMissing
	}
	return nil
}

// errScopeMissing is a good credential that may not act for an app.
var errScopeMissing = errors.New("the hub knows this client but did not grant it the scope `app`")
