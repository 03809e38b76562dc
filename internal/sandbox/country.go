// Package sandbox is a small country on loopback: four carriers, sixteen apps, an SMS centre and everybody's handsets, all
// real peers that speak the real protocols, with an API to drive it and pages to look at it.
//
// It guarantees that the hub needs to know nothing of it: Setup gives what any hub's configuration holds, and everything
// else goes over sockets. The same directory opened again is the same country, with all that was done in it and its clock
// where it stood; the texts on the handsets are forgotten. Everybody in it is made up, so whole numbers and last-six are
// shown here as nowhere else.
package sandbox

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"untether/internal/catalog"
	"untether/internal/clock"
	"untether/internal/phone"
	"untether/internal/sandbox/apps"
	"untether/internal/sandbox/caller"
	"untether/internal/sandbox/carriers"
	"untether/internal/sandbox/centre"
	"untether/internal/sandbox/people"
	"untether/internal/sms"
)

// Options says what country to make. Dir and Clock are required.
type Options struct {
	Dir     string // for the apps' databases and the country's journal
	Clock   *clock.Movable
	Seed    uint64 // of a country that is made afresh
	People  int    // how many, when it is made afresh; default people.CountDefault
	Log     *slog.Logger
	Catalog *catalog.Catalog // default: catalog.Default()
}

// ShortCode is where the hub's texts come from and handsets write to.
const ShortCode = "10699000"

// hubSystemID is how the hub binds with the SMS centre.
const hubSystemID = "untether"

// Country is a running country. Make it with Open.
type Country struct {
	clock    *clock.Movable
	log      *slog.Logger
	catalog  *catalog.Catalog
	journal  *journal
	secret   []byte
	sample   phone.Number
	madeAt   time.Time
	carriers *carriers.Carriers
	centre   *centre.Centre
	apps     *apps.Apps
	outbox   outbox

	deeds  sync.Mutex // so that the journal has the order in which things were done
	mu     sync.Mutex
	hub    string // base address, once joined
	leave  context.CancelFunc
	joined sync.WaitGroup
}

// Open makes or reopens the country in o.Dir and starts the SMS centre and the carriers. Connectors and reporters start
// with Join. On an error nothing is left running.
func Open(ctx context.Context, o Options) (*Country, error) {
	if o.Catalog == nil {
		o.Catalog = catalog.Default()
	}
	if o.People == 0 {
		o.People = people.CountDefault
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	j, err := openJournal(o.Dir, founding{Seed: o.Seed, MadeAt: o.Clock.Now(), People: o.People})
	if err != nil {
		return nil, fmt.Errorf("the sandbox's journal: %w", err)
	}
	made := people.Make(j.founding.Seed, j.founding.MadeAt, j.founding.People)
	c := &Country{clock: o.Clock, log: o.Log, catalog: o.Catalog, journal: j, secret: j.founding.Secret,
		sample: made.Lines[made.Sample].Number, madeAt: made.MadeAt}
	if err := c.open(ctx, o.Dir, made); err != nil {
		_ = c.Close()
		return nil, err
	}
	return c, nil
}

func (c *Country) open(ctx context.Context, dir string, made *people.Country) (err error) {
	c.carriers, err = carriers.Open(carriers.Options{Country: made, Clock: c.clock, Log: c.log, Secret: c.carrierSecret})
	if err != nil {
		return err
	}
	if err := c.journal.replay(c); err != nil {
		return fmt.Errorf("the sandbox's journal: %w", err)
	}
	c.centre, err = centre.Open(centre.Options{Listen: "127.0.0.1:0", SystemIDs: c.systemIDs(), Clock: c.clock, Log: c.log,
		Known: c.hasHandset, ShortCode: ShortCode, ShortCodeOwner: hubSystemID})
	if err != nil {
		return err
	}
	c.apps, err = apps.Open(ctx, apps.Options{Dir: filepath.Join(dir, "apps"), Catalog: c.catalog, Country: made, Clock: c.clock,
		Log: c.log, SMS: c.appSMS})
	return err
}

// Join starts every app's connector and every carrier's reporter against the hub at a base address such as
// http://127.0.0.1:8080. They keep trying until the hub is there. It must be called once.
func (c *Country) Join(ctx context.Context, hub string) {
	ctx, leave := context.WithCancel(ctx)
	c.mu.Lock()
	c.hub, c.leave = strings.TrimSuffix(hub, "/"), leave
	c.mu.Unlock()
	c.joined.Go(func() { c.apps.Serve(ctx, hub, c.appCredential) })
	c.joined.Go(func() { c.carriers.Report(ctx, hub, c.carrierCredential) })
}

// Close stops everything and waits for it.
func (c *Country) Close() error {
	c.mu.Lock()
	leave := c.leave
	c.mu.Unlock()
	if leave != nil {
		leave()
	}
	c.joined.Wait()
	if c.apps != nil {
		c.apps.Close()
	}
	if c.carriers != nil {
		c.carriers.Close()
	}
	if c.centre != nil {
		_ = c.centre.Close()
	}
	return c.journal.close()
}

// SetCarrierDown makes a carrier's identity service answer 503, or answer again.
func (c *Country) SetCarrierDown(carrier string, down bool) error {
	return c.carriers.SetDown(carrier, down)
}

// SetCentreDown takes the SMS centre away, or brings it back at the same address.
func (c *Country) SetCentreDown(down bool) { c.centre.SetDown(down) }

// SetHandset switches a handset on or off.
func (c *Country) SetHandset(number phone.Number, on bool) { c.centre.SetHandset(number.E164(), on) }

// hasHandset tells the SMS centre whether a text can reach the number.
func (c *Country) hasHandset(number string) bool {
	n, err := phone.Parse(number)
	return err == nil && c.carriers.Reachable(n)
}

// Sample is somebody to try the demo with.
type Sample struct {
	Name        string
	PhoneNumber string // E.164
	IDLast6     string
}

// Sample gives the country's richest example, or whoever holds that number now; when nobody does, somebody else.
func (c *Country) Sample() Sample {
	s, ok := c.carriers.Subscriber(c.sample)
	if all := c.carriers.Subscribers(); !ok && len(all) > 0 {
		s = all[0]
	}
	return Sample{s.Person.Name, s.Number.E164(), s.Person.Document.LastSix().Reveal()}
}

// Setup is what the hub's configuration holds of its peers.
type Setup struct {
	SMS      SMSSetup
	Carriers []CarrierSetup
	Clients  []Client
}

// SMSSetup is the SMS centre as the hub binds with it.
type SMSSetup struct{ Address, SystemID, Password, ShortCode string }

// CarrierSetup is one carrier as the hub asks it.
type CarrierSetup struct {
	ID          string
	Name        catalog.Text
	Prefixes    []string // beginnings of E.164 numbers whose blocks it owns
	IdentityURL string   // base address; /identity-matches stands below it
	Secret      string   // shown to it as Bearer
	ClientID    string   // of its reports
}

// Setup gives the hub's configuration. It does not change while the country runs.
func (c *Country) Setup() Setup {
	s := Setup{SMS: SMSSetup{c.centre.Addr(), hubSystemID, c.password(hubSystemID), ShortCode}, Clients: c.clients()}
	for _, k := range people.Carriers {
		s.Carriers = append(s.Carriers, CarrierSetup{ID: k.ID, Name: catalog.Text{ZhCN: k.NameZhCN, En: k.NameEn}, Prefixes: k.Prefixes,
			IdentityURL: c.carriers.IdentityURL(k.ID), Secret: c.carrierSecret(k.ID), ClientID: carrierClient(k.ID)})
	}
	return s
}

// derive makes a secret for a purpose from the country's own.
func (c *Country) derive(purpose string) string {
	mac := hmac.New(sha256.New, c.secret)
	mac.Write([]byte(purpose))
	return hex.EncodeToString(mac.Sum(nil)[:24])
}

// password is a secret of the eight characters that SMPP has room for.
func (c *Country) password(systemID string) string { return c.derive("smpp " + systemID)[:8] }

func (c *Country) carrierSecret(id string) string { return c.derive("identity " + id) }

func (c *Country) systemIDs() map[string]string {
	ids := map[string]string{hubSystemID: c.password(hubSystemID)}
	for _, app := range c.catalog.IDs() {
		ids[c.systemID(app)] = c.password(c.systemID(app))
	}
	return ids
}

// systemID keeps to the 15 octets of SMPP, whatever the app is called.
func (c *Country) systemID(app string) string {
	for i, id := range c.catalog.IDs() {
		if id == app {
			return fmt.Sprintf("app%03d", i+1)
		}
	}
	return ""
}

func (c *Country) appSMS(app string) sms.Config {
	id := c.systemID(app)
	return sms.Config{Address: c.centre.Addr(), SystemID: id, Password: c.password(id), ReconnectMin: 100 * time.Millisecond}
}

func (c *Country) appCredential(app string) caller.Credential {
	return c.credential(appClient(app), "app")
}

func (c *Country) carrierCredential(id string) caller.Credential {
	return c.credential(carrierClient(id), "carrier")
}

func (c *Country) credential(id, scope string) caller.Credential {
	return caller.Credential{ID: id, Secret: c.derive("client " + id), Scope: scope}
}
