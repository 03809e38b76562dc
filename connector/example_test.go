package connector_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"time"

	"untether/connector"
)

// shop is an app that keeps its accounts in its own way.
type shop map[string]time.Time // number to last verification

func (s shop) Bindings(_ context.Context, phoneNumbers []string) ([]connector.Binding, error) {
	var found []connector.Binding
	for _, n := range phoneNumbers {
		if at, ok := s[n]; ok {
			found = append(found, connector.Binding{PhoneNumber: n, VerifiedAt: connector.Instant{Time: at}})
		}
	}
	return found, nil
}

// A Go program joins with its own Database. This hub has one task: the number's present holder has had it since 2024.
func Example() {
	ctx, stop := context.WithCancel(context.Background())
	hub := httptest.NewServer(oneTaskHub(stop))
	defer hub.Close()

	c, err := connector.New(connector.Options{
		Hub:          hub.URL,
		ClientID:     "shop",
		ClientSecret: "from the hub's operator",
		Database:     shop{"+8613812345678": time.Date(2021, 3, 1, 12, 0, 0, 0, time.UTC)},
		Log:          slog.New(slog.DiscardHandler),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := c.Run(ctx); err != nil { // until ctx ends
		fmt.Println(err)
	}
	fmt.Println("answered:", c.Stats().Answered)
	// Output:
	// {"results":[{"id":"task-1","outcome":"count","accounts":0,"left":1,"undated":0}]}
	// answered: 1
}

// oneTaskHub speaks the app protocol for a single task and prints the answer.
func oneTaskHub(answered func()) http.Handler {
	hub := http.NewServeMux()
	hub.HandleFunc("POST /oauth2/token", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"access_token":"t","token_type":"Bearer","expires_in":600,"scope":"app"}`)
	})
	tasks := make(chan string, 1)
	tasks <- `{"id":"task-1","kind":"count","subject":{"phoneNumber":"+8613812345678"},
		"tenureStart":"2024-05-01T10:00:00+08:00","deadline":"2026-05-03T10:00:00+08:00"}`
	hub.HandleFunc("POST /app/v1/tasks/lease", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		select {
		case task := <-tasks:
			_, _ = fmt.Fprintf(w, `{"tasks":[%s]}`, task)
		case <-r.Context().Done():
		}
	})
	hub.HandleFunc("POST /app/v1/tasks/results", func(w http.ResponseWriter, r *http.Request) {
		var body json.RawMessage
		_ = json.NewDecoder(r.Body).Decode(&body)
		fmt.Println(string(body))
		_, _ = io.WriteString(w, `{"results":[{"id":"task-1","accepted":true}]}`)
		answered()
	})
	return hub
}

// An SQL database needs a query and nothing else.
func ExampleOpenSQL() {
	folder, _ := os.MkdirTemp("", "connector")
	defer func() { _ = os.RemoveAll(folder) }()
	path := filepath.Join(folder, "users.db")
	db, _ := sql.Open("sqlite", path)
	_, _ = db.Exec(`CREATE TABLE users (mobile TEXT PRIMARY KEY, seen TEXT);
		INSERT INTO users VALUES ('13812345678', '2024-06-01 09:30:00')`)
	_ = db.Close()

	accounts, err := connector.OpenSQL(connector.SQLOptions{
		Driver:       "sqlite",
		URL:          path,
		Query:        `SELECT mobile AS phone_number, seen AS verified_at FROM users WHERE mobile IN (SELECT value FROM json_each($1))`,
		NumberFormat: connector.National,
		CountryCode:  "86",
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = accounts.Close() }()
	found, err := accounts.Bindings(context.Background(), []string{"+8613812345678", "+8613900000000"})
	fmt.Println(found, err)
	fmt.Println(found[0].VerifiedAt.Time)
	// Output:
	// [binding of +86138****5678] <nil>
	// 2024-06-01 09:30:00 +0800 CST
}
