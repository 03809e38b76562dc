package api

import (
	"net/http"
	"regexp"
	"time"

	"untether/internal/access"
	"untether/internal/api/respond"
	"untether/internal/api/wire"
	"untether/internal/fault"
	"untether/internal/phone"
	"untether/internal/registry"
	"untether/internal/tenure"
)

func (a *API) events(w http.ResponseWriter, r *http.Request) {
	verdicts, err := a.takeEvents(w, r)
	if err != nil {
		a.fail(w, r, err)
		return
	}
	answer := wire.EventsAnswer{Results: make([]wire.EventReceipt, len(verdicts))}
	for i, v := range verdicts {
		receipt := wire.EventReceipt{Sequence: v.Sequence, Status: wire.EventReceiptStatus(v.Status)}
		if v.Code != "" {
			receipt.Code, receipt.Reason = &v.Code, &v.Reason
		}
		answer.Results[i] = receipt
	}
	respond.JSON(w, http.StatusOK, answer)
}

func (a *API) takeEvents(w http.ResponseWriter, r *http.Request) ([]registry.Verdict, error) {
	client, err := a.client(r, access.ScopeCarrier)
	if err != nil {
		return nil, err
	}
	if client.Subject == "" {
		return nil, access.ErrPermission
	}
	body, err := respond.Decode[wire.EventsRequest](w, r, eventsBody)
	if err != nil {
		return nil, err
	}
	events := make([]registry.Reported, len(body.Events))
	for i, e := range body.Events {
		if events[i], err = reported(e); err != nil {
			return nil, fault.Invalidf("events[%d]: %s", i, fault.Of(err).Message)
		}
	}
	var asOf time.Time
	if body.AsOf != nil {
		asOf = *body.AsOf
	}
	return a.Events.Take(r.Context(), client.Subject, events, asOf)
}

// What a carrier names: tenures without spaces, because the store keeps a list of them with spaces between; carriers as they
// are configured.
var (
	tenureID  = regexp.MustCompile(`^[0-9A-Za-z._:/+=-]{1,64}$`)
	carrierID = regexp.MustCompile(`^[a-z][a-z0-9-]{1,31}$`)
)

func reported(e wire.NumberEvent) (registry.Reported, error) {
	n, err := phone.Parse(e.PhoneNumber)
	if err != nil {
		return registry.Reported{}, err
	}
	if !e.Type.Valid() {
		return registry.Reported{}, fault.Invalidf("type is not one of the listed ones.")
	}
	if e.Sequence < 1 || !e.At.After(time.Unix(0, 0)) {
		return registry.Reported{}, fault.Invalidf("sequence must be at least 1, and at must lie after 1970.")
	}
	event := registry.Reported{Sequence: e.Sequence, Number: n, Type: tenure.Type(e.Type), At: e.At}
	if event.TenureID, err = optional(e.TenureID, tenureID, "tenureId"); err != nil {
		return registry.Reported{}, err
	}
	event.Receiving, err = optional(e.ReceivingCarrier, carrierID, "receivingCarrier")
	return event, err
}

// optional reads a property that may be missing and must have a form.
func optional(given *string, form *regexp.Regexp, name string) (string, error) {
	if given == nil {
		return "", nil
	}
	if !form.MatchString(*given) {
		return "", fault.Invalidf("%s has characters or a length that it cannot have.", name)
	}
	return *given, nil
}
