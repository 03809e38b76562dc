package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// world is a hub and a country as they are reached over HTTP.
type world struct {
	hub     string                                // base address of /v1
	country string                                // base address of /sandbox/v1
	ops     string                                // base address of metrics and health
	channel func(context.Context) (string, error) // gives the channel's token; nil: /v1 is open
}

// refusal is an answer that is not a success.
type refusal struct {
	Status     int
	Code       string
	Message    string
	RetryAfter string
}

func (r *refusal) Error() string { return fmt.Sprintf("%d %s: %s", r.Status, r.Code, r.Message) }

// refused gives the code of a refusal; empty for any other error.
func refused(err error) string {
	var r *refusal
	if errors.As(err, &r) {
		return r.Code
	}
	return ""
}

var client = &http.Client{Timeout: 40 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 16}}

const answerMax = 8 << 20

// call sends JSON and reads JSON. An answer other than a success is a *refusal.
func call(ctx context.Context, method, address, bearer string, body, into any, headers ...string) error {
	raw, err := json.Marshal(body)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, method, address, nil)
	if err != nil {
		return err
	}
	if body != nil {
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(raw)), int64(len(raw))
		r.Header.Set("Content-Type", "application/json")
	}
	if bearer != "" {
		r.Header.Set("Authorization", "Bearer "+bearer)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return answerOf(r, into)
}

func answerOf(r *http.Request, into any) error {
	answer, err := client.Do(r)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	raw, err := io.ReadAll(io.LimitReader(answer.Body, answerMax))
	if err != nil {
		return err
	}
	if answer.StatusCode/100 != 2 {
		no := &refusal{RetryAfter: answer.Header.Get("Retry-After")}
		_ = json.Unmarshal(raw, no)
		no.Status = answer.StatusCode
		return no
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(raw, into)
}

// token fetches one by client credentials.
func token(ctx context.Context, hub, id, secret, scope string) (string, error) {
	form := url.Values{"grant_type": {"client_credentials"}, "scope": {scope}}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, hub+"/oauth2/token", strings.NewReader(form.Encode()))
	if err != nil {
		return "", err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth(url.QueryEscape(id), url.QueryEscape(secret))
	var answer struct {
		AccessToken string `json:"access_token"`
	}
	err = answerOf(r, &answer)
	return answer.AccessToken, err
}

type counts struct{ Accounts, Left, Undated int }

// person is somebody of the country and what is true of their number.
type person struct {
	Name, PhoneNumber, IDLast6, Carrier, Language string
	Accounts                                      map[string]counts
}

func (w *world) people(ctx context.Context, q string) ([]person, error) {
	var answer struct{ People []person }
	err := call(ctx, "GET", w.country+"/sandbox/v1/people?limit=5000&q="+url.QueryEscape(q), "", nil, &answer)
	return answer.People, err
}

// holder reads again who holds a number and what is true of it.
func (w *world) holder(ctx context.Context, number string) (person, error) {
	all, err := w.people(ctx, number)
	if err == nil && len(all) != 1 {
		err = fmt.Errorf("%d people hold one number", len(all))
	}
	if err != nil {
		return person{}, err
	}
	return all[0], nil
}

type message struct{ From, To, Text, At string }

func (w *world) messages(ctx context.Context, number string) ([]message, error) {
	var answer struct{ Messages []message }
	err := call(ctx, "GET", w.country+"/sandbox/v1/messages?phoneNumber="+url.QueryEscape(number), "", nil, &answer)
	return answer.Messages, err
}

var codeText = map[string]*regexp.Regexp{
	"zh-CN": regexp.MustCompile(`^【清号】验证码([0-9]{6})，5分钟内有效`),
	"en":    regexp.MustCompile(`^([0-9]{6}) is your Untether code`),
}

// codes are the codes on a handset, oldest first.
func (w *world) codes(ctx context.Context, p person) ([]string, error) {
	messages, err := w.messages(ctx, p.PhoneNumber)
	var codes []string
	for _, m := range messages {
		if found := codeText[p.Language].FindStringSubmatch(m.Text); found != nil {
			codes = append(codes, found[1])
		}
	}
	return codes, err
}

// replies are the replies to searches on a handset.
func (w *world) replies(ctx context.Context, number string) ([]string, error) {
	messages, err := w.messages(ctx, number)
	var replies []string
	for _, m := range messages {
		if isReply(m.Text) {
			replies = append(replies, m.Text)
		}
	}
	return replies, err
}

func isReply(text string) bool {
	return strings.HasPrefix(text, "【清号】截至") || strings.HasPrefix(text, "Untether: number ending ")
}

func (w *world) v1(ctx context.Context, method, path string, body, into any, headers ...string) error {
	bearer := ""
	if w.channel != nil {
		var err error
		if bearer, err = w.channel(ctx); err != nil {
			return err
		}
	}
	return call(ctx, method, w.hub+path, bearer, body, into, headers...)
}

// askCode asks for a code; key is the Idempotency-Key.
func (w *world) askCode(ctx context.Context, p person, key string) (codeID string, err error) {
	var answer struct{ CodeID string }
	err = w.v1(ctx, "POST", "/v1/codes", map[string]string{"phoneNumber": p.PhoneNumber, "language": p.Language}, &answer, "Idempotency-Key", key)
	return answer.CodeID, err
}

// readCode waits for the text with the nth code and reads it off the handset.
func (w *world) readCode(ctx context.Context, p person, nth int, most time.Duration) (code string, err error) {
	err = await(ctx, "a code on the handset", most, func() (bool, error) {
		codes, err := w.codes(ctx, p)
		if err != nil || len(codes) < nth {
			return false, err
		}
		code = codes[nth-1]
		return true, nil
	})
	return code, err
}

// search is one that was accepted.
type search struct {
	ID, AccessToken, Status string
	RequestedAt, Deadline   time.Time
	Apps                    []string
}

func (w *world) start(ctx context.Context, p person, codeID, code string, apps ...string) (search, error) {
	body := map[string]any{"codeId": codeID, "code": code, "idLast6": p.IDLast6, "language": p.Language}
	if len(apps) > 0 {
		body["apps"] = apps
	}
	var s search
	err := w.v1(ctx, "POST", "/v1/searches", body, &s)
	return s, err
}

// verify gets a code and reads it off the handset.
func (w *world) verify(ctx context.Context, p person) (codeID, code string, err error) {
	before, err := w.codes(ctx, p)
	if err != nil {
		return "", "", err
	}
	if codeID, err = w.askCode(ctx, p, ""); err != nil {
		return "", "", err
	}
	code, err = w.readCode(ctx, p, len(before)+1, within)
	return codeID, code, err
}

// begin does what a person does up to the progress page.
func (w *world) begin(ctx context.Context, p person, apps ...string) (search, error) {
	codeID, code, err := w.verify(ctx, p)
	if err != nil {
		return search{}, err
	}
	return w.start(ctx, p, codeID, code, apps...)
}

type appReport struct {
	App, Status             string
	Accounts, Left, Undated *int
}

// counts are the app's numbers; ok is false when it has given none.
func (a appReport) counts() (c counts, ok bool) {
	if a.Accounts == nil || a.Left == nil || a.Undated == nil {
		return counts{}, false
	}
	return counts{*a.Accounts, *a.Left, *a.Undated}, true
}

type report struct {
	ID, Status            string
	RequestedAt, Deadline time.Time
	RepliedAt             *time.Time
	Apps                  []appReport
}

// with gives the ids of the apps with a status.
func (r report) with(status string) (ids []string) {
	for _, a := range r.Apps {
		if a.Status == status {
			ids = append(ids, a.App)
		}
	}
	return ids
}

func (w *world) report(ctx context.Context, s search) (r report, err error) {
	return r, call(ctx, "GET", w.hub+"/v1/searches/"+s.ID, s.AccessToken, nil, &r)
}

// awaitReport reads the report until it is as wanted.
func (w *world) awaitReport(ctx context.Context, s search, what string, wanted func(report) bool) (r report, err error) {
	err = await(ctx, what, within, func() (bool, error) {
		r, err = w.report(ctx, s)
		return err == nil && wanted(r), err
	})
	if err != nil {
		err = fmt.Errorf("%w; it is %s, answered %v, late %v, pending %v, failed %v", err, r.Status, r.with("answered"), r.with("late"),
			r.with("pending"), r.with("failed"))
	}
	return r, err
}

func (w *world) awaitReply(ctx context.Context, number string, most time.Duration) (text string, err error) {
	err = await(ctx, "the reply on the handset", most, func() (bool, error) {
		replies, err := w.replies(ctx, number)
		if err != nil || len(replies) == 0 {
			return false, err
		}
		text = replies[0]
		return true, nil
	})
	return text, err
}

func (w *world) advance(ctx context.Context, by time.Duration) error {
	return call(ctx, "POST", w.country+"/sandbox/v1/clock", "", map[string]string{"advance": by.String()}, nil)
}

func (w *world) behave(ctx context.Context, app, behaviour string) error {
	return call(ctx, "PATCH", w.country+"/sandbox/v1/apps/"+app, "", map[string]string{"behaviour": behaviour}, nil)
}

// act lets a number's carrier do something; name and idNumber are of who comes, or empty.
func (w *world) act(ctx context.Context, number, kind, name, idNumber string) error {
	body := map[string]any{"type": kind}
	if name != "" {
		body["person"] = map[string]string{"name": name, "idNumber": idNumber}
	}
	return call(ctx, "POST", w.country+"/sandbox/v1/numbers/"+url.PathEscape(number)+"/events", "", body, nil)
}

// metric reads one number of the hub's own counters.
func (w *world) metric(ctx context.Context, name string) (float64, error) {
	r, err := http.NewRequestWithContext(ctx, "GET", w.ops+"/metrics", nil)
	if err != nil {
		return 0, err
	}
	answer, err := client.Do(r)
	if err != nil {
		return 0, err
	}
	defer func() { _ = answer.Body.Close() }()
	raw, err := io.ReadAll(io.LimitReader(answer.Body, answerMax))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(raw)) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			return strconv.ParseFloat(strings.TrimSpace(value), 64)
		}
	}
	return 0, fmt.Errorf("there is no metric %s", name)
}

// same compares an app's answers with what is true. It names the first difference.
func same(r report, truth map[string]counts, skip ...string) error {
	for _, a := range r.Apps {
		if slices.Contains(skip, a.App) {
			continue
		}
		got, ok := a.counts()
		if want := truth[a.App]; !ok || got != want {
			return fmt.Errorf("%s is %s with %+v, true is %+v", a.App, a.Status, got, want)
		}
	}
	return nil
}

// onlyReply gives the one reply on a handset.
func (w *world) onlyReply(t testing.TB, number string) string {
	t.Helper()
	replies := must(w.replies(t.Context(), number))(t)
	if len(replies) != 1 {
		t.Fatalf("%d replies on the handset: %q", len(replies), replies)
	}
	return replies[0]
}
