package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/spf13/cobra"
)

// The program itself runs when this is set, so that tests meet a real process with real pipes and signals.
const asProgram = "UNTETHER_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
	}
	os.Exit(m.Run())
}

// within bounds how long a program may take before the test gives it up.
const within = time.Minute

func program(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), within)
	t.Cleanup(cancel)
	c := exec.CommandContext(ctx, os.Args[0], args...)
	c.Env = append(os.Environ(), asProgram+"=1", "DISPLAY=", "WAYLAND_DISPLAY=", "TMPDIR="+t.TempDir())
	c.Dir = t.TempDir()
	return c
}

// finish runs a program to its end.
func finish(t *testing.T, c *exec.Cmd) (status int, stdout, stderr string) {
	t.Helper()
	var out, words strings.Builder
	c.Stdout, c.Stderr = &out, &words
	err := c.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return c.ProcessState.ExitCode(), out.String(), words.String()
}

func TestStatusesAndWords(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	folder := t.TempDir()
	path := func(name, text string) string {
		p := filepath.Join(folder, name)
		if err := os.WriteFile(p, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return p
	}
	good := serveConfig(t, folder, taken.Addr().String())
	unused := serveConfig(t, t.TempDir(), taken.Addr().String())
	tests := []struct {
		name           string
		args           string
		want           int
		stdout, stderr string
	}{
		{"nothing", "", 2, "", "untether demo"},
		{"help", "--help", 0, "untether connect --config", ""},
		{"help of a command", "serve --help", 0, "--config FILE", ""},
		{"a command that there is not", "dance", 2, "", `there is no command "dance"`},
		{"a slip of the pen", "serv", 2, "", "did you mean serve?"},
		{"a flag that there is not", "demo --fast", 2, "", "unknown flag: --fast"},
		{"a flag without its value", "serve --config", 2, "", "flag needs an argument"},
		{"an argument too many", "demo now", 2, "", `it takes no argument, but got "now"`},
		{"version", "version", 0, "untether ", ""},
		{"version as a flag", "--version", 0, "untether ", ""},
		{"version of something", "version 2", 2, "", "no argument"},
		{"serve without a configuration", "serve", 2, "", "deploy/untether.example.yaml"},
		{"serve says what it needs", "serve", 2, "", "root key"},
		{"serve with no such file", "serve --config none.yaml", 2, "", "none.yaml: no such file"},
		{"serve with bad YAML", "serve --config " + path("bad.yaml", "listen: [\n"), 2, "", "line"},
		{"serve with an unknown key", "serve --config " + path("odd.yaml", "listen: 127.0.0.1:0\nlissen: x\n"), 2, "", `line 2: unknown field "lissen"`},
		{"serve with an empty file", "serve --config " + path("empty.yaml", ""), 2, "", "keyFile is missing"},
		{"serve with a folder", "serve --config " + folder, 2, "", "cannot be read"},
		{"serve on a taken address", "serve --config " + good, 1, "", "another program has it"},
		{"connect without a configuration", "connect", 2, "", "deploy/connector.example.yaml"},
		{"connect with no such file", "connect --config none.yaml", 2, "", "cannot be read"},
		{"connect with an unknown key", "connect --check --config " + path("c.yaml", "hubs: x\n"), 2, "", "hubs"},
		{"demo for everybody", "demo --listen 0.0.0.0:8080", 2, "", "loopback only"},
		{"demo nowhere", "demo --listen nowhere", 2, "", "loopback only"},
		{"demo on a taken address", "demo --listen " + taken.Addr().String(), 1, "", "--listen 127.0.0.1:0"},
		{"demo in a file", "demo --listen 127.0.0.1:0 --data " + path("file", ""), 1, "", "directory"},
		{"audit of nothing", "audit", 2, "", "verify"},
		{"audit of something else", "audit veryfi", 2, "", "did you mean verify?"},
		{"audit without a configuration", "audit verify", 2, "", "--config untether.yaml"},
		{"audit with a head that is none", "audit verify --config x --head 12", 2, "", "must look like"},
		{"audit of a database that is not there", "audit verify --config " + unused, 1, "", "the database: "},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			status, stdout, stderr := finish(t, program(t, strings.Fields(test.args)...))
			if status != test.want || !strings.Contains(stdout, test.stdout) || !strings.Contains(stderr, test.stderr) {
				t.Errorf("status %d, want %d\nstdout:\n%s\nstderr:\n%s", status, test.want, stdout, stderr)
			}
			if status == usage && stdout != "" {
				t.Errorf("words on stdout:\n%s", stdout)
			}
			if strings.Contains(stderr, "goroutine") {
				t.Errorf("a panic:\n%s", stderr)
			}
		})
	}
}

// serveConfig writes a configuration that can be used, with peers that are not there.
func serveConfig(t *testing.T, folder, listen string) string {
	t.Helper()
	text := fmt.Sprintf(`listen: %s
opsListen: 127.0.0.1:0
database: untether.db
keyFile: root.key
sms: {address: "127.0.0.1:1", systemId: untether, passwordFile: password}
networks: [127.0.0.0/8]
carriers:
  - {id: mobile, prefixes: ["+86138"], identityUrl: "http://127.0.0.1:1", secretFile: password}
log: {format: json}
`, listen)
	for name, content := range map[string]string{"untether.yaml": text, "root.key": strings.Repeat("a5", 32), "password": "hush"} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(folder, "untether.yaml")
}

func TestServeUntilItIsToldToStop(t *testing.T) {
	config := serveConfig(t, t.TempDir(), "127.0.0.1:0")
	c := program(t, "serve", "--config", config)
	words, err := c.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(words)
	var line struct{ Msg, URL, Ops string }
	for line.URL == "" {
		if !lines.Scan() {
			t.Fatal("it ended before it served")
		}
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			t.Fatalf("not a line of JSON: %s", lines.Text())
		}
	}
	for url, want := range map[string]int{line.URL + "/": 200, line.Ops + "/healthz": 200, line.Ops + "/readyz": 503, line.URL + "/metrics": 404,
		line.URL + "/sandbox/v1/people": 404, line.URL + "/handsets": 404} {
		response, err := http.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != want {
			t.Errorf("GET %s: %d, want %d", url, response.StatusCode, want)
		}
	}
	status, stdout, stderr := finish(t, program(t, "audit", "verify", "--json", "--config", config))
	if status != done || !strings.Contains(stdout, `"sound":true`) {
		t.Errorf("the trail of a running hub: %d %s %s", status, stdout, stderr)
	}
	if err := c.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	rest := ""
	for lines.Scan() {
		rest += lines.Text() + "\n"
	}
	if err := c.Wait(); err != nil || !strings.Contains(rest, `"stopped"`) {
		t.Errorf("stopped with %v:\n%s", err, rest)
	}
}

// begin starts a demo and gives what it says first.
func begin(t *testing.T) (c *exec.Cmd, welcome string) {
	t.Helper()
	c = program(t, "demo", "--listen", "127.0.0.1:0")
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	reader := bufio.NewReader(out)
	for !strings.Contains(welcome, "Ctrl-C") {
		line, err := reader.ReadString('\n')
		if err != nil {
			t.Fatalf("it ended after:\n%s", welcome)
		}
		welcome += line
	}
	return c, welcome
}

var portalAddress = regexp.MustCompile(`http://127\.0\.0\.1:[0-9]+/\n`)

func TestDemoInAPipe(t *testing.T) {
	c, welcome := begin(t)
	url := strings.TrimSpace(portalAddress.FindString(welcome))
	response, err := http.Get(url)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("the portal at %q: %v", url, err)
	}
	response.Body.Close()
	if strings.Contains(welcome, "\x1b") {
		t.Error("colours in a pipe")
	}
	for _, want := range []string{"清号", "号码 number", "last six", "/handsets", "/sandbox/v1/clock"} {
		if !strings.Contains(welcome, want) {
			t.Errorf("it does not say %q:\n%s", want, welcome)
		}
	}
	if err := c.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := c.Wait(); err != nil {
		t.Errorf("stopped with %v", err)
	}
	for _, setting := range c.Env {
		if dir, ok := strings.CutPrefix(setting, "TMPDIR="); ok {
			if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
				t.Errorf("left behind: %v, %v", left, err)
			}
		}
	}
}

// `untether demo | head -1` must not take the demo down, whose directory would stay behind.
func TestDemoOutlivesItsReader(t *testing.T) {
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	reader.Close()
	address := freeAddress(t)
	c := program(t, "demo", "--listen", address)
	c.Stdout = writer
	dir := t.TempDir()
	c.Env = append(c.Env, "TMPDIR="+dir)
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	writer.Close()
	waitFor(t, "http://"+address+"/")
	if err := c.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	err = c.Wait()
	if left, _ := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("ended with %v, left behind %v", err, left)
	}
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// waitFor asks until somebody answers.
func waitFor(t *testing.T, url string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	for {
		response, err := http.Get(url)
		if err == nil {
			response.Body.Close()
			return
		}
		if ctx.Err() != nil {
			t.Fatal(err)
		}
	}
}

func TestCommandsSayWhatTheyAreFor(t *testing.T) {
	var walk func(c *cobra.Command)
	walk = func(c *cobra.Command) {
		if c.Short == "" || strings.HasSuffix(c.Short, ".") {
			t.Errorf("%s: %q is not a title", c.CommandPath(), c.Short)
		}
		for _, below := range c.Commands() {
			walk(below)
		}
	}
	walk(rootCommand())
}

func TestWhichBrowser(t *testing.T) {
	for _, test := range []struct{ system, display, want string }{
		{"darwin", "", "open"}, {"windows", "", "rundll32"}, {"linux", ":0", "xdg-open"}, {"linux", "", ""}, {"freebsd", "", ""},
	} {
		env := func(name string) string { return map[string]string{"DISPLAY": test.display}[name] }
		if name, args := browserCommand(test.system, "http://127.0.0.1/", env); name != test.want || name != "" && args[len(args)-1] != "http://127.0.0.1/" {
			t.Errorf("%s with display %q: %s %v", test.system, test.display, name, args)
		}
	}
}

func TestVersionOfABuild(t *testing.T) {
	build := func(version, revision, modified string) *debug.BuildInfo {
		return &debug.BuildInfo{GoVersion: "go1.26", Main: debug.Module{Version: version},
			Settings: []debug.BuildSetting{{Key: "vcs.revision", Value: revision}, {Key: "vcs.modified", Value: modified}}}
	}
	for want, info := range map[string]*debug.BuildInfo{
		"v1.2.3 go1.26":                            build("v1.2.3", "0123456789abcdef", "false"),
		"development 0123456789ab go1.26":          build("(devel)", "0123456789abcdef", "false"),
		"development 0123456789ab modified go1.26": build("", "0123456789abcdef", "true"),
		"development go1.26":                       build("", "", ""),
	} {
		if got := described(info); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestColumns(t *testing.T) {
	for text, want := range map[string]int{"": 0, "name": 4, "姓名 name": 9, "“清号”": 6, "·": 1} {
		if got := columns(text); got != want {
			t.Errorf("%q is %d wide, want %d", text, got, want)
		}
	}
}
