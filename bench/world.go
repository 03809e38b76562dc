package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"regexp"
	"sync"
	"time"

	"untether/connector"
	"untether/internal/access"
	"untether/internal/catalog"
	"untether/internal/clock"
	"untether/internal/hub"
	"untether/internal/sandbox/centre"
)

// world is the hub's peers, in this process: a carrier, sixteen apps, an SMS centre, and the people.
type world struct {
	centre  *centre.Centre
	carrier net.Listener
	hub     *hubProcess
	client  *http.Client
	token   string
	stop    context.CancelFunc
	apps    sync.WaitGroup
}

const (
	clientSecret = "a secret of the bench"
	prefix       = "+8613"
)

func openWorld(ctx context.Context, database, profile string) (*world, error) {
	w := &world{client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 1024}}}
	var err error
	w.centre, err = centre.Open(centre.Options{Listen: "127.0.0.1:0", SystemIDs: map[string]string{systemID: password},
		Clock: clock.System{}, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, err
	}
	if w.carrier, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		return nil, err
	}
	go http.Serve(w.carrier, http.HandlerFunc(w.matchIdentity))
	clients := []access.Client{{ID: channelClient, SecretHash: access.HashSecret(clientSecret), Role: access.Channel, Scopes: []string{access.ScopeChannel}}}
	for _, app := range catalog.Default().IDs() {
		clients = append(clients, access.Client{ID: app, SecretHash: access.HashSecret(clientSecret), Role: access.App, Subject: app, Scopes: []string{access.ScopeApp}})
	}
	w.hub, err = startHub(plan{Database: database, Centre: w.centre.Addr(), Profile: profile, Clients: clients,
		Carrier: hub.Carrier{ID: "carrier", Prefixes: []string{prefix}, IdentityURL: "http://" + w.carrier.Addr().String(), Secret: "s"}})
	if err != nil {
		return nil, err
	}
	ctx, w.stop = context.WithCancel(ctx)
	for _, app := range catalog.Default().IDs() {
		c, err := connector.New(connector.Options{Hub: w.hub.url, ClientID: app, ClientSecret: clientSecret, Database: accounts{}, Concurrency: 1,
			Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			return nil, err
		}
		w.apps.Go(func() { c.Run(ctx) })
	}
	return w, w.authorize(ctx)
}

func (w *world) close() error {
	w.stop()
	w.apps.Wait()
	err := w.hub.stop()
	return errors.Join(err, w.carrier.Close(), w.centre.Close())
}

// matchIdentity says yes to everybody: the tenure began long ago.
func (w *world) matchIdentity(rw http.ResponseWriter, r *http.Request) {
	io.Copy(io.Discard, r.Body)
	rw.Header().Set("Content-Type", "application/json")
	io.WriteString(rw, `{"match":true,"tenureId":"t1","tenureStart":"2020-01-01T00:00:00Z"}`)
}

// accounts is an app's database in memory: one account a number, registered within the tenure.
type accounts struct{}

func (accounts) Bindings(_ context.Context, numbers []string) ([]connector.Binding, error) {
	bindings := make([]connector.Binding, len(numbers))
	at := connector.Instant{Time: time.Date(2024, 5, 1, 0, 0, 0, 0, time.UTC)}
	for i, n := range numbers {
		bindings[i] = connector.Binding{PhoneNumber: n, VerifiedAt: at}
	}
	return bindings, nil
}

func (w *world) authorize(ctx context.Context) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.hub.url+"/oauth2/token", bytes.NewBufferString("grant_type=client_credentials&scope=channel"))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth(channelClient, "a+secret+of+the+bench")
	var t struct {
		AccessToken string `json:"access_token"`
	}
	if err := w.do(req, http.StatusOK, &t); err != nil {
		return err
	}
	w.token = t.AccessToken
	return nil
}

func (w *world) post(ctx context.Context, path string, body any, status int, answer any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.hub.url+path, bytes.NewReader(text))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+w.token)
	return w.do(req, status, answer)
}

func (w *world) do(req *http.Request, status int, answer any) error {
	resp, err := w.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != status {
		return fmt.Errorf("%s: %s: %s", req.URL.Path, resp.Status, text)
	}
	return json.Unmarshal(text, answer)
}

func number(i int) string { return fmt.Sprintf("%s%09d", prefix, i) }

var sixDigits = regexp.MustCompile(`验证码(\d{6})`)

// search is one person's whole search, from the request for a code to the reply on the phone.
func (w *world) search(ctx context.Context, i int) error {
	n := number(i)
	var code struct {
		CodeID string `json:"codeId"`
	}
	if err := w.post(ctx, "/v1/codes", map[string]string{"phoneNumber": n}, http.StatusAccepted, &code); err != nil {
		return err
	}
	text, err := w.await(ctx, n, 1)
	if err != nil {
		return err
	}
	digits := sixDigits.FindStringSubmatch(text)
	if digits == nil {
		return errors.New("the first text holds no code")
	}
	var started struct{ ID string }
	err = w.post(ctx, "/v1/searches", map[string]string{"codeId": code.CodeID, "code": digits[1], "idLast6": "12345X"}, http.StatusCreated, &started)
	if err != nil {
		return err
	}
	_, err = w.await(ctx, n, 2)
	return err
}

// await gives the nth text of a handset.
func (w *world) await(ctx context.Context, number string, nth int) (string, error) {
	for {
		news, stop := w.centre.Watch(number)
		if m := w.centre.Messages(number); len(m) >= nth {
			stop()
			return m[nth-1].Text, nil
		}
		select {
		case <-news:
		case <-ctx.Done():
			stop()
			return "", ctx.Err()
		}
		stop()
	}
}
