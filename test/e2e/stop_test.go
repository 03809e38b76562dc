package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"untether/internal/store/storetest"
)

// Rounds of stopping with so many people on their way in each.
const stopRounds, stopPeople = 4, 12

// The hub is asked to stop with requests, leases and texts in flight, again and again. It ends well each time, nothing is
// lost, and because it ended well nothing is sent twice. A search that waits for an app lives through all of it. Then the
// trail is verified, and seen to be rewritten when somebody does that.
func TestStopsCleanly(t *testing.T) {
	storetest.EachAddress(t, func(t *testing.T, address string) {
		t.Parallel()
		ctx := t.Context()
		s := openServed(t, address, stopRounds*stopPeople+100)
		s.boot(t, address)
		waits := s.users(t, 1, "alipay")[0]
		check(t, s.behave(ctx, "alipay", "down"))
		long := must(s.begin(ctx, waits))(t)
		must(s.awaitReport(ctx, long, "all others answer", func(r report) bool { return len(r.with("answered")) == 15 }))(t)
		check(t, s.behave(ctx, "bilibili", "slow")) // so that leases are held
		others := must(s.some(ctx, stopRounds*stopPeople, func(p person) bool { return p.PhoneNumber != waits.PhoneNumber }))(t)
		accepted := make([]search, len(others))
		ended := make(chan error, 1)
		go func() {
			ended <- inParallel(len(others), stopPeople, func(i int) (err error) {
				accepted[i], err = s.insistentJourney(ctx, others[i])
				return err
			})
		}()
		for round := range stopRounds {
			check(t, pause(ctx, time.Duration(150+100*round)*time.Millisecond))
			t.Logf("stopped in %v", s.stop(t).Round(time.Millisecond))
			s.again(t)
		}
		check(t, <-ended)
		if r := must(s.report(ctx, long))(t); r.Status != "collecting" {
			t.Fatalf("the search that waits is %s", r.Status)
		}
		check(t, errors.Join(s.behave(ctx, "alipay", "normal"), s.behave(ctx, "bilibili", "normal")))
		others, accepted = append(others, waits), append(accepted, long)
		for i, p := range others {
			text := must(s.awaitReply(ctx, p.PhoneNumber, leasesEnd))(t)
			r := must(s.awaitReport(ctx, accepted[i], "replied", func(r report) bool { return r.Status == "replied" }))(t)
			check(t, errors.Join(same(r, p.Accounts), s.saysExactly(ctx, p, text, r)))
		}
		s.stop(t)
		for _, p := range others {
			if handed := must(s.tap.repliesTo(p.PhoneNumber))(t); len(handed) != 1 || handed[0].times != 1 {
				t.Errorf("handed over: %+v", handed)
			}
			s.onlyReply(t, p.PhoneNumber)
		}
		if got := statuses(t, address); got["replied"] != len(others) || len(got) != 1 {
			t.Errorf("searches in the database: %v, accepted %d", got, len(others))
		}
		s.verifyTrail(t, address)
	})
}

// insistentJourney goes up to the accepted search, through a hub that comes and goes.
func (w *world) insistentJourney(ctx context.Context, p person) (search, error) {
	codeID, err := insist(ctx, func() (string, error) { return w.askCode(ctx, p, "journey-"+p.PhoneNumber) })
	if err != nil {
		return search{}, fmt.Errorf("the code: %w", err)
	}
	code, err := w.readCode(ctx, p, 1, leasesEnd)
	if err != nil {
		return search{}, err
	}
	return insist(ctx, func() (search, error) { return w.start(ctx, p, codeID, code) })
}

// verifyTrail lets the program verify the trail of a hub that has ended, as it is and then rewritten.
func (s *served) verifyTrail(t *testing.T, database string) {
	t.Helper()
	verify := func() (status int, said struct {
		Sound      bool
		Rows       int
		FaultCount int
	}) {
		status, out, words, err := program(t.Context(), "audit", "verify", "--config", s.config, "--json")
		check(t, err)
		if err := json.Unmarshal([]byte(out), &said); err != nil {
			t.Fatalf("status %d: %v\n%s%s", status, err, out, words)
		}
		return status, said
	}
	if status, said := verify(); status != 0 || !said.Sound || said.Rows == 0 || said.FaultCount != 0 {
		t.Fatalf("status %d, %+v", status, said)
	}
	db := storetest.Dial(t, database)
	changed := must(db.ExecContext(t.Context(), `UPDATE audit SET action = 'search.forgotten' WHERE id =
		(SELECT MIN(id) FROM audit WHERE action = 'search.accepted' AND batch > 0)`))(t)
	if n := must(changed.RowsAffected())(t); n != 1 {
		t.Fatalf("%d rows were rewritten", n)
	}
	if status, said := verify(); status != 1 || said.Sound || said.FaultCount == 0 {
		t.Errorf("the trail was rewritten: status %d, %+v", status, said)
	}
	status, out, _, err := program(t.Context(), "audit", "verify", "--config", s.config)
	if check(t, err); status != 1 || !strings.Contains(out, "FAULT") {
		t.Errorf("the trail was rewritten: status %d\n%s", status, out)
	}
}
