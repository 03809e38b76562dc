package sandbox_test

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	_ "modernc.org/sqlite"

	"untether/internal/sandbox"
	"untether/internal/sandbox/people"
	"untether/internal/tenure"
)

// identity asks a carrier as the hub does.
func identity(t *testing.T, c sandbox.CarrierSetup, secret string, question map[string]string) (int, map[string]any) {
	t.Helper()
	body, _ := json.Marshal(question)
	request, err := http.NewRequestWithContext(t.Context(), "POST", c.IdentityURL+"/identity-matches", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", "Bearer "+secret)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	answer := map[string]any{}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, answer
}

func (w *world) carrier(t *testing.T, id string) sandbox.CarrierSetup {
	for _, c := range w.Setup().Carriers {
		if c.ID == id {
			return c
		}
	}
	t.Fatal("no carrier", id)
	return sandbox.CarrierSetup{}
}

func TestIdentityMatches(t *testing.T) {
	w := open(t, t.TempDir())
	s := w.Sample()
	_, answer := w.call(t, "GET", "/sandbox/v1/people?q="+strings.TrimPrefix(s.PhoneNumber, "+"), "")
	holder := answer["people"].([]any)[0].(map[string]any)
	home := w.carrier(t, holder["carrier"].(string))
	ask := func(c sandbox.CarrierSetup, lastSix, tenureID string) map[string]any {
		q := map[string]string{"phoneNumber": s.PhoneNumber, "idLast6": lastSix}
		if tenureID != "" {
			q["tenureId"] = tenureID
		}
		status, answer := identity(t, c, c.Secret, q)
		if status != 200 {
			t.Fatal(status, answer)
		}
		return answer
	}
	yes := ask(home, s.IDLast6, "")
	if yes["match"] != true || yes["tenureId"] == "" || yes["tenureStart"] != holder["tenureStart"] {
		t.Fatalf("%v", yes)
	}
	if no := ask(home, wrong(s.IDLast6), ""); len(no) != 1 || no["match"] != false {
		t.Errorf("a wrong ID learnt %v", no)
	}
	if lower := ask(home, strings.ToLower(s.IDLast6), ""); lower["match"] != true {
		t.Error("a small x is not taken")
	}
	for _, c := range w.Setup().Carriers {
		if c.ID != home.ID && ask(c, s.IDLast6, "")["match"] != false {
			t.Errorf("%s confirms a number that it does not serve", c.ID)
		}
	}
	if status, answer := identity(t, home, "guess", map[string]string{"phoneNumber": s.PhoneNumber, "idLast6": s.IDLast6}); status != 401 || answer["match"] != nil {
		t.Errorf("a wrong secret: %d %v", status, answer)
	}
	if status, _ := identity(t, home, home.Secret, map[string]string{"phoneNumber": s.PhoneNumber}); status != 400 {
		t.Errorf("no ID: %d", status)
	}

	path := "/sandbox/v1/numbers/" + s.PhoneNumber + "/events"
	other := "unicom"
	if home.ID == other {
		other = "telecom"
	}
	w.call(t, "POST", path, `{"type":"ported","receivingCarrier":"`+other+`"}`)
	away := w.carrier(t, other)
	if moved := ask(away, s.IDLast6, ""); moved["match"] != true || moved["tenureId"] != yes["tenureId"] {
		t.Errorf("ported: %v, was %v", moved, yes)
	}
	if ask(home, s.IDLast6, "")["match"] != false {
		t.Error("the carrier that the number left still confirms it")
	}

	w.call(t, "POST", path, `{"type":"transferred","person":{"name":"Camille Moreau","idNumber":"12ab34567"}}`)
	if passport := ask(away, "B34567", ""); passport["match"] != true || passport["tenureId"] == yes["tenureId"] {
		t.Errorf("a foreign passport: %v", passport)
	}
	if ask(away, s.IDLast6, "")["match"] != false {
		t.Error("the former holder passes for the present one")
	}
	if ended := ask(away, s.IDLast6, yes["tenureId"].(string)); ended["match"] != true || ended["tenureId"] != yes["tenureId"] {
		t.Errorf("the ended tenure: %v", ended)
	}
	w.call(t, "POST", path, `{"type":"cancelled"}`)
	if ask(away, "B34567", "")["match"] != false {
		t.Error("a frozen number has a present holder")
	}
	if err := w.SetCarrierDown(other, true); err != nil {
		t.Fatal(err)
	}
	if status, answer := identity(t, away, away.Secret, map[string]string{"phoneNumber": s.PhoneNumber, "idLast6": "B34567"}); status != 503 || answer["code"] == "" {
		t.Errorf("down: %d %v", status, answer)
	}
}

// hub is the least of a hub that peers can speak with: it grants tokens, takes events, leases count tasks and keeps what
// it is told. The real one is tested with the country elsewhere.
type hub struct {
	*httptest.Server
	secrets map[string]string // client → secret

	mu       sync.Mutex
	refusals int // of event batches still to come
	events   map[string][]wireEvent
	reports  map[string]int // by client, all batches
	tasks    map[string][]map[string]any
	results  chan map[string]any // with "client"
	arrived  chan struct{}       // one after each batch of events
}

type wireEvent struct {
	Sequence         int64     `json:"sequence"`
	PhoneNumber      string    `json:"phoneNumber"`
	Type             string    `json:"type"`
	At               time.Time `json:"at"`
	TenureID         string    `json:"tenureId"`
	ReceivingCarrier string    `json:"receivingCarrier"`
}

func newHub(t *testing.T, w *world) *hub {
	h := &hub{secrets: map[string]string{}, events: map[string][]wireEvent{}, reports: map[string]int{},
		tasks: map[string][]map[string]any{}, results: make(chan map[string]any, 1000), arrived: make(chan struct{}, 1000)}
	for _, c := range w.Setup().Clients {
		h.secrets[c.ID] = c.Secret
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /oauth2/token", func(out http.ResponseWriter, r *http.Request) {
		id, secret, _ := r.BasicAuth()
		if h.secrets[id] != secret || secret == "" {
			http.Error(out, "{}", http.StatusUnauthorized)
			return
		}
		_ = json.NewEncoder(out).Encode(map[string]any{"access_token": id, "token_type": "Bearer", "expires_in": 3600, "scope": r.FormValue("scope")})
	})
	mux.HandleFunc("POST /carrier/v1/events", h.takeEvents)
	mux.HandleFunc("POST /app/v1/tasks/lease", h.lease)
	mux.HandleFunc("POST /app/v1/tasks/results", h.takeResults)
	h.Server = httptest.NewServer(mux)
	return h
}

func client(r *http.Request) string {
	return strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
}

func (h *hub) takeEvents(w http.ResponseWriter, r *http.Request) {
	var report struct {
		Events []wireEvent `json:"events"`
		AsOf   *time.Time  `json:"asOf"`
	}
	if err := json.NewDecoder(r.Body).Decode(&report); err != nil || len(report.Events) > 10_000 || report.AsOf == nil {
		http.Error(w, "{}", http.StatusBadRequest)
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.refusals > 0 {
		h.refusals--
		http.Error(w, `{"status":503,"code":"DOWN","message":"down"}`, http.StatusServiceUnavailable)
		return
	}
	h.events[client(r)] = append(h.events[client(r)], report.Events...)
	h.reports[client(r)]++
	_, _ = w.Write([]byte(`{"results":[]}`))
	h.arrived <- struct{}{}
}

func (h *hub) lease(w http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	defer h.mu.Unlock()
	given := append([]map[string]any{}, h.tasks[client(r)]...) // offered until answered, as after a lease that ran out
	_ = json.NewEncoder(w).Encode(map[string]any{"tasks": given})
}

func (h *hub) takeResults(w http.ResponseWriter, r *http.Request) {
	var sent struct {
		Results []map[string]any `json:"results"`
	}
	_ = json.NewDecoder(r.Body).Decode(&sent)
	var receipts []map[string]any
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, result := range sent.Results {
		open := h.tasks[client(r)]
		i := slices.IndexFunc(open, func(task map[string]any) bool { return task["id"] == result["id"] })
		if i < 0 {
			continue
		}
		h.tasks[client(r)] = slices.Delete(open, i, i+1)
		receipts = append(receipts, map[string]any{"id": result["id"], "accepted": true})
		result["client"] = client(r)
		h.results <- result
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"results": receipts})
}

func (h *hub) ask(app, id, number, start string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.tasks["app-"+app] = append(h.tasks["app-"+app], map[string]any{"id": id, "kind": "count",
		"subject": map[string]string{"phoneNumber": number}, "tenureStart": start, "deadline": "2099-01-01T00:00:00Z"})
}

func (h *hub) result(t *testing.T) map[string]any {
	t.Helper()
	select {
	case r := <-h.results:
		return r
	case <-t.Context().Done():
		t.Fatal("no result came")
	}
	return nil
}

// join makes the country work against a hub for one test.
func join(t *testing.T, w *world) *hub {
	t.Helper()
	h := newHub(t, w)
	ctx, leave := context.WithCancel(context.Background())
	w.Join(ctx, h.URL)
	t.Cleanup(func() { leave(); h.Close() })
	return h
}

// Every app's connector answers for everybody what the control API says is true.
func TestConnectorsAnswerTheTruth(t *testing.T) {
	w := open(t, t.TempDir())
	h := join(t, w)
	_, answer := w.call(t, "GET", "/sandbox/v1/people?limit=20", "")
	want := map[string]map[string]any{}
	for _, p := range answer["people"].([]any) {
		person := p.(map[string]any)
		for app, counts := range person["accounts"].(map[string]any) {
			id := app + " " + person["phoneNumber"].(string)
			want[id] = counts.(map[string]any)
			h.ask(app, id, person["phoneNumber"].(string), person["tenureStart"].(string))
		}
	}
	if len(want) != 320 {
		t.Fatalf("%d questions", len(want))
	}
	for len(want) > 0 {
		r := h.result(t)
		id := r["id"].(string)
		if counts := want[id]; counts["accounts"] != r["accounts"] || counts["left"] != r["left"] || counts["undated"] != r["undated"] {
			t.Errorf("%s: %v, want %v", strings.Fields(id)[0], r, counts)
		}
		delete(want, id)
	}
}

func TestBehaviours(t *testing.T) {
	w := open(t, t.TempDir())
	h := join(t, w)
	behave := func(b string) {
		if status, answer := w.call(t, "PATCH", "/sandbox/v1/apps/qq", `{"behaviour":"`+b+`"}`); status != 200 || answer["behaviour"] != b {
			t.Fatal(status, answer)
		}
	}
	number, start := w.Sample().PhoneNumber, "2020-01-01T00:00:00+08:00"
	behave("garbage")
	h.ask("qq", "1", number, start)
	if r := h.result(t); r["accounts"].(float64) >= 0 && r["accounts"].(float64) < 1e6 {
		t.Errorf("believable nonsense: %v", r)
	}
	behave("down")
	h.ask("qq", "2", number, start)
	h.ask("wechat", "3", number, start)
	if r := h.result(t); r["id"] != "3" {
		t.Errorf("an app that is down answered %v", r)
	}
	behave("slow")
	h.ask("wechat", "4", number, start)
	if r := h.result(t); r["id"] != "4" {
		t.Errorf("a slow app was quick: %v", r)
	}
	answered := make(chan map[string]any)
	go func() { answered <- <-h.results }()
	for moved := 0; ; moved++ { // the app thinks on the country's clock, from whenever it begins
		select {
		case r := <-answered:
			if r["id"] != "2" || moved == 0 {
				t.Errorf("%v after %d moves", r, moved)
			}
			return
		default:
			w.clock.Advance(time.Second)
		}
	}
}

// Carriers report everything, in order, through refusals, then what happens, then that nothing is new.
func TestReports(t *testing.T) {
	w := open(t, t.TempDir())
	h := newHub(t, w)
	defer h.Close()
	h.refusals = 6
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	w.Join(ctx, h.URL)
	for range 4 {
		<-h.arrived
	}
	number := w.Sample().PhoneNumber
	h.mu.Lock()
	var history []tenure.Event
	for id, events := range h.events {
		for i, e := range events {
			if e.Sequence != int64(i+1) {
				t.Fatalf("%s: event %d has sequence %d", id, i, e.Sequence)
			}
			if e.PhoneNumber == number {
				history = append(history, tenure.Event{Carrier: strings.TrimPrefix(id, "carrier-"), Sequence: e.Sequence, Type: tenure.Type(e.Type), At: e.At, TenureID: e.TenureID, Receiving: e.ReceivingCarrier})
			}
		}
	}
	h.mu.Unlock()
	life, aside := tenure.Fold(history, tenure.FreezeDefault)
	_, answer := w.call(t, "GET", "/sandbox/v1/people?q="+strings.TrimPrefix(number, "+"), "")
	holder := answer["people"].([]any)[0].(map[string]any)
	if start, _ := time.Parse(time.RFC3339, holder["tenureStart"].(string)); len(aside) > 0 || !life.Tenure.Start.Equal(start) || life.Carrier != holder["carrier"] {
		t.Errorf("reported %+v, true is %v", life, holder)
	}
	w.call(t, "POST", "/sandbox/v1/numbers/"+number+"/events", `{"type":"ported"}`)
	<-h.arrived
	h.mu.Lock()
	donor := h.events["carrier-"+life.Carrier]
	if e := donor[len(donor)-1]; e.Type != "ported" || e.PhoneNumber != number || e.ReceivingCarrier == "" || e.TenureID != life.Tenure.ID {
		t.Errorf("reported %+v", e)
	}
	h.mu.Unlock()
	w.call(t, "POST", "/sandbox/v1/clock", `{"advance":"48h"}`)
	for range 4 {
		<-h.arrived
	}
}

// A count of our own over the whole of every file, row by row, against what the control API says.
func TestTruthIsWhatTheFilesHold(t *testing.T) {
	dir := t.TempDir()
	w := open(t, dir)
	type mark struct{ number, registered, verified string }
	beijing := func(layout string) func(string) time.Time {
		return func(s string) time.Time { at, _ := time.ParseInLocation(layout, s, people.Zone); return at }
	}
	millis := func(s string) time.Time {
		var ms int64
		if json.Unmarshal([]byte(s), &ms) != nil || ms == 0 {
			return time.Time{}
		}
		return time.UnixMilli(ms)
	}
	universal := func(s string) time.Time { at, _ := time.Parse(time.RFC3339, s); return at }
	type table struct {
		query, prefix string
		date          func(string) time.Time
		days          bool
	}
	users := table{`SELECT phone, created_at, phone_verified_at FROM users`, "", universal, false}
	account := table{`SELECT mobile, reg_time, bind_time FROM t_account`, "+86", millis, false}
	member := table{`SELECT replace(mobile_phone, '86-', '+86'), gmt_create, gmt_mobile_verified FROM member`, "", beijing("2006-01-02 15:04:05"), false}
	customer := table{`SELECT replace(msisdn, '0086', '+86'), created_ms, confirmed_ms FROM customer JOIN customer_phone USING (pin)`, "", millis, false}
	passport := table{`SELECT tel, reg_date, tel_check_date FROM passport_user`, "+", beijing("2006-01-02"), true}
	tables := map[string]table{"wechat": users, "xiaohongshu": users, "bilibili": users, "qq": account, "weibo": account, "douyin": account,
		"toutiao": account, "taobao": member, "xianyu": member, "alipay": member, "jd": customer, "meituan": customer, "dianping": customer,
		"baidu": passport, "kuaishou": passport, "pinduoduo": passport}
	_, answer := w.call(t, "GET", "/sandbox/v1/people?limit=5000", "")
	holders := answer["people"].([]any)
	for app, tab := range tables {
		db, err := sql.Open("sqlite", filepath.Join(dir, "apps", app+".db"))
		if err != nil {
			t.Fatal(err)
		}
		rows, err := db.QueryContext(t.Context(), tab.query)
		if err != nil {
			t.Fatal(app, err)
		}
		byNumber, total := map[string][]mark{}, 0
		for rows.Next() {
			var m mark
			var registered, verified sql.NullString
			if err := rows.Scan(&m.number, &registered, &verified); err != nil {
				t.Fatal(err)
			}
			m.registered, m.verified = registered.String, verified.String
			byNumber[tab.prefix+m.number] = append(byNumber[tab.prefix+m.number], m)
			total++
		}
		_ = db.Close()
		if total == 0 {
			t.Errorf("%s has no accounts", app)
		}
		for _, h := range holders {
			holder := h.(map[string]any)
			start, _ := time.Parse(time.RFC3339, holder["tenureStart"].(string))
			var own, left, undated float64
			for _, m := range byNumber[holder["phoneNumber"].(string)] {
				at := tab.date(m.verified)
				if at.IsZero() {
					at = tab.date(m.registered)
				}
				switch last := at.Add(24*time.Hour - 1); {
				case at.IsZero():
					undated++
				case tab.days && !at.After(start) && !last.Before(start) && !at.Equal(start):
					undated++
				case at.Before(start):
					left++
				default:
					own++
				}
			}
			said := holder["accounts"].(map[string]any)[app].(map[string]any)
			if said["accounts"] != own || said["left"] != left || said["undated"] != undated {
				t.Errorf("%s: said %v, the file holds %v own, %v left, %v undated", app, said, own, left, undated)
			}
		}
	}
}

// The default country opens in the time in which somebody still believes that it does.
func BenchmarkOpen(b *testing.B) {
	for b.Loop() {
		openDefault(b)
	}
}
