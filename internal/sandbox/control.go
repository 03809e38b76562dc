package sandbox

import (
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"untether/internal/api/respond"
	"untether/internal/fault"
	"untether/internal/ident"
	"untether/internal/phone"
	"untether/internal/sandbox/apps"
	"untether/internal/sandbox/carriers"
	"untether/internal/sandbox/people"
	"untether/internal/tenure"
)

// Bounds of what the control API reads and writes.
const (
	bodyBytesMax  = 4 << 10
	limitDefault  = 50
	limitMax      = 5000
	queryMax      = 64 // characters of q
	nameMax       = 64 // characters of a person's name
	idNumberMax   = 18
	advanceMax    = 10 * 365 * 24 * time.Hour
	advanceAllMax = 100 * 365 * 24 * time.Hour
)

// control gives the routes of /sandbox/v1.
func (c *Country) control(mux *http.ServeMux) {
	for pattern, answer := range map[string]func(http.ResponseWriter, *http.Request) (int, any, error){
		"GET /sandbox/v1/people":                   c.getPeople,
		"GET /sandbox/v1/messages":                 c.getMessages,
		"POST /sandbox/v1/messages":                c.postMessage,
		"GET /sandbox/v1/clock":                    c.getClock,
		"POST /sandbox/v1/clock":                   c.postClock,
		"POST /sandbox/v1/numbers/{number}/events": c.postEvent,
		"PATCH /sandbox/v1/apps/{app}":             c.patchApp,
		"POST /sandbox/v1/apps/{app}/logins":       c.postLogin,
		"GET /sandbox/v1/credentials":              c.getCredentials,
	} {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			status, body, err := answer(w, r)
			if err != nil {
				respond.Fail(w, r, c.log, err)
				return
			}
			respond.JSON(w, status, body)
		})
	}
}

type wirePerson struct {
	Name        string                   `json:"name"`
	PhoneNumber string                   `json:"phoneNumber"`
	IDLast6     string                   `json:"idLast6"`
	Carrier     string                   `json:"carrier"`
	Language    string                   `json:"language"`
	TenureStart string                   `json:"tenureStart"`
	Accounts    map[string]people.Counts `json:"accounts"`
}

func (c *Country) getPeople(_ http.ResponseWriter, r *http.Request) (int, any, error) {
	limit, err := limitOf(r.URL.Query().Get("limit"))
	if err != nil {
		return 0, nil, err
	}
	q, err := queryOf(r.URL.Query().Get("q"))
	if err != nil {
		return 0, nil, err
	}
	found := c.find(q, limit)
	starts := make(map[phone.Number]time.Time, len(found))
	for _, s := range found {
		starts[s.Number] = s.TenureStart
	}
	truth, err := c.apps.Truth(r.Context(), starts)
	if err != nil {
		return 0, nil, err
	}
	list := make([]wirePerson, len(found))
	for i, s := range found {
		list[i] = wirePerson{s.Person.Name, s.Number.E164(), s.Person.Document.LastSix().Reveal(), s.Carrier, s.Person.Language,
			wireTime(s.TenureStart), c.everyApp(truth[s.Number])}
	}
	return http.StatusOK, map[string]any{"people": list}, nil
}

// everyApp names all apps, so that whoever compares need not know what a missing one means.
func (c *Country) everyApp(some map[string]people.Counts) map[string]people.Counts {
	all := map[string]people.Counts{}
	for _, app := range c.catalog.IDs() {
		all[app] = some[app]
	}
	return all
}

func limitOf(s string) (int, error) {
	if s == "" {
		return limitDefault, nil
	}
	limit, err := strconv.Atoi(s)
	if err != nil || limit < 1 || limit > limitMax {
		return 0, fault.Invalidf("limit must be a whole number from 1 to %d.", limitMax)
	}
	return limit, nil
}

func queryOf(s string) (string, error) {
	if !utf8.ValidString(s) || utf8.RuneCountInString(s) > queryMax {
		return "", fault.Invalidf("q must be UTF-8 of at most %d characters.", queryMax)
	}
	return strings.ToLower(strings.TrimSpace(s)), nil
}

// find gives the holders whose name, number, carrier or last six holds q, at most limit. Spaces in a number do not count.
func (c *Country) find(q string, limit int) []carriers.Subscriber {
	var found []carriers.Subscriber
	digits := strings.ReplaceAll(q, " ", "")
	for _, s := range c.carriers.Subscribers() {
		if len(found) == limit {
			break
		}
		if strings.Contains(strings.ToLower(s.Person.Name), q) || strings.Contains(s.Number.E164(), digits) || s.Carrier == q ||
			strings.Contains(strings.ToLower(s.Person.Document.LastSix().Reveal()), q) {
			found = append(found, s)
		}
	}
	return found
}

// plussed gives a query's number its plus sign back: one that was not written as %2B arrives as a space.
func plussed(s string) string {
	if rest, ok := strings.CutPrefix(s, " "); ok {
		return "+" + rest
	}
	return s
}

type wireMessage struct {
	From string `json:"from"`
	To   string `json:"to"`
	Text string `json:"text"`
	At   string `json:"at"`
}

func (c *Country) getMessages(_ http.ResponseWriter, r *http.Request) (int, any, error) {
	number, err := phone.Parse(plussed(r.URL.Query().Get("phoneNumber")))
	if err != nil {
		return 0, nil, err
	}
	list := []wireMessage{}
	for _, m := range c.centre.Messages(number.E164()) {
		list = append(list, wireMessage{m.From, m.To, m.Text, wireTime(m.At)})
	}
	return http.StatusOK, map[string]any{"messages": list}, nil
}

func (c *Country) postMessage(w http.ResponseWriter, r *http.Request) (int, any, error) {
	body, err := respond.Decode[struct {
		From string `json:"from"`
		Text string `json:"text"`
	}](w, r, bodyBytesMax)
	if err != nil {
		return 0, nil, err
	}
	number, err := phone.Parse(body.From)
	if err != nil {
		return 0, nil, fault.Invalidf("from must be a number in E.164 with a plus sign.")
	}
	m, err := c.send(number, body.Text)
	if err != nil {
		return 0, nil, err
	}
	return http.StatusAccepted, wireMessage{m.From, m.To, m.Text, wireTime(m.At)}, nil
}

func (c *Country) getClock(http.ResponseWriter, *http.Request) (int, any, error) {
	return http.StatusOK, map[string]string{"now": wireTime(c.clock.Now())}, nil
}

func (c *Country) postClock(w http.ResponseWriter, r *http.Request) (int, any, error) {
	body, err := respond.Decode[struct {
		Advance string `json:"advance"`
	}](w, r, bodyBytesMax)
	if err != nil {
		return 0, nil, err
	}
	by, err := durationOf(body.Advance)
	if err != nil {
		return 0, nil, err
	}
	if err := c.Advance(by); err != nil {
		return 0, nil, err
	}
	return c.getClock(w, r)
}

var errAdvance = fault.Invalidf(`advance must be a duration of more than nothing and at most ten years in hours, minutes and seconds, such as "48h".`)

var durationPattern = regexp.MustCompile(`^([0-9]+(\.[0-9]+)?(h|m|s|ms))+$`)

// durationOf reads how far to go, in the units of the document.
func durationOf(s string) (time.Duration, error) {
	by, err := time.ParseDuration(s)
	if err != nil || len(s) > 32 || !durationPattern.MatchString(s) {
		return 0, errAdvance
	}
	return by, nil
}

// Advance sets the country's clock ahead and makes every carrier say that it is up to date.
func (c *Country) Advance(by time.Duration) error {
	c.deeds.Lock()
	defer c.deeds.Unlock()
	if by <= 0 || by > advanceMax || c.clock.Ahead() > advanceAllMax-by {
		return errAdvance
	}
	if err := c.journal.write(deed{AdvanceNanos: int64(by)}); err != nil {
		return err
	}
	c.clock.Advance(by)
	c.carriers.NothingNew()
	return nil
}

type wireNewcomer struct {
	Name     string `json:"name"`
	IDNumber string `json:"idNumber"`
}

type wireEvent struct {
	Carrier          string      `json:"carrier"`
	Sequence         int64       `json:"sequence"`
	PhoneNumber      string      `json:"phoneNumber"`
	Type             string      `json:"type"`
	At               string      `json:"at"`
	TenureID         string      `json:"tenureId,omitempty"`
	ReceivingCarrier string      `json:"receivingCarrier,omitempty"`
	Person           *wireHolder `json:"person,omitempty"`
}

type wireHolder struct {
	Name    string `json:"name"`
	IDLast6 string `json:"idLast6"`
}

func (c *Country) postEvent(w http.ResponseWriter, r *http.Request) (int, any, error) {
	number, err := phone.Parse(r.PathValue("number"))
	if err != nil {
		return 0, nil, err
	}
	body, err := respond.Decode[struct {
		Type             string        `json:"type"`
		Person           *wireNewcomer `json:"person,omitempty"`
		ReceivingCarrier *string       `json:"receivingCarrier,omitempty"` // with ported; default: the next in the list
	}](w, r, bodyBytesMax)
	if err != nil {
		return 0, nil, err
	}
	person, err := body.Person.newcomer()
	if err != nil {
		return 0, nil, err
	}
	act := carriers.Act{Number: number, Type: tenure.Type(body.Type), Person: person}
	if body.ReceivingCarrier != nil {
		if act.Receiving = *body.ReceivingCarrier; act.Receiving == "" {
			return 0, nil, fault.Invalidf("receivingCarrier must be the id of a carrier.")
		}
	}
	done, err := c.Act(act)
	if err != nil {
		return 0, nil, err
	}
	e := done.Event
	answer := wireEvent{Carrier: e.Carrier, Sequence: e.Sequence, PhoneNumber: number.E164(), Type: string(e.Type), At: wireTime(e.At),
		TenureID: e.TenureID, ReceivingCarrier: e.Receiving}
	if !done.Person.Document.IsZero() {
		answer.Person = &wireHolder{done.Person.Name, done.Person.Document.LastSix().Reveal()}
	}
	return http.StatusCreated, answer, nil
}

func (p *wireNewcomer) newcomer() (*carriers.Newcomer, error) {
	if p == nil {
		return nil, nil
	}
	name := strings.TrimSpace(p.Name)
	if name == "" || utf8.RuneCountInString(name) > nameMax || strings.ContainsFunc(name, unicode.IsControl) {
		return nil, fault.Invalidf("person.name must be 1 to %d characters of plain text.", nameMax)
	}
	document, err := ident.ParseDocument(p.IDNumber)
	if err != nil || utf8.RuneCountInString(p.IDNumber) > idNumberMax {
		return nil, fault.Invalidf("person.idNumber must be the whole number of an identity document, its check character right.")
	}
	return &carriers.Newcomer{Name: name, Document: document}, nil
}

// Act lets the number's carrier do something and report it.
func (c *Country) Act(a carriers.Act) (carriers.Done, error) {
	c.deeds.Lock()
	defer c.deeds.Unlock()
	done, err := c.carriers.Act(a)
	if err != nil {
		return done, err
	}
	return done, c.journal.write(deedOf(a.Number, done))
}

var (
	errGuard = fault.Invalidf("This build's apps have no guard yet: guard can only be false.")
	errMark  = fault.Invalidf("This build's apps do not mark bindings when a tenure ends yet: release can only be false.")
	errDelay = fault.Invalidf(`This build's apps do not untie yet: unbindDelay can only be "0s".`)
)

type wireApp struct {
	App         string `json:"app"`
	Behaviour   string `json:"behaviour"`
	Guard       bool   `json:"guard"`
	Release     bool   `json:"release"`
	UnbindDelay string `json:"unbindDelay"`
}

func (c *Country) patchApp(w http.ResponseWriter, r *http.Request) (int, any, error) {
	app, err := c.apps.Find(r.PathValue("app"))
	if err != nil {
		return 0, nil, err
	}
	body, err := respond.Decode[struct {
		Behaviour   *string `json:"behaviour,omitempty"`
		Guard       *bool   `json:"guard,omitempty"`
		Release     *bool   `json:"release,omitempty"`
		UnbindDelay *string `json:"unbindDelay,omitempty"`
	}](w, r, bodyBytesMax)
	if err != nil {
		return 0, nil, err
	}
	switch {
	case body.Guard != nil && *body.Guard:
		return 0, nil, errGuard
	case body.Release != nil && *body.Release:
		return 0, nil, errMark
	case body.UnbindDelay != nil && *body.UnbindDelay != "0s":
		return 0, nil, errDelay
	}
	if body.Behaviour != nil {
		if err := app.SetBehaviour(apps.Behaviour(*body.Behaviour)); err != nil {
			return 0, nil, err
		}
	}
	return http.StatusOK, wireApp{App: app.ID, Behaviour: string(app.Behaviour()), UnbindDelay: "0s"}, nil
}

type wireEntry struct {
	Account      string `json:"account"`
	RegisteredOn string `json:"registeredOn,omitempty"` // a day; missing when the app does not know it
	IsNew        bool   `json:"isNew"`
}

func (c *Country) postLogin(w http.ResponseWriter, r *http.Request) (int, any, error) {
	app, err := c.apps.Find(r.PathValue("app"))
	if err != nil {
		return 0, nil, err
	}
	body, err := respond.Decode[struct {
		PhoneNumber string  `json:"phoneNumber"`
		Code        *string `json:"code,omitempty"`
	}](w, r, bodyBytesMax)
	if err != nil {
		return 0, nil, err
	}
	number, err := phone.Parse(body.PhoneNumber)
	if err != nil {
		return 0, nil, err
	}
	if body.Code == nil {
		holder, _ := c.carriers.Subscriber(number)
		return http.StatusAccepted, struct{}{}, app.SendCode(r.Context(), number, holder.Person.Language)
	}
	entry, err := app.LogIn(r.Context(), number, *body.Code)
	answer := wireEntry{Account: entry.Account, IsNew: entry.IsNew}
	if !entry.Registered.IsZero() {
		answer.RegisteredOn = entry.Registered.At.In(people.Zone).Format(time.DateOnly)
	}
	return http.StatusOK, answer, err
}

func (c *Country) getCredentials(http.ResponseWriter, *http.Request) (int, any, error) {
	c.mu.Lock()
	hub := c.hub
	c.mu.Unlock()
	return http.StatusOK, map[string]any{"tokenEndpoint": hub + "/oauth2/token", "clients": slices.Clone(c.clients())}, nil
}

func wireTime(t time.Time) string { return t.In(people.Zone).Format(time.RFC3339Nano) }
