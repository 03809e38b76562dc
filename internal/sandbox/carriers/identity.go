package carriers

import (
	"net/http"
	"strings"
	"time"

	"untether/internal/api/respond"
	"untether/internal/fault"
	"untether/internal/ident"
	"untether/internal/phone"
	"untether/internal/sandbox/people"
	"untether/internal/tenure"
)

const (
	identityBytesMax = 4 << 10
	tenureIDMax      = 64 // bytes
)

var (
	errWho      = fault.New(fault.Unauthenticated, "UNAUTHENTICATED", "Authorization must be Bearer with the secret agreed with this carrier.")
	errTenureID = fault.Invalidf("tenureId must be 1 to %d characters.", tenureIDMax)
	errDown     = fault.New(fault.Unavailable, "CARRIER_DOWN", "The carrier's identity service is down.").After(30 * time.Second)
)

type identityQuestion struct {
	PhoneNumber string  `json:"phoneNumber"`
	IDLast6     string  `json:"idLast6"`
	TenureID    *string `json:"tenureId,omitempty"` // of a tenure that may have ended; missing: the present one
}

type identityAnswer struct {
	Match        bool   `json:"match"`
	TenureID     string `json:"tenureId,omitempty"`
	TenureStart  string `json:"tenureStart,omitempty"`
	SIMChangedAt string `json:"simChangedAt,omitempty"`
}

func (c *Carrier) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /identity-matches", func(w http.ResponseWriter, r *http.Request) {
		answer, err := c.identity(w, r)
		if err != nil {
			respond.Fail(w, r, c.network.log, err)
			return
		}
		respond.JSON(w, http.StatusOK, answer)
	})
	log := c.network.log
	handler := respond.Correlator(log)(respond.HostCheck(log, c.address)(respond.Routes(log, mux)))
	return respond.Recover(log)(respond.Headers(log)(handler))
}

func (c *Carrier) identity(w http.ResponseWriter, r *http.Request) (identityAnswer, error) {
	secret, bearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !bearer || !c.knows(secret) {
		return identityAnswer{}, errWho
	}
	if c.isDown() {
		return identityAnswer{}, errDown
	}
	q, err := respond.Decode[identityQuestion](w, r, identityBytesMax)
	if err != nil {
		return identityAnswer{}, err
	}
	number, err := phone.Parse(q.PhoneNumber)
	if err != nil {
		return identityAnswer{}, err
	}
	lastSix, err := ident.ParseLastSix(q.IDLast6)
	if err != nil {
		return identityAnswer{}, err
	}
	if q.TenureID == nil {
		return c.match(number, lastSix, ""), nil
	}
	if n := len(*q.TenureID); n == 0 || n > tenureIDMax {
		return identityAnswer{}, errTenureID
	}
	return c.match(number, lastSix, *q.TenureID), nil
}

// match confirms a holder of a number that this carrier serves, or served last. Everything else is a plain no.
func (c *Carrier) match(number phone.Number, lastSix ident.LastSix, tenureID string) identityAnswer {
	c.network.mu.Lock()
	defer c.network.mu.Unlock()
	r, ok := c.network.records[number]
	if !ok || r.life.Carrier != c.ID {
		return identityAnswer{}
	}
	meant, ok := r.tenure(tenureID)
	if !ok || r.holders[meant.ID].Document.LastSix() != lastSix {
		return identityAnswer{}
	}
	a := identityAnswer{Match: true, TenureID: meant.ID, TenureStart: wireTime(meant.Start)}
	if r.life.State == tenure.InService && meant.ID == r.life.Tenure.ID && !r.simChangedAt.IsZero() {
		a.SIMChangedAt = wireTime(r.simChangedAt)
	}
	return a
}

// tenure is the present one for an empty id, or the one named; an ended one can be asked for until the number is released.
func (r *record) tenure(id string) (tenure.Tenure, bool) {
	if r.life.State == tenure.InService && (id == "" || id == r.life.Tenure.ID) {
		return r.life.Tenure, true
	}
	for _, past := range r.life.Past {
		if id != "" && past.ID == id && r.life.State != tenure.OnShelf {
			return past.Tenure, true
		}
	}
	return tenure.Tenure{}, false
}

func wireTime(t time.Time) string { return t.In(people.Zone).Format(time.RFC3339Nano) }
