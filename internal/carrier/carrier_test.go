package carrier_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"untether/internal/carrier"
	"untether/internal/ident"
	"untether/internal/phone"
	"untether/internal/search"
)

var number = phone.MustParse("+8613800000001")

// directory says which carrier serves every number.
type directory string

func (d directory) Serving(context.Context, phone.Number) (string, error) {
	if d == "broken" {
		return "", errors.New("no database")
	}
	return string(d), nil
}

var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}

func lastSix(t testing.TB) ident.LastSix {
	t.Helper()
	last, err := ident.ParseLastSix("31002x")
	if err != nil {
		t.Fatal(err)
	}
	return last
}

func ask(t testing.TB, d directory, url string, networks []netip.Prefix) (search.Match, error) {
	t.Helper()
	c, err := carrier.New(d, []carrier.Peer{{ID: "alpha", URL: url, Secret: "s3"}}, networks)
	if err != nil {
		t.Fatal(err)
	}
	return c.Match(t.Context(), number, lastSix(t))
}

func TestMatch(t *testing.T) {
	const start = "2023-05-01T10:00:00+08:00"
	yes := func(more string) string { return `{"match":true,"tenureStart":"` + start + `"` + more + `}` }
	for name, c := range map[string]struct {
		status  int
		answer  string
		matched bool
		fails   bool
	}{
		"yes":                       {200, yes(`,"tenureId":"t-1"`), true, false},
		"yes, with a later field":   {200, yes(`,"tenureId":"t-1","more":1`), true, false},
		"no":                        {200, `{"match":false}`, false, false},
		"yes without a tenure":      {200, yes(""), false, true},
		"yes without its start":     {200, `{"match":true,"tenureId":"t-1"}`, false, true},
		"yes since the year one":    {200, `{"match":true,"tenureId":"t-1","tenureStart":"0001-01-01T00:00:00Z"}`, false, true},
		"a tenure with a space":     {200, yes(`,"tenureId":"t 1"`), false, true},
		"a tenure with a NUL":       {200, yes(`,"tenureId":"t\u00001"`), false, true},
		"a tenure's name too long":  {200, yes(`,"tenureId":"` + strings.Repeat("t", 65) + `"`), false, true},
		"another language":          {200, `<match>true</match>`, false, true},
		"match is a word":           {200, `{"match":"yes"}`, false, true},
		"nothing":                   {200, ``, false, true},
		"too long":                  {200, `{"match":false` + strings.Repeat(" ", 1<<20) + `}`, false, true},
		"down":                      {503, `{"match":true}`, false, true},
		"a success of another kind": {201, yes(`,"tenureId":"t-1"`), false, true},
		"not found":                 {404, ``, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			peer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				if r.URL.String() != "/identity-matches" || r.Method != http.MethodPost || r.Header.Get("Authorization") != "Bearer s3" ||
					string(body) != `{"phoneNumber":"+8613800000001","idLast6":"31002X"}` {
					t.Errorf("asked %s %s %s", r.Method, r.URL, body)
				}
				w.WriteHeader(c.status)
				fmt.Fprint(w, c.answer)
			}))
			defer peer.Close()
			m, err := ask(t, "alpha", peer.URL, loopback)
			if m.Matched != c.matched || (err != nil) != c.fails {
				t.Fatalf("%+v, %v", m, err)
			}
			if at, _ := time.Parse(time.RFC3339, start); c.matched && (m.TenureID != "t-1" || !m.TenureStart.Equal(at)) {
				t.Errorf("%+v", m)
			}
			if err != nil && (strings.Contains(err.Error(), "31002") || strings.Contains(err.Error(), number.E164()) || strings.Contains(err.Error(), "s3")) {
				t.Errorf("the error tells %q", err)
			}
		})
	}
}

func TestNobodyToAsk(t *testing.T) {
	for d, fails := range map[directory]bool{"": false, "unconnected": false, "broken": true} {
		if m, err := ask(t, d, "http://127.0.0.1:1", loopback); m.Matched || (err != nil) != fails {
			t.Errorf("%q: %+v, %v", d, m, err)
		}
	}
}

// A redirect would carry the ID digits to wherever it points.
func TestRedirectsAreNotFollowed(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the redirect was followed") }))
	defer elsewhere.Close()
	for _, status := range []int{301, 302, 303, 307, 308} {
		peer := httptest.NewServer(http.RedirectHandler(elsewhere.URL, status))
		if m, err := ask(t, "alpha", peer.URL, loopback); err == nil {
			t.Errorf("%d: %+v", status, m)
		}
		peer.Close()
	}
}

func TestNetworks(t *testing.T) {
	reached := false
	peer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		reached = true
		fmt.Fprint(w, `{"match":false}`)
	}))
	defer peer.Close()
	_, port, err := net.SplitHostPort(peer.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	prefixes := func(all ...string) (networks []netip.Prefix) {
		for _, p := range all {
			networks = append(networks, netip.MustParsePrefix(p))
		}
		return networks
	}
	for name, c := range map[string]struct {
		host     string
		networks []netip.Prefix
		allowed  bool
	}{
		"inside":                         {"127.0.0.1", prefixes("127.0.0.0/8"), true},
		"a name that resolves inside":    {"localhost", prefixes("127.0.0.0/8", "::1/128"), true},
		"elsewhere":                      {"127.0.0.1", prefixes("10.0.0.0/8"), false},
		"a name that resolves elsewhere": {"localhost", prefixes("10.0.0.0/8", "2001:db8::/32"), false},
		"written as IPv6":                {"[::ffff:127.0.0.1]", prefixes("10.0.0.0/8"), false},
		"none configured":                {"127.0.0.1", nil, false},
	} {
		reached = false
		_, err := ask(t, "alpha", "http://"+c.host+":"+port, c.networks)
		if (err == nil) != c.allowed || reached != c.allowed {
			t.Errorf("%s: %v, reached %v", name, err, reached)
		}
	}
}

// Whoever does not answer is given up when the caller's own time is over, and by the client's at the latest.
func TestSilence(t *testing.T) {
	release := make(chan struct{})
	peer := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	defer peer.Close()
	defer close(release)
	c, err := carrier.New(directory("alpha"), []carrier.Peer{{ID: "alpha", URL: peer.URL}}, loopback)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := c.Match(ctx, number, lastSix(t)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("the caller's time: %v", err)
	}
	var late net.Error
	if _, err := c.Match(t.Context(), number, lastSix(t)); !errors.As(err, &late) || !late.Timeout() {
		t.Errorf("the client's own: %v", err)
	}
}

func TestAddresses(t *testing.T) {
	if _, err := carrier.New(directory(""), []carrier.Peer{{ID: "alpha", URL: "carrier"}}, nil); err == nil || !strings.Contains(err.Error(), "alpha") {
		t.Errorf("%v", err)
	}
}

func FuzzAnswer(f *testing.F) {
	f.Add(`{"match":true,"tenureId":"t","tenureStart":"2023-05-01T10:00:00+08:00"}`)
	f.Add(`{"match":false}`)
	var text string
	peer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, text) }))
	f.Cleanup(peer.Close)
	c, err := carrier.New(directory("alpha"), []carrier.Peer{{ID: "alpha", URL: peer.URL}}, loopback)
	if err != nil {
		f.Fatal(err)
	}
	last := lastSix(f)
	f.Fuzz(func(t *testing.T, answer string) {
		text = answer
		m, err := c.Match(t.Context(), number, last)
		if m.Matched && (err != nil || m.TenureID == "" || strings.ContainsAny(m.TenureID, " \x00") || m.TenureStart.IsZero()) {
			t.Errorf("%q is believed: %+v", answer, m)
		}
	})
}
