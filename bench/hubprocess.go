package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"os/exec"
	"os/signal"
	"runtime/pprof"
	"strconv"
	"strings"
	"syscall"
	"time"

	"untether/internal/access"
	"untether/internal/clock"
	"untether/internal/hub"
	"untether/internal/keys"
	"untether/internal/sms"
	"untether/internal/verification"
)

// hubMode is the argument under which this program is the hub.
const hubMode = "hub-process"

// plan is what the parent tells the hub's process.
type plan struct {
	Database string
	Centre   string // address of the SMS centre
	Carrier  hub.Carrier
	Clients  []access.Client
	Profile  string
}

// Names that both processes know.
const (
	systemID, password = "bench", "bench"
	channelClient      = "channel"
)

var wide = verification.Rate{Count: 1_000_000_000, Per: time.Minute, Burst: 1_000_000_000}

// runHub is the hub's process: it reads its plan, prints its addresses and works until it is told to end.
func runHub() error {
	var p plan
	if err := json.NewDecoder(os.Stdin).Decode(&p); err != nil {
		return err
	}
	ring, err := keys.New(keys.Generate())
	if err != nil {
		return err
	}
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer cancel()
	h, err := hub.Open(ctx, hub.Options{
		Clock: clock.System{}, Log: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})), Keys: ring,
		Database: p.Database, Listen: "127.0.0.1:0", OpsListen: "127.0.0.1:0",
		SMS:      sms.Config{Address: p.Centre, SystemID: systemID, Password: password, Window: 256},
		Carriers: []hub.Carrier{p.Carrier},
		Networks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
		Clients:  p.Clients,
		Channels: map[string]verification.Channel{channelClient: {ID: channelClient, Codes: wide, Guesses: wide}},
	})
	if err != nil {
		return err
	}
	if p.Profile != "" {
		f, err := os.Create(p.Profile)
		if err != nil {
			return err
		}
		defer f.Close()
		if err := pprof.StartCPUProfile(f); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	fmt.Println(h.URL(), h.OpsURL())
	return h.Run(ctx)
}

// hubProcess is a hub that runs beside this process.
type hubProcess struct {
	cmd      *exec.Cmd
	url, ops string
}

func startHub(p plan) (*hubProcess, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	h := &hubProcess{cmd: exec.Command(self, hubMode)}
	h.cmd.Stderr = os.Stderr
	in, err := h.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := h.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := h.cmd.Start(); err != nil {
		return nil, err
	}
	if err := json.NewEncoder(in).Encode(p); err != nil {
		return nil, err
	}
	in.Close()
	lines := bufio.NewReader(out)
	line, err := lines.ReadString('\n')
	if err != nil {
		return nil, fmt.Errorf("the hub did not start: %w", err)
	}
	go io.Copy(io.Discard, lines)
	_, err = fmt.Sscan(line, &h.url, &h.ops)
	return h, err
}

func (h *hubProcess) stop() error {
	if err := h.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	return h.cmd.Wait()
}

// cpu is the processor time that the hub has used so far.
func (h *hubProcess) cpu() time.Duration {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", h.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	user, _ := strconv.ParseInt(fields[11], 10, 64)
	system, _ := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * time.Second / 100 // the kernel's ticks
}

// memory is the hub's resident memory in MiB.
func (h *hubProcess) memory() int {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", h.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kib, _ := strconv.Atoi(strings.Fields(rest)[0])
			return kib >> 10
		}
	}
	return 0
}
