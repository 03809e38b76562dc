package e2e

import (
	"errors"
	"testing"
	"time"
)

// freeze is how long a cancelled number rests.
const freeze = 90 * 24 * time.Hour

// newHolder is who gets a number next: they hold a foreign passport.
const newHolder, newPassport = "Nadia Benali", "PK4410275"

// A number cancelled in mid-search ends it at once: nothing is sent, then or ever, and after the freeze the next holder sees
// nothing of it and can search afresh.
func TestNumberCancelledInMidSearch(t *testing.T) {
	inTown(t, func(t *testing.T, w *town) {
		ctx, p := t.Context(), w.users(t, 1, "alipay")[0]
		check(t, w.behave(ctx, "alipay", "down"))
		s := must(w.begin(ctx, p))(t)
		must(w.awaitReport(ctx, s, "all others answer", func(r report) bool { return len(r.with("answered")) == 15 }))(t)
		check(t, w.act(ctx, p.PhoneNumber, "cancelled", "", ""))
		w.ended(ctx, t, s)
		check(t, w.behave(ctx, "alipay", "normal"))
		w.nothingMore(t, p.PhoneNumber, 49*time.Hour)
		w.ended(ctx, t, s)

		check(t, w.advance(ctx, freeze))
		check(t, w.act(ctx, p.PhoneNumber, "released", "", ""))
		check(t, w.act(ctx, p.PhoneNumber, "activated", newHolder, newPassport))
		if _, err := w.report(ctx, s); refused(err) != "NOT_FOUND" {
			t.Errorf("the old search can still be read: %v", err)
		}
		w.searchesAfresh(t, p.PhoneNumber, s)
	})
}

// A number handed over in mid-search is a new tenure at once: the next holder need not wait a day, and the former one's
// token, which still reads, reads nothing.
func TestNumberTransferredInMidSearch(t *testing.T) {
	inTown(t, func(t *testing.T, w *town) {
		ctx, p := t.Context(), w.users(t, 1, "alipay")[0]
		check(t, w.behave(ctx, "alipay", "down"))
		s := must(w.begin(ctx, p))(t)
		must(w.awaitReport(ctx, s, "all others answer", func(r report) bool { return len(r.with("answered")) == 15 }))(t)
		check(t, w.act(ctx, p.PhoneNumber, "transferred", newHolder, newPassport))
		w.ended(ctx, t, s)
		check(t, w.behave(ctx, "alipay", "normal"))
		check(t, w.advance(ctx, time.Minute)) // codes to one number keep that distance
		w.searchesAfresh(t, p.PhoneNumber, s)
		w.ended(ctx, t, s)
		w.nothingMore(t, p.PhoneNumber, 49*time.Hour)
		w.onlyReply(t, p.PhoneNumber)
	})
}

// A reply that waits for the SMS centre when the number is cancelled is never sent.
func TestNumberCancelledBeforeTheReplyIsSent(t *testing.T) {
	inTown(t, func(t *testing.T, w *town) {
		ctx, p := t.Context(), w.users(t, 1, "wechat")[0]
		codeID, code, err := w.verify(ctx, p)
		check(t, err)
		w.Country.SetCentreDown(true)
		s := must(w.start(ctx, p, codeID, code))(t)
		must(w.awaitReport(ctx, s, "all apps answer", func(r report) bool { return len(r.with("answered")) == 16 }))(t)
		check(t, w.advance(ctx, time.Minute))
		check(t, w.act(ctx, p.PhoneNumber, "cancelled", "", ""))
		w.ended(ctx, t, s)
		check(t, w.act(ctx, p.PhoneNumber, "restored", "", "")) // so that the handset could receive it
		w.Country.SetCentreDown(false)
		check(t, w.advance(ctx, time.Minute))
		eventually(t, "the SMS centre is bound", func() (bool, error) {
			bound, err := w.metric(ctx, "untether_sms_centre_bound")
			return bound == 1, err
		})
		w.nothingMore(t, p.PhoneNumber, time.Hour)
		if got := must(w.replies(ctx, p.PhoneNumber))(t); len(got) != 0 {
			t.Errorf("it was sent: %q", got)
		}
	})
}

// searchesAfresh is the next holder's own journey: a search of their own, in their language, with what is true for them.
func (w *town) searchesAfresh(t *testing.T, number string, former search) {
	t.Helper()
	ctx := t.Context()
	next := must(w.holder(ctx, number))(t)
	if next.Name != newHolder || next.Language != "en" {
		t.Fatalf("the number is held by %s, who speaks %s", next.Name, next.Language)
	}
	s := must(w.begin(ctx, next))(t)
	if s.ID == former.ID {
		t.Fatal("the next holder was given the former one's search")
	}
	text := must(w.awaitReply(ctx, number, within))(t)
	r := must(w.awaitReport(ctx, s, "replied", func(r report) bool { return r.Status == "replied" }))(t)
	own := 0
	for _, a := range r.Apps {
		c, _ := a.counts()
		own += c.Accounts
	}
	if own != 0 {
		t.Errorf("the next holder is told of %d accounts as their own", own)
	}
	check(t, errors.Join(same(r, next.Accounts), w.saysExactly(ctx, next, text, r)))
	if _, err := w.report(ctx, search{ID: s.ID, AccessToken: former.AccessToken}); refused(err) != "NOT_FOUND" {
		t.Errorf("the former holder's token reads the next one's search: %v", err)
	}
}
