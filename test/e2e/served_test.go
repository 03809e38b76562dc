package e2e

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"untether/internal/access"
	"untether/internal/clock"
	"untether/internal/keys"
	"untether/internal/sandbox"
	"untether/internal/store/storetest"
)

// theProgram builds the program once for all tests.
var theProgram = sync.OnceValues(func() (string, error) {
	folder, err := os.MkdirTemp("", "untether-e2e-")
	if err != nil {
		return "", err
	}
	builtIn = folder
	path := filepath.Join(folder, "untether")
	if out, err := exec.Command("go", "build", "-o", path, "untether/cmd/untether").CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return path, nil
})

var builtIn string

func TestMain(m *testing.M) {
	status := m.Run()
	if builtIn != "" {
		_ = os.RemoveAll(builtIn)
	}
	os.Exit(status)
}

// served is `untether serve` in a process of its own, against a country that lives here and outlives it.
type served struct {
	world
	address string // of its public listener
	peers   *sandbox.Country
	tap     *tap
	folder  string
	config  string
	process *exec.Cmd
	log     *os.File
}

// openServed makes the country and the configuration; boot starts the hub.
func openServed(t *testing.T, database string, people int) *served {
	t.Helper()
	s := &served{folder: t.TempDir(), address: freeAddress(t)}
	country, err := sandbox.Open(t.Context(), sandbox.Options{Dir: filepath.Join(s.folder, "country"), Clock: &clock.Movable{},
		Seed: 7, People: people})
	check(t, err)
	s.peers = country
	t.Cleanup(func() { check(t, country.Close()) })
	inspect := httptest.NewServer(country.Handler(noPages{}))
	t.Cleanup(inspect.Close)
	setup := country.Setup()
	s.tap = openTap(t, setup.SMS.Address)
	s.world = world{hub: "http://" + s.address, country: inspect.URL}
	s.channel = s.channelToken(setup)
	s.write(t, database, setup)
	s.log, err = os.Create(filepath.Join(s.folder, "hub.log"))
	check(t, err)
	t.Cleanup(func() {
		s.kill()
		check(t, s.log.Close())
		if t.Failed() {
			t.Logf("the hub's log ends:\n%s", tail(s.log.Name(), 4000))
		}
	})
	return s
}

// noPages serves the country's control API without its pages.
type noPages struct{ sandbox.Pages }

func (noPages) Protect(h http.Handler) http.Handler { return h }

func tail(path string, most int) string {
	text, _ := os.ReadFile(path)
	return string(text[max(0, len(text)-most):])
}

// freeAddress gives an address on loopback that was free a moment ago.
func freeAddress(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	defer func() { check(t, l.Close()) }()
	return l.Addr().String()
}

// channelToken gives the token of the country's channel, fetched once and again after a refusal to fetch it.
func (s *served) channelToken(setup sandbox.Setup) func(context.Context) (string, error) {
	var mu sync.Mutex
	var have string
	return func(ctx context.Context) (got string, err error) {
		mu.Lock()
		defer mu.Unlock()
		if have == "" {
			for _, c := range setup.Clients {
				if c.ID == sandbox.ChannelClient {
					have, err = token(ctx, s.hub, c.ID, c.Secret, "channel")
				}
			}
		}
		return have, err
	}
}

type yamlMap = map[string]any

// write makes the configuration file with everything that it names.
func (s *served) write(t *testing.T, database string, setup sandbox.Setup) {
	t.Helper()
	config := yamlMap{
		"listen": s.address, "keyFile": "root.key", "networks": []string{"127.0.0.0/8"}, "leaseSeconds": 2,
		"databaseFile": s.secret(t, "database", database),
		"sms": yamlMap{"address": s.tap.address(), "systemId": setup.SMS.SystemID, "passwordFile": s.secret(t, "sms", setup.SMS.Password),
			"reconnectMaxSeconds": 1},
		"channels": yamlMap{sandbox.ChannelClient: yamlMap{"codes": yamlMap{"count": 1_000_000, "perSeconds": 60, "burst": 1_000_000}}},
		"log":      yamlMap{"level": "info", "format": "text"},
	}
	var carriers, clients []yamlMap
	for _, c := range setup.Carriers {
		carriers = append(carriers, yamlMap{"id": c.ID, "prefixes": c.Prefixes, "identityUrl": c.IdentityURL,
			"secretFile": s.secret(t, "carrier-"+c.ID, c.Secret)})
	}
	for _, c := range setup.Clients {
		if c.Role != "checker" { // its scopes are of APIs that serve does not have
			clients = append(clients, yamlMap{"id": c.ID, "role": c.Role, c.Role: c.Subject, "secretHash": access.HashSecret(c.Secret)})
		}
	}
	for _, c := range clients {
		if c["role"] == "channel" {
			delete(c, "channel")
		}
	}
	config["carriers"], config["clients"] = carriers, clients
	_, _, err := keys.LoadOrCreate(filepath.Join(s.folder, "root.key"))
	check(t, err)
	s.config = filepath.Join(s.folder, "untether.yaml")
	writeYAML(t, s.config, config)
}

func writeYAML(t testing.TB, path string, config yamlMap) {
	t.Helper()
	check(t, os.WriteFile(path, must(yaml.Marshal(config))(t), 0o600))
}

// secret writes a file and gives its name.
func (s *served) secret(t testing.TB, name, value string) string {
	t.Helper()
	check(t, os.WriteFile(filepath.Join(s.folder, name), []byte(value+"\n"), 0o600))
	return name
}

// launch starts the hub's process and does not wait for it.
func (s *served) launch() error {
	path, err := theProgram()
	if err != nil {
		return err
	}
	s.process = exec.Command(path, "serve", "--config", s.config)
	s.process.Stderr = s.log
	return s.process.Start()
}

// up waits until the hub answers.
func (s *served) up(ctx context.Context) error {
	return await(ctx, "the hub answers", within, func() (bool, error) {
		c, err := net.DialTimeout("tcp", s.address, time.Second)
		if err != nil {
			return false, nil
		}
		return true, c.Close()
	})
}

// boot starts the hub for the first time and lets the country join.
func (s *served) boot(t testing.TB, database string) {
	t.Helper()
	since := system.Now()
	s.again(t)
	s.peers.Join(context.WithoutCancel(t.Context()), s.hub)
	informed(t, database, len(s.peers.Setup().Carriers), since)
}

// again starts the hub and waits until it answers.
func (s *served) again(t testing.TB) {
	t.Helper()
	check(t, s.launch())
	check(t, s.up(t.Context()))
}

// kill ends the hub's process by SIGKILL.
func (s *served) kill() {
	if s.process != nil {
		_ = s.process.Process.Kill()
		_ = s.process.Wait()
		s.process = nil
	}
}

// stop asks the hub to end, as a service manager does, and wants it to end well.
func (s *served) stop(t testing.TB) time.Duration {
	t.Helper()
	began := system.Now()
	check(t, s.process.Process.Signal(syscall.SIGTERM))
	err := s.process.Wait()
	s.process = nil
	if err != nil {
		t.Fatalf("asked to stop, the hub ended with: %v", err)
	}
	return system.Now().Sub(began)
}

// program runs a command to its end and gives its exit status and what it said.
func program(ctx context.Context, args ...string) (status int, stdout, stderr string, err error) {
	path, err := theProgram()
	if err != nil {
		return 0, "", "", err
	}
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	c := exec.CommandContext(ctx, path, args...)
	var out, words strings.Builder
	c.Stdout, c.Stderr = &out, &words
	err = c.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		err = nil
	}
	return c.ProcessState.ExitCode(), out.String(), words.String(), err
}

// informed waits until every carrier has reported all that it knew at an instant: before that a hub asks the wrong carrier
// about a ported number.
func informed(t testing.TB, database string, carriers int, since time.Time) {
	t.Helper()
	db := storetest.Dial(t, database)
	eventually(t, "all carriers have reported", func() (bool, error) {
		n := 0
		err := db.QueryRowContext(t.Context(), `SELECT COUNT(*) FROM carrier_marks WHERE as_of >= $1`, since.UnixMicro()).Scan(&n)
		return n == carriers, err
	})
}

// statuses counts the searches in the hub's database by status.
func statuses(t testing.TB, database string) map[string]int {
	t.Helper()
	rows, err := storetest.Dial(t, database).QueryContext(t.Context(), `SELECT status, COUNT(*) FROM searches GROUP BY status`)
	check(t, err)
	defer func() { _ = rows.Close() }()
	counted := map[string]int{}
	for rows.Next() {
		var status string
		var n int
		check(t, rows.Scan(&status, &n))
		counted[status] = n
	}
	check(t, rows.Err())
	return counted
}
