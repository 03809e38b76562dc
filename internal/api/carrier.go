package api

import (
	"net/http"
	"strings"
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

// eventIDMax bounds the characters of a tenure's or a carrier's id.
const eventIDMax = 64

func reported(e wire.NumberEvent) (registry.Reported, error) {
	n, err := phone.Parse(e.PhoneNumber)
	if err != nil {
		return registry.Reported{}, err
	}
	if !e.Type.Valid() {
		return registry.Reported{}, fault.Invalidf("type is not one of the listed ones.")
	}
	if e.Sequence < 0 || e.At.Year() < 1970 || e.At.Year() > 9999 {
		return registry.Reported{}, fault.Invalidf("sequence must not be negative, and at must lie after 1970.")
	}
	event := registry.Reported{Sequence: e.Sequence, Number: n, Type: tenure.Type(e.Type), At: e.At}
	for _, id := range []struct{ from, to *string }{{e.TenureID, &event.TenureID}, {e.ReceivingCarrier, &event.Receiving}} {
		if id.from == nil {
			continue
		}
		if *id.from == "" || len(*id.from) > eventIDMax || strings.ContainsAny(*id.from, " \t\r\n") {
			return registry.Reported{}, fault.Invalidf("an id must have 1 to %d characters and no spaces.", eventIDMax)
		}
		*id.to = *id.from
	}
	return event, nil
}
