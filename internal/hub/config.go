package hub

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/goccy/go-yaml"

	"untether/internal/catalog"
	"untether/internal/clock"
	"untether/internal/keys"
	"untether/internal/sms"
	"untether/internal/store"
)

// file is untether.yaml, as deploy/untether.example.yaml documents it. It never holds a secret, only where one stands.
type file struct {
	Listen    string   `yaml:"listen"`
	OpsListen string   `yaml:"opsListen"`
	Hosts     []string `yaml:"hosts"`
	Secure    bool     `yaml:"secure"`

	Database     string `yaml:"database"`
	DatabaseFile string `yaml:"databaseFile"`
	DatabaseEnv  string `yaml:"databaseEnv"`
	KeyFile      string `yaml:"keyFile"`

	ShortCode   string       `yaml:"shortCode"`
	SMS         smsFile      `yaml:"sms"`
	Country     string       `yaml:"country"`
	TimeZone    string       `yaml:"timeZone"`
	FreezeDays  *int         `yaml:"freezeDays"`
	CatalogFile string       `yaml:"catalogFile"`
	Brand       catalog.Text `yaml:"brand"`
	ServiceName catalog.Text `yaml:"serviceName"`
	Menu        catalog.Text `yaml:"menu"`

	Networks []string               `yaml:"networks"`
	Carriers []carrierFile          `yaml:"carriers"`
	Clients  []clientFile           `yaml:"clients"`
	Channels map[string]channelFile `yaml:"channels"`

	LeaseSeconds int           `yaml:"leaseSeconds"`
	Retention    retentionFile `yaml:"retention"`
	Log          logFile       `yaml:"log"`

	folder string // for relative paths
}

type smsFile struct {
	Address      string `yaml:"address"`
	TLS          bool   `yaml:"tls"`
	SystemID     string `yaml:"systemId"`
	PasswordFile string `yaml:"passwordFile"`
	PasswordEnv  string `yaml:"passwordEnv"`
	SystemType   string `yaml:"systemType"`
	SourceTON    uint8  `yaml:"sourceTon"`
	SourceNPI    uint8  `yaml:"sourceNpi"`
	MessageIDs   string `yaml:"messageIds"`

	Window                 int `yaml:"window"`
	EnquireLinkSeconds     int `yaml:"enquireLinkSeconds"`
	ResponseTimeoutSeconds int `yaml:"responseTimeoutSeconds"`
	ReconnectMaxSeconds    int `yaml:"reconnectMaxSeconds"`
}

type carrierFile struct {
	ID          string   `yaml:"id"`
	Prefixes    []string `yaml:"prefixes"`
	IdentityURL string   `yaml:"identityUrl"`
	SecretFile  string   `yaml:"secretFile"`
	SecretEnv   string   `yaml:"secretEnv"`
}

type clientFile struct {
	ID         string   `yaml:"id"`
	Role       string   `yaml:"role"`
	App        string   `yaml:"app"`
	Carrier    string   `yaml:"carrier"`
	Scopes     []string `yaml:"scopes"`
	SecretHash string   `yaml:"secretHash"`
	SecretFile string   `yaml:"secretFile"`
	SecretEnv  string   `yaml:"secretEnv"`
}

type channelFile struct {
	Codes   *rateFile `yaml:"codes"`
	Guesses *rateFile `yaml:"guesses"`
}

type rateFile struct {
	Count      int `yaml:"count"`
	PerSeconds int `yaml:"perSeconds"`
	Burst      int `yaml:"burst"`
}

type retentionFile struct {
	CodesDays     int `yaml:"codesDays"`
	SearchesDays  int `yaml:"searchesDays"`
	TextPartsDays int `yaml:"textPartsDays"`
	TokensDays    int `yaml:"tokensDays"`
	AuditDays     int `yaml:"auditDays"`
}

type logFile struct {
	Level  string `yaml:"level"`
	Format string `yaml:"format"`
}

// Bounds of a configuration.
const (
	configBytesMax   = 1 << 20
	secretBytesMax   = 8 << 10
	retentionDaysMax = 3650
	freezeDaysMax    = 3650
	leaseSecondsMax  = 3600
	windowMax        = 1000
	secondsMax       = 600
	shownMax         = 200 // characters of a library's message
)

// freezeDaysMin is how long a cancelled number must rest at the least, by country.
var freezeDaysMin = map[string]int{
	"cn": 90, // 电信服务规范 2.1.7
	"us": 45, // 47 CFR 52.15
}

// LoadConfig reads a hub's configuration with all files that it names. The options that it gives run on the machine's clock
// and log to stderr. Its error lists everything that is wrong, one a line, and says what to do; no secret stands in it.
func LoadConfig(path string) (Options, error) {
	text, err := readFile(path, configBytesMax)
	if err != nil {
		return Options{}, fmt.Errorf("the configuration cannot be read: %w", err)
	}
	f := file{folder: filepath.Dir(path)}
	if err := yaml.UnmarshalWithOptions(text, &f, yaml.Strict()); err != nil && !errors.Is(err, io.EOF) {
		return Options{}, fmt.Errorf("%s: %w", path, withLine(err))
	}
	o, err := f.options()
	if err != nil {
		return Options{}, fmt.Errorf("%s:\n%w", path, err)
	}
	return o, nil
}

// withLine keeps the line and the reason of a YAML error, and leaves out the lines around it that the library would show:
// somebody may have put a secret there.
func withLine(err error) error {
	var at yaml.Error
	if errors.As(err, &at) && at.GetToken() != nil && at.GetToken().Position != nil {
		reason := at.GetMessage()
		if reason == "" {
			reason = "cannot be read"
		}
		return fmt.Errorf("line %d: %s", at.GetToken().Position.Line, clipped(reason))
	}
	return errors.New("it is not YAML: " + clipped(yaml.FormatError(err, false, false)))
}

func clipped(s string) string {
	s, _, _ = strings.Cut(s, "\n")
	if r := []rune(s); len(r) > shownMax {
		return string(r[:shownMax]) + "…"
	}
	return s
}

// gather collects what is wrong, so that one run tells everything.
type gather struct{ wrong []error }

func (g *gather) add(err error) { g.wrong = append(g.wrong, err) }

func (g *gather) addf(format string, a ...any) { g.add(fmt.Errorf("- "+format, a...)) }

// days reads a number of days; zero is the default's.
func (g *gather) days(name string, n int) time.Duration {
	return time.Duration(g.bounded(name, n, retentionDaysMax)) * 24 * time.Hour
}

func (g *gather) seconds(name string, n int) time.Duration {
	return time.Duration(g.bounded(name, n, secondsMax)) * time.Second
}

func (g *gather) bounded(name string, n, most int) int {
	if n < 0 || n > most {
		g.addf("%s must be between 1 and %d; leave it out for the default", name, most)
		return 0
	}
	return n
}

func (f *file) options() (Options, error) {
	g := &gather{}
	o := Options{Clock: clock.System{}, Listen: f.Listen, OpsListen: f.OpsListen, Hosts: f.Hosts, Secure: f.Secure,
		ShortCode: f.ShortCode}
	o.Log = f.logger(g)
	f.addresses(g)
	o.Database = f.database(g)
	o.Keys = f.keys(g)
	o.SMS = f.sms(g)
	o.Place = f.place(g)
	o.Freeze = f.freeze(g)
	o.Catalog = f.catalog(g)
	o.ServiceName = both(g, "serviceName", f.ServiceName)
	o.Menu = both(g, "menu", f.Menu)
	o.Brand = both(g, "brand", f.Brand)
	f.peers(g, &o)
	o.Lease = time.Duration(g.bounded("leaseSeconds", f.LeaseSeconds, leaseSecondsMax)) * time.Second
	o.Retention = f.retention(g)
	if err := errors.Join(g.wrong...); err != nil {
		return Options{}, err
	}
	return o, nil
}

// both reads a text that is left out or given in both languages.
func both(g *gather, name string, t catalog.Text) catalog.Text {
	if t != (catalog.Text{}) && (t.ZhCN == "" || t.En == "") {
		g.addf("%s needs both languages: zh-CN and en", name)
	}
	return t
}

func (f *file) logger(g *gather) *slog.Logger {
	var level slog.Level
	if f.Log.Level != "" && level.UnmarshalText([]byte(f.Log.Level)) != nil {
		g.addf("log.level must be debug, info, warn or error")
	}
	options := &slog.HandlerOptions{Level: level}
	switch f.Log.Format {
	case "", "json":
		return slog.New(slog.NewJSONHandler(os.Stderr, options))
	case "text":
		return slog.New(slog.NewTextHandler(os.Stderr, options))
	}
	g.addf("log.format must be json or text")
	return nil
}

var shortCodeForm = regexp.MustCompile(`^[0-9]{3,15}$`)

func (f *file) addresses(g *gather) {
	if _, _, err := net.SplitHostPort(f.Listen); err != nil {
		g.addf("listen must be an address and a port, such as 127.0.0.1:8080")
	}
	if f.OpsListen != "" && !Loopback(f.OpsListen) {
		g.addf("opsListen must be a loopback address: it has no log-in of its own; let your collector run here, or tunnel to it")
	}
	if len(f.Hosts) == 0 && f.Listen != "" && !Loopback(f.Listen) {
		g.addf("hosts is empty: name the hosts that people reach the hub by, such as hub.example; every other one is refused")
	}
	if f.ShortCode != "" && !shortCodeForm.MatchString(f.ShortCode) {
		g.addf("shortCode must be 3 to 15 digits")
	}
}

func (f *file) database(g *gather) string {
	if set(f.Database, f.DatabaseFile, f.DatabaseEnv) != 1 {
		g.addf("set one of database, databaseFile and databaseEnv: the path of a SQLite file, or postgres://…")
		return ""
	}
	if strings.HasPrefix(f.Database, "postgres") && strings.Contains(f.Database, "@") && withPassword(f.Database) {
		g.addf("the database's password stands in the configuration: move the address into a file and name it as databaseFile")
		return ""
	}
	address := f.Database
	if address == "" {
		address = f.secret(g, "the database's address", f.DatabaseFile, f.DatabaseEnv)
	}
	if strings.HasPrefix(address, "postgres://") || strings.HasPrefix(address, "postgresql://") || address == "" {
		return address
	}
	return f.resolve(address)
}

func (f *file) keys(g *gather) *keys.Ring {
	if f.KeyFile == "" {
		g.addf("keyFile is missing. %s", keyAdvice)
		return nil
	}
	path := f.resolve(f.KeyFile)
	if _, err := os.Stat(path); err != nil {
		g.addf("keyFile: %w. Never make a second key for a database that is in use: what is in it could not be read any more. %s", err, keyAdvice)
		return nil
	}
	ring, _, err := keys.LoadOrCreate(path)
	if err != nil {
		g.addf("keyFile: %w", err)
	}
	return ring
}

const keyAdvice = "Make one for a new database, and keep a copy elsewhere: umask 077; openssl rand -hex 32 > root.key"

func (f *file) place(g *gather) *time.Location {
	name := f.TimeZone
	if name == "" {
		name = "Asia/Shanghai"
	}
	place, err := time.LoadLocation(name)
	if err != nil || strings.EqualFold(name, "local") {
		g.addf("timeZone must be a name such as Asia/Shanghai")
		return nil
	}
	return place
}

func (f *file) freeze(g *gather) time.Duration {
	country := strings.ToLower(f.Country)
	if country == "" {
		country = "cn"
	}
	least, known := freezeDaysMin[country]
	days := least
	if f.FreezeDays != nil {
		days = *f.FreezeDays
	}
	switch {
	case !known && f.FreezeDays == nil:
		g.addf("freezeDays is missing: how long a cancelled number rests is known here for cn and us only")
	case days < max(least, 1) || days > freezeDaysMax:
		g.addf("freezeDays must be between %d and %d for the country %s", max(least, 1), freezeDaysMax, country)
	}
	return time.Duration(days) * 24 * time.Hour
}

func (f *file) catalog(g *gather) *catalog.Catalog {
	if f.CatalogFile == "" {
		return catalog.Default()
	}
	text, err := readFile(f.resolve(f.CatalogFile), catalog.FileBytesMax)
	if err != nil {
		g.addf("catalogFile: %w", err)
		return nil
	}
	c, err := catalog.Parse(text)
	if err != nil {
		g.addf("catalogFile: %w", err)
	}
	return c
}

func (f *file) retention(g *gather) store.Policy {
	p, r := store.DefaultPolicy(), f.Retention
	for _, x := range []struct {
		name string
		days int
		kept *time.Duration
	}{
		{"codesDays", r.CodesDays, &p.Codes}, {"searchesDays", r.SearchesDays, &p.Searches}, {"textPartsDays", r.TextPartsDays, &p.TextParts},
		{"tokensDays", r.TokensDays, &p.Tokens}, {"auditDays", r.AuditDays, &p.Audit},
	} {
		if d := g.days("retention."+x.name, x.days); d > 0 {
			*x.kept = d
		}
	}
	return p
}

var messageIDs = map[string]sms.IDs{"": sms.IDsAlike, "alike": sms.IDsAlike, "answerHex": sms.IDsAnswerHex, "receiptHex": sms.IDsReceiptHex}
