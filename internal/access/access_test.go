package access_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"untether/internal/access"
	"untether/internal/clock"
	"untether/internal/fault"
	"untether/internal/keys"
	"untether/internal/store"
	"untether/internal/store/storetest"
)

const secret = "correct horse battery staple"

func clients() []access.Client {
	return []access.Client{
		{ID: "web", SecretHash: access.HashSecret(secret), Role: access.Channel, Scopes: []string{"channel"}},
		{ID: "both", SecretHash: access.HashSecret(secret), Role: access.App, Subject: "qq", Scopes: []string{"app", "channel"}},
		{ID: "none", Role: access.Channel, Scopes: []string{"channel"}}, // no secret was set
	}
}

func newDesk(t *testing.T, db *store.DB, c clock.Clock, ring *keys.Ring, all []access.Client) *access.Desk {
	t.Helper()
	desk, err := access.NewDesk(db, ring, c, all)
	if err != nil {
		t.Fatal(err)
	}
	return desk
}

func newRing(t *testing.T) *keys.Ring {
	t.Helper()
	ring, err := keys.New(keys.Generate())
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

func TestGrant(t *testing.T) {
	desk := newDesk(t, storetest.Open(t), &clock.Movable{}, newRing(t), clients())
	for name, c := range map[string]struct{ id, secret, scope, granted, code string }{
		"one":                    {"web", secret, "channel", "channel", ""},
		"none asked":             {"web", secret, "", "", ""},
		"of two":                 {"both", secret, "app", "app", ""},
		"both":                   {"both", secret, "channel app", "channel app", ""},
		"twice the same":         {"both", secret, "app app", "app", ""},
		"wrong secret":           {"web", "wrong", "channel", "", "UNAUTHENTICATED"},
		"the hash as the secret": {"web", access.HashSecret(secret), "channel", "", "UNAUTHENTICATED"},
		"unknown client":         {"stranger", secret, "channel", "", "UNAUTHENTICATED"},
		"no client":              {"", "", "channel", "", "UNAUTHENTICATED"},
		"a client without one":   {"none", "", "channel", "", "UNAUTHENTICATED"},
		"not its scope":          {"web", secret, "app", "", "INVALID_SCOPE"},
		"one of them not":        {"web", secret, "channel app", "", "INVALID_SCOPE"},
	} {
		g, err := desk.Grant(t.Context(), c.id, c.secret, c.scope)
		if c.code != "" {
			if !fault.Is(err, c.code) || g.Token != "" {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if err != nil || strings.Join(g.Scopes, " ") != c.granted || g.Expires != access.TokenLifetime || g.Token == "" {
			t.Errorf("%s: %v, %v", name, g.Scopes, err)
		}
	}
}

func TestAllow(t *testing.T) {
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		now, ring := &clock.Movable{}, newRing(t)
		desk := newDesk(t, db, now, ring, clients())
		g, err := desk.Grant(t.Context(), "both", secret, "app")
		if err != nil {
			t.Fatal(err)
		}
		other := newDesk(t, db, now, ring, clients()) // another replica
		for _, d := range []*access.Desk{desk, other, other} {
			if c, err := d.Allow(t.Context(), g.Token, "app"); err != nil || c.ID != "both" || c.Subject != "qq" {
				t.Errorf("%+v, %v", c, err)
			}
		}
		narrowed := clients()
		narrowed[1].Scopes = []string{"channel"}
		for name, c := range map[string]struct {
			desk  *access.Desk
			token string
			code  string
		}{
			"a scope that was not asked for": {desk, g.Token, "PERMISSION_DENIED"},
			"an unknown token":               {desk, g.Token + "x", "UNAUTHENTICATED"},
			"no token":                       {desk, "", "UNAUTHENTICATED"},
			"its client is no longer there":  {newDesk(t, db, now, ring, nil), g.Token, "UNAUTHENTICATED"},
			"its client has lost the scope":  {newDesk(t, db, now, ring, narrowed), g.Token, "PERMISSION_DENIED"},
			"a hub with another root key":    {newDesk(t, db, now, newRing(t), clients()), g.Token, "UNAUTHENTICATED"},
		} {
			scope := "app"
			if name == "a scope that was not asked for" {
				scope = "channel"
			}
			if _, err := c.desk.Allow(t.Context(), c.token, scope); !fault.Is(err, c.code) {
				t.Errorf("%s: %v", name, err)
			}
		}
		now.Advance(access.TokenLifetime - time.Minute)
		if _, err := desk.Allow(t.Context(), g.Token, "app"); err != nil {
			t.Errorf("a minute before its end: %v", err)
		}
		now.Advance(time.Minute)
		for _, d := range []*access.Desk{desk, newDesk(t, db, now, ring, clients())} {
			if _, err := d.Allow(t.Context(), g.Token, "app"); !fault.Is(err, "UNAUTHENTICATED") {
				t.Errorf("expired: %v", err)
			}
		}
	})
}

// Neither a token nor a secret lies in the database.
func TestOnlyHashesAreKept(t *testing.T) {
	db := storetest.Open(t)
	desk := newDesk(t, db, &clock.Movable{}, newRing(t), clients())
	g, err := desk.Grant(t.Context(), "web", secret, "channel")
	if err != nil {
		t.Fatal(err)
	}
	var rows, bare int
	err = storetest.SQL(t, db).QueryRow(`SELECT COUNT(*), COALESCE(SUM(CASE WHEN hash LIKE $1 THEN 1 ELSE 0 END), 0) FROM tokens`, "%"+g.Token+"%").Scan(&rows, &bare)
	if err != nil || rows != 1 || bare != 0 {
		t.Errorf("%d rows, %d with the token in the clear, %v", rows, bare, err)
	}
}

func TestClientsDiffer(t *testing.T) {
	for name, all := range map[string][]access.Client{"no id": {{}}, "one id twice": {{ID: "a"}, {ID: "a"}}} {
		if _, err := access.NewDesk(nil, nil, nil, all); err == nil {
			t.Error(name)
		}
	}
}

func TestADatabaseThatIsGone(t *testing.T) {
	db := storetest.Open(t)
	desk := newDesk(t, db, &clock.Movable{}, newRing(t), clients())
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := desk.Allow(context.Background(), "x", "app"); err == nil || fault.Is(err, "UNAUTHENTICATED") {
		t.Errorf("our failure is blamed on the caller: %v", err)
	}
}
