package e2e

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"untether/internal/store/storetest"
)

// Thirty different people ask once each and hear from every app: what is true, in one text, in their language.
func TestEverybodyHearsFromEveryApp(t *testing.T) {
	storetest.EachAddress(t, func(t *testing.T, address string) {
		w := openTown(t, address, 600)
		crowd := w.crowd(t)
		took := make([]time.Duration, len(crowd))
		failures := inParallel(len(crowd), 5, func(i int) (err error) {
			took[i], err = w.journey(t.Context(), crowd[i].person)
			if err != nil {
				err = fmt.Errorf("%s: %w", crowd[i].kind, err)
			}
			return err
		})
		check(t, failures)
		check(t, w.advance(t.Context(), time.Hour)) // whatever would be sent again is due by then
		check(t, w.quiet(t.Context()))
		for _, c := range crowd {
			if got := must(w.messages(t.Context(), c.PhoneNumber))(t); len(got) != 2 {
				t.Errorf("%s: %d texts, want a code and a reply: %+v", c.kind, len(got), got)
			}
		}
		slices.Sort(took)
		t.Logf("%d people; from the search to the reply: median %v, longest %v", len(crowd), took[len(took)/2], took[len(took)-1])
	})
}

// somebody is a person with the reason why they were picked.
type somebody struct {
	kind string
	person
}

// crowd picks thirty people of all kinds, three of whom hold a foreign passport.
func (w *town) crowd(t *testing.T) []somebody {
	t.Helper()
	blocks := map[string][]string{}
	for _, k := range w.Country.Setup().Carriers {
		blocks[k.ID] = k.Prefixes
	}
	total := func(p person) (c counts, most int) {
		for _, a := range p.Accounts {
			c.Accounts, c.Left, c.Undated = c.Accounts+a.Accounts, c.Left+a.Left, c.Undated+a.Undated
			most = max(most, a.Accounts)
		}
		return c, most
	}
	var crowd []somebody
	taken := map[string]bool{}
	for _, k := range []struct {
		kind  string
		n     int
		holds func(person) bool
	}{
		{"no account", 4, func(p person) bool { c, _ := total(p); return c == counts{} }},
		{"several accounts in one app", 5, func(p person) bool { _, most := total(p); return most > 1 }},
		{"something left by someone before", 5, func(p person) bool { c, _ := total(p); return c.Left > 0 }},
		{"undated accounts", 5, func(p person) bool { c, _ := total(p); return c.Undated > 0 }},
		{"ported number", 4, func(p person) bool {
			return !slices.ContainsFunc(blocks[p.Carrier], func(prefix string) bool { return strings.HasPrefix(p.PhoneNumber, prefix) })
		}},
		{"speaks English", 4, func(p person) bool { return p.Language == "en" }},
	} {
		for _, p := range must(w.some(t.Context(), k.n, func(p person) bool { return !taken[p.PhoneNumber] && k.holds(p) }))(t) {
			taken[p.PhoneNumber] = true
			crowd = append(crowd, somebody{k.kind, p})
		}
	}
	for i, p := range must(w.some(t.Context(), 3, func(p person) bool { return !taken[p.PhoneNumber] && p.Language == "zh-CN" }))(t) {
		check(t, w.act(t.Context(), p.PhoneNumber, "transferred", "Ana García", fmt.Sprintf("XDB12345%d", i)))
		crowd = append(crowd, somebody{"foreign passport", must(w.holder(t.Context(), p.PhoneNumber))(t)})
	}
	return crowd
}

// journey is one person's whole way, compared with what is true. It tells how long the reply took.
func (w *world) journey(ctx context.Context, p person) (time.Duration, error) {
	codeID, code, err := w.verify(ctx, p)
	if err != nil {
		return 0, err
	}
	asked := system.Now()
	s, err := w.start(ctx, p, codeID, code)
	if err != nil {
		return 0, err
	}
	text, err := w.awaitReply(ctx, p.PhoneNumber, within)
	if err != nil {
		return 0, err
	}
	took := system.Now().Sub(asked)
	r, err := w.awaitReport(ctx, s, "the report says replied", func(r report) bool { return r.Status == "replied" })
	if err != nil {
		return took, err
	}
	if n := len(r.with("answered")); n != 16 || len(s.Apps) != 16 {
		return took, fmt.Errorf("%d of %d apps answered", n, len(s.Apps))
	}
	return took, errors.Join(same(r, p.Accounts), w.saysExactly(ctx, p, text, r), w.fromShortCode(ctx, p.PhoneNumber))
}

func (w *world) fromShortCode(ctx context.Context, number string) error {
	messages, err := w.messages(ctx, number)
	for _, m := range messages {
		if m.From != "10699000" {
			err = errors.Join(err, fmt.Errorf("a text came from %s", m.From))
		}
	}
	return err
}

// quiet waits until no text is on its way: a code for somebody else, asked for now, has come. That somebody uses none of
// the apps by which tests pick people.
func (w *world) quiet(ctx context.Context) error {
	bystanders, err := w.some(ctx, 1, func(p person) bool {
		codes, err := w.codes(ctx, p)
		return err == nil && len(codes) == 0 &&
			p.Accounts["wechat"] == counts{} && p.Accounts["alipay"] == counts{} &&
			p.Accounts["taobao"] == counts{}
	})
	if err != nil {
		return err
	}
	_, _, err = w.verify(ctx, bystanders[0])
	return err
}

// inParallel does n things, so many at a time, and joins what went wrong.
func inParallel(n, atATime int, do func(i int) error) error {
	errs := make([]error, n)
	next := make(chan int)
	var workers sync.WaitGroup
	for range atATime {
		workers.Go(func() {
			for i := range next {
				errs[i] = do(i)
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	workers.Wait()
	return errors.Join(errs...)
}
