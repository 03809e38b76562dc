package connector

import (
	"errors"
	"time"

	"untether/internal/phone"
)

// The wire forms of the app protocol. Properties that this version does not know are ignored, so that a hub may say more.

// kindCount is the only kind of task so far.
const kindCount = "count"

type leaseRequest struct {
	Max         int `json:"max"`
	WaitSeconds int `json:"waitSeconds"`
}

type leaseAnswer struct {
	Tasks []task `json:"tasks"`
}

type task struct {
	ID      string `json:"id"`
	Kind    string `json:"kind"`
	Subject struct {
		PhoneNumber string `json:"phoneNumber"`
	} `json:"subject"`
	TenureStart string `json:"tenureStart"` // RFC 3339; read late, so that one bad task does not spoil its batch
}

const taskIDLengthMax = 200

func (t task) asked() (asked, error) {
	if t.ID == "" || len(t.ID) > taskIDLengthMax {
		return asked{}, errors.New("its id is missing or too long")
	}
	n, err := phone.Parse(t.Subject.PhoneNumber)
	if err != nil {
		return asked{}, errors.New("subject.phoneNumber is not in E.164")
	}
	start, err := time.Parse(time.RFC3339, t.TenureStart)
	if err != nil {
		return asked{}, errors.New("tenureStart is not an instant in RFC 3339")
	}
	return asked{t.ID, n, start}, nil
}

type result struct {
	ID       string `json:"id"`
	Outcome  string `json:"outcome"` // names what was done
	Accounts int    `json:"accounts"`
	Left     int    `json:"left"`
	Undated  int    `json:"undated"`
}

type resultsRequest struct {
	Results []result `json:"results"`
}

type resultsAnswer struct {
	Results []receipt `json:"results"`
}

type receipt struct {
	ID       string `json:"id"`
	Accepted bool   `json:"accepted"`
	Code     string `json:"code"`
	Message  string `json:"message"`
}

type tokenAnswer struct {
	AccessToken string  `json:"access_token"`
	TokenType   string  `json:"token_type"`
	ExpiresIn   float64 `json:"expires_in"` // seconds
	Scope       *string `json:"scope"`      // missing: as asked for (RFC 6749, 5.1)
}

// refusalBody is the hub's error shape, and beside it OAuth's own, which a token endpoint may use.
type refusalBody struct {
	Status           int    `json:"status"`
	Code             string `json:"code"`
	Message          string `json:"message"`
	Error            string `json:"error"`
	ErrorDescription string `json:"error_description"`
}
