package apps

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"fmt"
	"log/slog"
	"math/big"
	"sync"
	"time"

	"untether/internal/clock"
	"untether/internal/fault"
	"untether/internal/phone"
	"untether/internal/sandbox/people"
	"untether/internal/sms"
	"untether/internal/tenure"
	"untether/internal/texts"
)

// Limits of a log-in.
const (
	codeLife      = 5 * time.Minute
	triesMax      = 5
	openCodesMax  = 10_000
	bindPatience  = 10 * time.Second
	bindPauseBeat = 50 * time.Millisecond
)

var (
	errCode   = fault.New(fault.Forbidden, "CODE_NOT_ACCEPTED", "The code is wrong, expired or used. Ask for a new one.")
	errCentre = fault.New(fault.Unavailable, "SMS_UNAVAILABLE", "The SMS centre does not take the text now.").After(10 * time.Second)
)

// logins is the codes that an app has sent and not seen yet.
type logins struct {
	mu    sync.Mutex
	codes map[phone.Number]*openCode
}

type openCode struct {
	code    string
	expires time.Time
	tries   int
}

// put keeps a code in place of an older one. When too many are open, those that ran out make room.
func (l *logins) put(n phone.Number, code string, now time.Time) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.codes == nil {
		l.codes = map[phone.Number]*openCode{}
	}
	if len(l.codes) >= openCodesMax {
		for other, c := range l.codes {
			if !now.Before(c.expires) {
				delete(l.codes, other)
			}
		}
	}
	if len(l.codes) >= openCodesMax {
		return errCentre
	}
	l.codes[n] = &openCode{code: code, expires: now.Add(codeLife)}
	return nil
}

// take accepts a code once.
func (l *logins) take(n phone.Number, code string, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	c, ok := l.codes[n]
	if !ok || !now.Before(c.expires) || c.tries >= triesMax {
		return false
	}
	c.tries++
	if subtle.ConstantTimeCompare([]byte(c.code), []byte(code)) != 1 {
		return false
	}
	delete(l.codes, n)
	return true
}

// SendCode texts a log-in code to the number, signed as the app signs, in the reader's language.
func (a *App) SendCode(ctx context.Context, n phone.Number, language string) error {
	code, err := newCode()
	if err != nil {
		return err
	}
	if err := a.logins.put(n, code, a.clock.Now()); err != nil {
		return err
	}
	text := fmt.Sprintf("【%s】验证码 %s，用于登录，5 分钟内有效。请勿告诉任何人。", a.Name.ZhCN, code)
	if language == "en" {
		text = fmt.Sprintf("【%s】%s is your log-in code, valid for 5 minutes. Do not tell it to anyone.", a.Name.En, code)
	}
	if err := a.sender.send(ctx, n, text); err != nil {
		return errCentre.Because(err)
	}
	return nil
}

func newCode() (string, error) {
	n, err := rand.Int(rand.Reader, big.NewInt(1_000_000))
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%06d", n), nil
}

// Entry is the account that a log-in opened.
type Entry struct {
	Account    string
	Registered tenure.Mark // zero: the app does not know
	IsNew      bool
}

// LogIn opens the account that is bound to the number, the one verified last when there are several, whoever left it.
// Without any it makes one. It moves no date of verification: nobody asked whether the holder is still the same.
func (a *App) LogIn(ctx context.Context, n phone.Number, code string) (Entry, error) {
	now := a.clock.Now()
	if !a.logins.take(n, code, now) {
		return Entry{}, errCode
	}
	found, err := a.database.find(ctx, []phone.Number{n})
	if err != nil {
		return Entry{}, err
	}
	if len(found) == 0 {
		return a.register(ctx, n, now)
	}
	best := found[0]
	for _, b := range found[1:] {
		if b.lastSeen().After(best.lastSeen()) {
			best = b
		}
	}
	_, err = a.database.db.ExecContext(ctx, a.database.touch, a.database.write(tenure.Instant(now)), best.account)
	return Entry{Account: best.account, Registered: best.registered}, err
}

func (b bound) lastSeen() time.Time {
	if b.verified.IsZero() {
		return b.registered.At
	}
	return b.verified.At
}

func (a *App) register(ctx context.Context, n phone.Number, now time.Time) (Entry, error) {
	id, err := rand.Int(rand.Reader, big.NewInt(9_000_000_000_000))
	if err != nil {
		return Entry{}, err
	}
	mark := tenure.Instant(now.In(people.Zone))
	fresh := people.Account{App: a.ID, ID: fmt.Sprint(id.Int64() + 1_000_000_000_000), Nickname: "新用户", Number: n,
		Registered: mark, Verified: mark, LastUsed: now}
	return Entry{Account: fresh.ID, Registered: mark, IsNew: true}, a.database.add(ctx, fresh)
}

// sender is the app's bind with the SMS centre, made when the first text is to be sent.
type sender struct {
	from   string
	client *sms.Client
	clock  clock.Clock
	ctx    context.Context
	stop   context.CancelFunc
	start  sync.Once
	ended  sync.WaitGroup
	mu     sync.Mutex
	count  uint16
}

func newSender(from string, config sms.Config, c clock.Clock, log *slog.Logger) *sender {
	s := &sender{from: from, clock: c}
	s.ctx, s.stop = context.WithCancel(context.Background())
	s.client = sms.New(config, c, log, func(_ texts.Receipt, recorded func()) { recorded() }, func(string, string, string) {})
	return s
}

func (s *sender) close() {
	s.stop()
	s.ended.Wait()
}

// send hands a text over; a bind that is only just being made is waited for.
func (s *sender) send(ctx context.Context, to phone.Number, text string) error {
	s.start.Do(func() { s.ended.Go(func() { _ = s.client.Run(s.ctx) }) })
	until := s.clock.Now().Add(bindPatience)
	for !s.client.Bound() && s.clock.Now().Before(until) {
		if err := clock.Wait(ctx, s.clock, s.clock.Now().Add(bindPauseBeat)); err != nil {
			return err
		}
	}
	_, err := s.client.Submit(ctx, texts.Outgoing{Reference: s.next(), From: s.from, To: to, Text: text})
	return err
}

func (s *sender) next() uint16 {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.count++
	return s.count
}
