package browser

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"untether/internal/demo"
	"untether/internal/sandbox/people"
)

// peopleInCountry are enough for a list, and few enough to be made at once.
const peopleInCountry = 80

// country is a demo of its own for one test, running.
type country struct {
	*demo.Demo
	t *testing.T
}

func newCountry(t *testing.T) *country {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	d, err := demo.Open(ctx, demo.Options{Listen: "127.0.0.1:0", People: peopleInCountry})
	if err != nil {
		stop()
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("the demo ended with: %v", err)
		}
	})
	return &country{d, t}
}

// citizen is somebody of the country, as its control API tells of them.
type citizen struct {
	Name        string                   `json:"name"`
	PhoneNumber string                   `json:"phoneNumber"`
	IDLast6     string                   `json:"idLast6"`
	Carrier     string                   `json:"carrier"`
	Language    string                   `json:"language"`
	Accounts    map[string]people.Counts `json:"accounts"`
}

// national is the number as its holder would say it.
func (c citizen) national() string { return strings.TrimPrefix(c.PhoneNumber, "+86") }

// sum is everything that all apps hold of the number.
func (c citizen) sum() (all people.Counts) {
	for _, n := range c.Accounts {
		all.Accounts += n.Accounts
		all.Left += n.Left
		all.Undated += n.Undated
	}
	return all
}

// citizens are everybody.
func (c *country) citizens() []citizen {
	c.t.Helper()
	var answer struct{ People []citizen }
	c.control(http.MethodGet, "/sandbox/v1/people?limit=500", "", &answer)
	return answer.People
}

// sample is the person that the demo suggests.
func (c *country) sample() citizen {
	c.t.Helper()
	return c.find(c.Sample().PhoneNumber)
}

func (c *country) find(number string) citizen {
	c.t.Helper()
	var answer struct{ People []citizen }
	c.control(http.MethodGet, "/sandbox/v1/people?q="+url.QueryEscape(strings.TrimPrefix(number, "+86")), "", &answer)
	if len(answer.People) != 1 {
		c.t.Fatalf("%d people found, want one", len(answer.People))
	}
	return answer.People[0]
}

// who is the first person that fits.
func (c *country) who(fits func(citizen) bool) citizen {
	c.t.Helper()
	for _, one := range c.citizens() {
		if fits(one) {
			return one
		}
	}
	c.t.Fatal("nobody in the country fits")
	return citizen{}
}

// behave makes apps normal, slow, down or garbage.
func (c *country) behave(behaviour string, apps ...string) {
	c.t.Helper()
	for _, app := range apps {
		c.control(http.MethodPatch, "/sandbox/v1/apps/"+app, `{"behaviour":"`+behaviour+`"}`, nil)
	}
}

// control asks the country's control API.
func (c *country) control(method, path, body string, answer any) {
	c.t.Helper()
	r, err := http.NewRequestWithContext(context.Background(), method, c.URL()+path, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		c.t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode >= 300 {
		c.t.Fatalf("%s %s: %s", method, path, res.Status)
	}
	if answer == nil {
		return
	}
	if err := json.NewDecoder(res.Body).Decode(answer); err != nil {
		c.t.Fatal(err)
	}
}

// ahead sets everybody's clock ahead.
func (c *country) ahead(by time.Duration) {
	c.t.Helper()
	if err := c.Country.Advance(by); err != nil {
		c.t.Fatal(err)
	}
}

func (c *country) carrierDown(carrier string, down bool) {
	c.t.Helper()
	if err := c.Country.SetCarrierDown(carrier, down); err != nil {
		c.t.Fatal(err)
	}
}
