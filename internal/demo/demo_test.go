package demo_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"

	"untether/internal/demo"
)

// start runs a demo until the test stops it, which gives what Run returned.
func start(t *testing.T, o demo.Options) (*demo.Demo, func() error) {
	t.Helper()
	o.Listen, o.People = "127.0.0.1:0", 100
	d, err := demo.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()
	stopped := false
	stop := func() error {
		if stopped {
			return nil
		}
		stopped = true
		cancel()
		return <-ended
	}
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
	return d, stop
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	response, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(body)
}

func TestEveryDoorIsOpen(t *testing.T) {
	d, _ := start(t, demo.Options{})
	sample := d.Sample()
	for path, want := range map[string]string{
		"/": demo.Spaced(sample.PhoneNumber), "/handsets": sample.Name, "/sandbox/v1/people": `"people"`,
		"/sandbox/v1/credentials": `"tokenEndpoint"`, "/v1/apps": "alipay", "/openapi/channel.yaml": "openapi: 3",
	} {
		status, body := get(t, d.URL()+path)
		if status != http.StatusOK || !strings.Contains(body, want) {
			t.Errorf("GET %s: %d without %q", path, status, want)
		}
	}
	if status, _ := get(t, d.Hub.OpsURL()+"/healthz"); status != http.StatusOK {
		t.Errorf("health is %d", status)
	}
}

func TestATemporaryDirectoryIsRemoved(t *testing.T) {
	d, stop := start(t, demo.Options{})
	if _, err := os.Stat(d.Dir); err != nil {
		t.Fatal(err)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(d.Dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is still there: %v", d.Dir, err)
	}
}

func TestTheSameDirectoryIsTheSameCountry(t *testing.T) {
	dir := t.TempDir()
	first, stop := start(t, demo.Options{Dir: dir, Seed: 7})
	sample := first.Sample()
	response, err := http.Post(first.URL()+"/sandbox/v1/clock", "application/json", strings.NewReader(`{"advance":"48h"}`))
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("the clock cannot be moved: %v", err)
	}
	response.Body.Close()
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	second, _ := start(t, demo.Options{Dir: dir, Seed: 8})
	if second.Sample() != sample {
		t.Error("another sample person: the country was made afresh")
	}
	if second.Clock.Ahead().Hours() < 48 {
		t.Errorf("the clock stands only %v ahead", second.Clock.Ahead())
	}
}

func TestOnlyLoopback(t *testing.T) {
	for _, address := range []string{"0.0.0.0:0", ":0", "[::]:0", "192.0.2.1:0", "untether.example:0", "8080", "127.0.0.1"} {
		if _, err := demo.Open(t.Context(), demo.Options{Listen: address}); !errors.Is(err, demo.ErrNotLoopback) {
			t.Errorf("%s: %v", address, err)
		}
	}
}

func TestATakenAddressLeavesNothingBehind(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	t.Setenv("TMPDIR", t.TempDir())
	if _, err := demo.Open(t.Context(), demo.Options{Listen: taken.Addr().String(), People: 10}); err == nil {
		t.Fatal("opened on a taken address")
	}
	left, err := os.ReadDir(os.Getenv("TMPDIR"))
	if err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// A page of another site must not reach a demo that listens on loopback by a name of its own.
func TestOnlyByTheNamesOfThisMachine(t *testing.T) {
	d, _ := start(t, demo.Options{})
	request, err := http.NewRequest(http.MethodGet, d.URL()+"/sandbox/v1/people", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Host = "rebound.example"
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var answer struct{ Code string }
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil || response.StatusCode/100 != 4 || answer.Code == "" {
		t.Errorf("%d %+v, %v", response.StatusCode, answer, err)
	}
}

func TestSpaced(t *testing.T) {
	for in, want := range map[string]string{"+8613812345678": "138 1234 5678", "+85261234567": "+85261234567", "+861381234567": "+861381234567"} {
		if got := demo.Spaced(in); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
}
