// Package access is OAuth 2 client credentials: who may call which API. A client shows its secret once and gets an opaque
// token with exactly the scopes that it asked for and was granted; asking for none grants none. Secrets and tokens are kept
// as hashes only, and everything runs on the injected clock.
package access

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"untether/internal/clock"
	"untether/internal/fault"
	"untether/internal/keys"
)

// Scopes are what a token can allow.
const (
	ScopeChannel = "channel" // codes and searches on people's behalf
	ScopeApp     = "app"     // tasks of one app
	ScopeCarrier = "carrier" // events of one carrier's numbers
)

// Role is what a client is.
type Role string

// The roles.
const (
	Channel Role = "channel"
	App     Role = "app"
	Carrier Role = "carrier"
	Checker Role = "checker"
)

// Client is a party that calls the hub.
type Client struct {
	ID         string
	SecretHash string // SHA-256 of the secret, hexadecimal; secrets are random, so a plain hash is enough
	Role       Role
	Subject    string   // the app's or carrier's id in this hub; empty for others
	Scopes     []string // what it may ask for
}

// HashSecret gives what is kept of a secret.
func HashSecret(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

// TokenLifetime is how long a token is good.
const TokenLifetime = time.Hour

// Token is a granted token as it is stored.
type Token struct {
	Hash      string
	Client    string
	Scopes    []string
	ExpiresAt time.Time
}

// Tx is what access needs of the storage.
type Tx interface {
	AddToken(ctx context.Context, t Token) error
	// FindToken gives the token with the hash, or false.
	FindToken(ctx context.Context, hash string) (Token, bool, error)
}

// Store runs transactions.
type Store interface {
	Access(ctx context.Context, fn func(context.Context, Tx) error) error
	ReadAccess(ctx context.Context, fn func(context.Context, Tx) error) error
}

// Desk grants and checks tokens.
type Desk struct {
	store   Store
	keys    *keys.Ring
	clock   clock.Clock
	clients map[string]Client

	mu    sync.RWMutex
	known map[string]Token // tokens seen lately, by hash: spares a look-up a call
}

// knownMax bounds the memory of the cache; it is emptied when full.
const knownMax = 10_000

// NewDesk makes a desk for the configured clients.
func NewDesk(store Store, ring *keys.Ring, c clock.Clock, clients []Client) (*Desk, error) {
	d := &Desk{store: store, keys: ring, clock: c, clients: map[string]Client{}, known: map[string]Token{}}
	for _, client := range clients {
		if _, twice := d.clients[client.ID]; twice || client.ID == "" {
			return nil, errors.New("every client needs an id of its own: " + client.ID)
		}
		d.clients[client.ID] = client
	}
	return d, nil
}

// The refusals of the token endpoint.
var (
	ErrClient = fault.New(fault.Unauthenticated, "UNAUTHENTICATED", "The client is not known, or its secret is wrong.")
	ErrScope  = fault.New(fault.Invalid, "INVALID_SCOPE", "The client may not have a scope that it asked for.")
)

// Granted is a token in the clear: it is seen once.
type Granted struct {
	Token   string
	Expires time.Duration
	Scopes  []string
}

// Grant gives a token to a client that shows its secret. scope is a list with spaces between.
func (d *Desk) Grant(ctx context.Context, id, secret, scope string) (Granted, error) {
	client, ok := d.clients[id]
	right := subtle.ConstantTimeCompare([]byte(HashSecret(secret)), []byte(client.SecretHash)) == 1
	if !ok || !right {
		return Granted{}, ErrClient
	}
	var scopes []string // each once
	for _, s := range strings.Fields(scope) {
		if !slices.Contains(client.Scopes, s) {
			return Granted{}, ErrScope
		}
		if !slices.Contains(scopes, s) {
			scopes = append(scopes, s)
		}
	}
	token := keys.NewToken()
	t := Token{Hash: d.keys.Hash("token", token), Client: id, Scopes: scopes, ExpiresAt: d.clock.Now().Add(TokenLifetime)}
	err := d.store.Access(ctx, func(ctx context.Context, tx Tx) error { return tx.AddToken(ctx, t) })
	return Granted{token, TokenLifetime, scopes}, err
}

// The refusals of a call.
var (
	ErrUnauthenticated = fault.New(fault.Unauthenticated, "UNAUTHENTICATED", "The call needs a bearer token that is known and not expired.")
	ErrPermission      = fault.New(fault.Forbidden, "PERMISSION_DENIED", "The token does not have the scope that this call needs.")
)

// Allow gives the client behind a token, when the token has the scope.
func (d *Desk) Allow(ctx context.Context, token, scope string) (Client, error) {
	t, err := d.find(ctx, d.keys.Hash("token", token))
	if err != nil {
		return Client{}, err
	}
	client, ok := d.clients[t.Client]
	if !ok || !d.clock.Now().Before(t.ExpiresAt) {
		return Client{}, ErrUnauthenticated
	}
	if !slices.Contains(t.Scopes, scope) || !slices.Contains(client.Scopes, scope) {
		return Client{}, ErrPermission
	}
	return client, nil
}

func (d *Desk) find(ctx context.Context, hash string) (Token, error) {
	d.mu.RLock()
	t, ok := d.known[hash]
	d.mu.RUnlock()
	if ok {
		return t, nil
	}
	err := d.store.ReadAccess(ctx, func(ctx context.Context, tx Tx) (err error) {
		t, ok, err = tx.FindToken(ctx, hash)
		return err
	})
	if err != nil {
		return Token{}, err
	}
	if !ok {
		return Token{}, ErrUnauthenticated
	}
	d.remember(t)
	return t, nil
}

func (d *Desk) remember(t Token) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.known) >= knownMax {
		clear(d.known)
	}
	d.known[t.Hash] = t
}
