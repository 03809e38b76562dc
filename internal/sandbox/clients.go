package sandbox

import "untether/internal/sandbox/people"

// Client is one OAuth client of the hub, as the country's peers use it.
type Client struct {
	ID      string   `json:"id"`
	Secret  string   `json:"secret"`
	Role    string   `json:"role"` // channel, app, carrier or checker
	Scopes  []string `json:"scopes"`
	Subject string   `json:"-"` // the app's or the carrier's id
}

// Names of the clients that are neither an app nor a carrier.
const (
	ChannelClient = "demo-channel"
	CheckerClient = "demo-checker"
)

func appClient(app string) string         { return "app-" + app }
func carrierClient(carrier string) string { return "carrier-" + carrier }

// checkerScopes are those of the CAMARA checks. An app's client has none of them.
var checkerScopes = []string{"number-recycling:check", "kyc-tenure:check-tenure", "one-time-password-sms:send-validate"}

func (c *Country) clients() []Client {
	clients := []Client{
		c.client(ChannelClient, "channel", "", "channel"),
		c.client(CheckerClient, "checker", "", checkerScopes...),
	}
	for _, k := range people.Carriers {
		clients = append(clients, c.client(carrierClient(k.ID), "carrier", k.ID, "carrier"))
	}
	for _, app := range c.catalog.IDs() {
		clients = append(clients, c.client(appClient(app), "app", app, "app"))
	}
	return clients
}

func (c *Country) client(id, role, subject string, scopes ...string) Client {
	return Client{ID: id, Secret: c.credential(id, "").Secret, Role: role, Scopes: scopes, Subject: subject}
}
