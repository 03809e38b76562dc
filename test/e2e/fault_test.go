package e2e

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"errors"

	"untether/internal/phone"
	"untether/internal/store/storetest"
)

// townPeople is enough for every kind of person that the faults need.
const townPeople = 150

// inTown runs a test in a small town of its own, on every database.
func inTown(t *testing.T, test func(t *testing.T, w *town)) {
	storetest.EachAddress(t, func(t *testing.T, address string) { test(t, openTown(t, address, townPeople)) })
}

// nothingMore goes ahead on the country's clock and checks that a handset then holds no further text.
func (w *world) nothingMore(t *testing.T, number string, by time.Duration) {
	t.Helper()
	before := must(w.messages(t.Context(), number))(t)
	check(t, w.advance(t.Context(), by))
	check(t, w.quiet(t.Context()))
	if after := must(w.messages(t.Context(), number))(t); len(after) != len(before) {
		t.Errorf("%d texts more: %+v", len(after)-len(before), after[len(before):])
	}
}

// An app that is down past the deadline is named as unanswered; what it says later is shown, and texted to nobody.
func TestAppDownPastTheDeadline(t *testing.T) {
	inTown(t, func(t *testing.T, w *town) {
		ctx, p := t.Context(), w.users(t, 1, "alipay")[0]
		check(t, w.behave(ctx, "alipay", "down"))
		s := must(w.begin(ctx, p))(t)
		must(w.awaitReport(ctx, s, "all others answer", func(r report) bool { return len(r.with("answered")) == 15 }))(t)
		if replies := must(w.replies(ctx, p.PhoneNumber))(t); len(replies) != 0 {
			t.Fatalf("a reply before the deadline: %q", replies)
		}
		check(t, w.advance(ctx, 48*time.Hour))
		text := must(w.awaitReply(ctx, p.PhoneNumber, within))(t)
		r := must(w.awaitReport(ctx, s, "replied", func(r report) bool { return r.Status == "replied" }))(t)
		if got := r.with("pending"); !slices.Equal(got, []string{"alipay"}) {
			t.Errorf("pending: %v", got)
		}
		names := must(w.names(ctx, p.Language))(t)
		if !strings.Contains(text, names["alipay"]) {
			t.Errorf("the app that did not answer is not named: %s", text)
		}
		check(t, errors.Join(same(r, p.Accounts, "alipay"), w.saysExactly(ctx, p, text, r)))

		check(t, w.behave(ctx, "alipay", "normal"))
		r = must(w.awaitReport(ctx, s, "the late answer shows", func(r report) bool { return len(r.with("late")) == 1 }))(t)
		check(t, same(r, p.Accounts))
		w.nothingMore(t, p.PhoneNumber, time.Hour)
	})
}

// A slow app is waited for, also when its lease runs out meanwhile, and counts once.
func TestSlowApp(t *testing.T) {
	inTown(t, func(t *testing.T, w *town) {
		ctx, p := t.Context(), w.users(t, 1, "wechat")[0]
		check(t, w.behave(ctx, "wechat", "slow"))
		s := must(w.begin(ctx, p))(t)
		must(w.awaitReport(ctx, s, "all others answer", func(r report) bool { return len(r.with("answered")) == 15 }))(t)
		step := 0
		r := must(w.awaitReport(ctx, s, "the slow one answers", func(r report) bool {
			if step++; step%25 == 0 && len(r.with("pending")) > 0 {
				check(t, w.advance(ctx, 5*time.Second))
			}
			return len(r.with("answered")) == 16
		}))(t)
		check(t, same(r, p.Accounts))
		text := must(w.awaitReply(ctx, p.PhoneNumber, within))(t)
		r = must(w.awaitReport(ctx, s, "replied", func(r report) bool { return r.Status == "replied" }))(t)
		check(t, w.saysExactly(ctx, p, text, r))
		w.nothingMore(t, p.PhoneNumber, time.Hour)
	})
}

// An app that answers nonsense has failed: it is named as unanswered, reported, and not a number of it is believed.
func TestAppAnswersGarbage(t *testing.T) {
	inTown(t, func(t *testing.T, w *town) {
		ctx, p := t.Context(), w.users(t, 1, "taobao")[0]
		check(t, w.behave(ctx, "taobao", "garbage"))
		s := must(w.begin(ctx, p))(t)
		text := must(w.awaitReply(ctx, p.PhoneNumber, within))(t)
		r := must(w.awaitReport(ctx, s, "replied", func(r report) bool { return r.Status == "replied" }))(t)
		if got := r.with("failed"); !slices.Equal(got, []string{"taobao"}) {
			t.Errorf("failed: %v", got)
		}
		for _, a := range r.Apps {
			if c, told := a.counts(); a.App == "taobao" && told {
				t.Errorf("nonsense is told as %+v", c)
			}
		}
		check(t, errors.Join(same(r, p.Accounts, "taobao"), w.saysExactly(ctx, p, text, r)))
		if n := must(w.metric(ctx, "untether_answers_nonsense_total"))(t); n != 1 {
			t.Errorf("%v nonsensical answers were counted", n)
		}
		check(t, w.behave(ctx, "taobao", "normal"))
		w.nothingMore(t, p.PhoneNumber, time.Hour)
		r = must(w.report(ctx, s))(t)
		if got := r.with("failed"); !slices.Equal(got, []string{"taobao"}) {
			t.Errorf("a failed app was asked again: %+v", r)
		}
	})
}

// While a carrier is down people are told to come back; the code stays good and no identity try is lost.
func TestCarrierDown(t *testing.T) {
	inTown(t, func(t *testing.T, w *town) {
		ctx, p := t.Context(), w.users(t, 1, "wechat")[0]
		codeID, code, err := w.verify(ctx, p)
		check(t, err)
		check(t, w.Country.SetCarrierDown(p.Carrier, true))
		for range 5 { // more often than there are identity tries
			_, err := w.start(ctx, p, codeID, code)
			var no *refusal
			if !errors.As(err, &no) || no.Status != http.StatusServiceUnavailable || no.Code != "CARRIER_UNAVAILABLE" || no.RetryAfter == "" {
				t.Fatalf("%v", err)
			}
		}
		check(t, w.Country.SetCarrierDown(p.Carrier, false))
		s := must(w.start(ctx, p, codeID, code))(t)
		must(w.awaitReply(ctx, p.PhoneNumber, within))(t)
		r := must(w.awaitReport(ctx, s, "replied", func(r report) bool { return r.Status == "replied" }))(t)
		check(t, errors.Join(same(r, p.Accounts), w.saysExactly(ctx, p, w.onlyReply(t, p.PhoneNumber), r)))
	})
}

// The SMS centre is away for an hour: the replies wait and then come once; a code that expired meanwhile never comes.
func TestCentreDownForAnHour(t *testing.T) {
	inTown(t, func(t *testing.T, w *town) {
		ctx, p := t.Context(), w.users(t, 2, "wechat")
		codeID, code, err := w.verify(ctx, p[0])
		check(t, err)
		w.Country.SetCentreDown(true)
		eventually(t, "the hub lost the SMS centre", func() (bool, error) {
			bound, err := w.metric(ctx, "untether_sms_centre_bound")
			return bound == 0, err
		})
		s := must(w.start(ctx, p[0], codeID, code))(t)
		must(w.askCode(ctx, p[1], ""))(t)
		r := must(w.awaitReport(ctx, s, "all apps answer", func(r report) bool { return len(r.with("answered")) == 16 }))(t)
		for range 6 {
			check(t, w.advance(ctx, 10*time.Minute))
			if r = must(w.report(ctx, s))(t); r.Status != "collecting" {
				t.Fatalf("nothing can have been sent, and the search is %s", r.Status)
			}
		}
		w.Country.SetCentreDown(false)
		eventually(t, "the reply is handed over", func() (bool, error) {
			if err := w.advance(ctx, 100*time.Millisecond); err != nil { // binding again takes seconds of the country's clock
				return false, err
			}
			r, err = w.report(ctx, s)
			return r.Status == "replied", err
		})
		text := must(w.awaitReply(ctx, p[0].PhoneNumber, within))(t)
		check(t, errors.Join(same(r, p[0].Accounts), w.saysExactly(ctx, p[0], text, r)))
		w.nothingMore(t, p[0].PhoneNumber, time.Hour)
		w.onlyReply(t, p[0].PhoneNumber)
		if got := must(w.messages(ctx, p[1].PhoneNumber))(t); len(got) != 0 {
			t.Errorf("a code came after it had expired: %+v", got)
		}
	})
}

// A handset that is off lets the text expire; the receipt says so, and the text is sent again until it arrives.
func TestHandsetOff(t *testing.T) {
	inTown(t, func(t *testing.T, w *town) {
		ctx, p := t.Context(), w.users(t, 1, "wechat")[0]
		codeID, code, err := w.verify(ctx, p)
		check(t, err)
		number := phone.MustParse(p.PhoneNumber)
		w.Country.SetHandset(number, false)
		s := must(w.start(ctx, p, codeID, code))(t)
		eventually(t, "a receipt of failure", func() (bool, error) {
			failed, err := w.metric(ctx, "untether_texts_undelivered_parts_total")
			return failed > 0, err
		})
		if got := must(w.replies(ctx, p.PhoneNumber))(t); len(got) != 0 {
			t.Fatalf("a handset that is off received %q", got)
		}
		w.Country.SetHandset(number, true)
		eventually(t, "the text comes again", func() (bool, error) {
			if err := w.advance(ctx, 100*time.Millisecond); err != nil {
				return false, err
			}
			replies, err := w.replies(ctx, p.PhoneNumber)
			return len(replies) > 0, err
		})
		r := must(w.awaitReport(ctx, s, "replied", func(r report) bool { return r.Status == "replied" }))(t)
		check(t, w.saysExactly(ctx, p, w.onlyReply(t, p.PhoneNumber), r))
		w.nothingMore(t, p.PhoneNumber, time.Hour)
	})
}

// ended waits until a search tells nothing any more.
func (w *world) ended(ctx context.Context, t *testing.T, s search) {
	t.Helper()
	r := must(w.awaitReport(ctx, s, "the search is void", func(r report) bool { return r.Status == "void" }))(t)
	if len(r.with("pending")) != len(r.Apps) || r.RepliedAt != nil {
		t.Errorf("a void search tells %+v", r)
	}
}
