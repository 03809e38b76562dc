package search

import (
	"context"
	"encoding/json"
	"log/slog"
	"slices"
	"sync"
	"time"
	"unicode/utf16"

	"untether/internal/audit"
	"untether/internal/catalog"
	"untether/internal/clock"
	"untether/internal/phone"
	"untether/internal/texts"
	"untether/internal/words"
	"untether/internal/work"
)

// ReplyStyle is what a reply says besides the answers.
type ReplyStyle struct {
	ShortCode string                    // whom the texts come from
	Place     *time.Location            // whose civil time the text tells
	Service   map[words.Language]string // where to look closer: the service's name …
	Menu      map[words.Language]string // … and the entry of its menu; never a link
}

// textKeptFor is how long the reply is tried: the handset may be off for days.
const textKeptFor = 7 * 24 * time.Hour

// closer collects the searches that an answer just touched, so that many are closed in one transaction.
type closer struct {
	mu      sync.Mutex
	touched map[Key]struct{}
	bell    chan struct{}
}

func (c *closer) touch(keys []Key) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.touched == nil {
		c.touched = map[Key]struct{}{}
	}
	for _, k := range keys {
		c.touched[k] = struct{}{}
	}
	if c.bell != nil && len(keys) > 0 {
		close(c.bell)
		c.bell = nil
	}
}

func (c *closer) take() []Key {
	c.mu.Lock()
	defer c.mu.Unlock()
	keys := make([]Key, 0, len(c.touched))
	for k := range c.touched {
		keys = append(keys, k)
	}
	clear(c.touched)
	return keys
}

// listen gives a channel that is closed at the next touch, at once when there was one.
func (c *closer) listen() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	bell := make(chan struct{})
	if len(c.touched) > 0 {
		close(bell)
	} else {
		c.bell = bell
	}
	return bell
}

const (
	sweepEvery = time.Minute
	sweepMax   = 500
	// A process that dies between an answer and the closing leaves a search behind. It looks at all of them when it starts
	// again; in the meantime another replica finds those that were requested lately, which nearly all of them were.
	leftBehindWithin = 10 * time.Minute
)

// Run closes searches until ctx ends: those that have all their answers, those whose deadline has come, and, after a crash,
// those that were left behind.
func (s *Service) Run(ctx context.Context, log *slog.Logger) error {
	next, from := s.Clock.Now(), time.Time{}
	for ctx.Err() == nil {
		if now := s.Clock.Now(); !now.Before(next) {
			var err error
			if next, err = s.sweep(ctx, from); err != nil {
				log.Error("due searches cannot be closed", "error", err)
				next = now.Add(time.Second)
			} else {
				from = now.Add(ReplyWithin - leftBehindWithin)
			}
		}
		if err := s.closeTouched(ctx); err != nil {
			log.Error("answered searches cannot be closed now; the sweep will", "error", err)
			next = s.Clock.Now().Add(time.Second)
		}
		if await(ctx, s.Clock, next, s.closer.listen()) != nil {
			return nil
		}
		clock.Wait(ctx, s.Clock, s.Clock.Now().Add(gatherFor)) // the other apps' answers come at about the same time
	}
	return nil
}

func (s *Service) closeTouched(ctx context.Context) error {
	for keys := s.closer.take(); len(keys) > 0; {
		n := min(len(keys), sweepMax)
		if err := s.Close(ctx, keys[:n]); err != nil {
			return err
		}
		keys = keys[n:]
	}
	return nil
}

// sweep closes what is due, and what was left behind of the searches whose deadline is from or later; it tells when to sweep
// next.
func (s *Service) sweep(ctx context.Context, from time.Time) (time.Time, error) {
	now := s.Clock.Now()
	err := s.closeAll(ctx, func(ctx context.Context, tx Tx) ([]Key, error) { return tx.DueSearches(ctx, now, sweepMax) })
	if err != nil {
		return now, err
	}
	err = s.closeAll(ctx, func(ctx context.Context, tx Tx) ([]Key, error) { return tx.AnsweredSearches(ctx, from, sweepMax) })
	if err != nil {
		return now, err
	}
	next := now.Add(sweepEvery)
	err = s.Store.ReadSearch(ctx, func(ctx context.Context, tx Tx) error {
		deadline, err := tx.NextDeadline(ctx)
		if !deadline.IsZero() && deadline.Before(next) {
			next = deadline
		}
		return err
	})
	return next, err
}

// closeAll closes what find gives until it gives nothing.
func (s *Service) closeAll(ctx context.Context, find func(context.Context, Tx) ([]Key, error)) error {
	for {
		var found []Key
		err := s.Store.ReadSearch(ctx, func(ctx context.Context, tx Tx) (err error) {
			found, err = find(ctx, tx)
			return err
		})
		if err != nil || len(found) == 0 {
			return err
		}
		if err := s.Close(ctx, found); err != nil {
			return err
		}
	}
}

// Close replies to those of the searches that are complete or due. The status in the database lets exactly one closer win.
func (s *Service) Close(ctx context.Context, searches []Key) error {
	now := s.Clock.Now()
	begun := 0
	err := s.Store.Search(ctx, func(ctx context.Context, tx Tx) error {
		closing, err := tx.BeginReplies(ctx, searches, now)
		if begun = len(closing); err != nil || begun == 0 {
			return err
		}
		keys := make([]Key, len(closing))
		for i, x := range closing {
			keys[i] = Key{x.Subject, x.ID}
		}
		tasks, err := tx.Tasks(ctx, keys)
		if err != nil {
			return err
		}
		return s.reply(ctx, tx, closing, tasks, now)
	})
	if err == nil && begun > 0 {
		s.counts.Closed.Add(int64(begun))
		s.Bells.Ring(work.Texts)
	}
	return err
}

func (s *Service) reply(ctx context.Context, tx Tx, closing []Search, tasks [][]work.Item, now time.Time) error {
	items := make([]work.Item, len(closing))
	entries := make([]audit.Entry, len(closing))
	for i, x := range closing {
		var err error
		if items[i], err = s.replyItem(x, tasks[i], now); err != nil {
			return err
		}
		entries[i] = audit.Entry{At: now, Actor: "hub", Action: "search.closed", Subject: x.Subject, Ref: x.ID}
	}
	if err := tx.AddWork(ctx, items); err != nil {
		return err
	}
	return tx.AddAudit(ctx, entries...)
}

func (s *Service) replyItem(x Search, tasks []work.Item, now time.Time) (work.Item, error) {
	n, err := s.openNumber(x)
	if err != nil {
		return work.Item{}, err
	}
	key := work.Key{Subject: x.Subject, Ref: x.ID, Lane: work.Texts}
	payload, err := json.Marshal(texts.Payload{To: n.E164(), From: s.Reply.ShortCode, Reference: texts.ReferenceOf(x.ID),
		Text: s.Reply.Compose(x.Language, n, now, reportApps(x, tasks), s.Catalog)})
	if err != nil {
		return work.Item{}, err
	}
	return work.Item{Key: key, Kind: texts.KindReply, Tenure: x.Tenure, Payload: s.Keys.Seal(texts.SealContext(key), payload),
		Due: now, Deadline: now.Add(textKeptFor)}, nil
}

// Compose writes the one reply. It names apps by the catalogue and says nothing that an app wrote.
// One that would be longer than an SMS centre takes names the first apps of each list only; the page has them all.
func (r ReplyStyle) Compose(lang words.Language, n phone.Number, now time.Time, apps []AppReport, names *catalog.Catalog) string {
	text := r.compose(lang, n, now, apps, names, len(apps))
	for most := len(apps) / 2; most > 0 && len(utf16.Encode([]rune(text))) > replyUnitsMax; most = most * 3 / 4 {
		text = r.compose(lang, n, now, apps, names, most)
	}
	return text
}

// replyUnitsMax is a little less than 20 parts of 67 UTF-16 units, the most that package sms sends.
const replyUnitsMax = 1300

// compose names at most so many apps in each list.
func (r ReplyStyle) compose(lang words.Language, n phone.Number, now time.Time, apps []AppReport, names *catalog.Catalog, most int) string {
	count := func(of func(AppReport) int) string {
		var list []string
		for _, a := range apps {
			if a.Status == Answered && of(a) > 0 {
				list = append(list, words.Say(lang, "sms.reply.app", "name", nameOf(a.App, lang, names), "count", of(a)))
			}
		}
		return r.list(lang, list, most)
	}
	named := func(which func(AppReport) bool) string {
		var list []string
		for _, a := range apps {
			if which(a) {
				list = append(list, nameOf(a.App, lang, names))
			}
		}
		return r.list(lang, list, most)
	}
	say := func(key, list string) string {
		if list == "" {
			return ""
		}
		return words.Say(lang, "sms.reply.separator") + words.Say(lang, key, "list", list)
	}
	text := words.Say(lang, "sms.reply.head", "date", words.Date(lang, now, r.Place), "tail", tail(n))
	if own := count(func(a AppReport) int { return a.Accounts }); own != "" {
		text += say("sms.reply.own", own)
	} else if slices.ContainsFunc(apps, func(a AppReport) bool { return a.Status == Answered }) { // where nobody looked, nothing was not found
		text += words.Say(lang, "sms.reply.separator") + words.Say(lang, "sms.reply.none")
	}
	text += say("sms.reply.left", count(func(a AppReport) int { return a.Left }))
	text += say("sms.reply.undated", count(func(a AppReport) int { return a.Undated }))
	text += say("sms.reply.empty", named(func(a AppReport) bool { return a.Status == Answered && a.Counts == Counts{} }))
	text += say("sms.reply.unanswered", named(func(a AppReport) bool { return a.Status != Answered }))
	text += words.Say(lang, "sms.reply.separator") + words.Say(lang, "sms.reply.where", "service", r.Service[lang], "menu", r.Menu[lang])
	return text + words.Say(lang, "sms.reply.separator") + words.Say(lang, "sms.reply.doubt")
}

func (ReplyStyle) list(lang words.Language, items []string, most int) string {
	text := ""
	for i, item := range items {
		if i > 0 {
			text += words.Say(lang, "sms.list.separator")
		}
		if i == most {
			return text + "…"
		}
		text += item
	}
	return text
}

func nameOf(app string, lang words.Language, names *catalog.Catalog) string {
	if a, ok := names.Find(app); ok {
		return a.Name.In(lang)
	}
	return app
}

func tail(n phone.Number) string {
	s := n.E164()
	return s[max(0, len(s)-4):]
}
