package connector

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
)

// Config is connector.yaml. It never holds the client's secret itself, only where it stands.
type Config struct {
	Hub              string `yaml:"hub"`
	ClientID         string `yaml:"clientId"`
	ClientSecretFile string `yaml:"clientSecretFile"` // relative to the file's own folder
	ClientSecretEnv  string `yaml:"clientSecretEnv"`  // the name of an environment variable

	Database DatabaseConfig `yaml:"database"`

	Query               string       `yaml:"query"`
	NumberFormat        NumberFormat `yaml:"numberFormat"`
	CountryCode         string       `yaml:"countryCode"`
	TimeZone            string       `yaml:"timeZone"`
	QueryTimeoutSeconds int          `yaml:"queryTimeoutSeconds"`

	Batch       int `yaml:"batch"`
	Concurrency int `yaml:"concurrency"`

	folder string // for relative paths
}

// DatabaseConfig says which database and where; exactly one of the three ways to its address is set.
type DatabaseConfig struct {
	Driver  string `yaml:"driver"`
	URL     string `yaml:"url"`
	URLFile string `yaml:"urlFile"`
	URLEnv  string `yaml:"urlEnv"`
}

// ConfigError is a configuration that cannot be used; its text says why, for the person who wrote it.
type ConfigError struct{ cause error }

// Error gives every reason, one a line.
func (e *ConfigError) Error() string { return e.cause.Error() }

// Unwrap gives the reasons.
func (e *ConfigError) Unwrap() error { return e.cause }

// Sizes of what is read from files.
const (
	configBytesMax = 256 << 10
	secretBytesMax = 8 << 10
)

// LoadConfig reads and checks a file. Any error is a *ConfigError.
func LoadConfig(path string) (*Config, error) {
	text, err := readFile(path, configBytesMax)
	if err != nil {
		return nil, &ConfigError{fmt.Errorf("the configuration cannot be read: %w", err)}
	}
	c, err := ParseConfig(text)
	if err != nil {
		return nil, &ConfigError{fmt.Errorf("%s: %w", path, err)}
	}
	c.folder = filepath.Dir(path)
	return c, nil
}

// ParseConfig reads and checks a configuration's text; relative paths are then relative to the working folder. It reads
// no secret. Any error is a *ConfigError; a key that is not known is one, with its line.
func ParseConfig(text []byte) (*Config, error) {
	var c Config
	if err := yaml.UnmarshalWithOptions(text, &c, yaml.Strict()); err != nil {
		return nil, &ConfigError{withLine(err)}
	}
	if err := c.check(); err != nil {
		return nil, &ConfigError{err}
	}
	return &c, nil
}

// withLine keeps the line and the reason of a YAML error, and leaves out the lines around it that the library would show:
// a password may stand there.
func withLine(err error) error {
	var at yaml.Error
	if errors.As(err, &at) && at.GetToken() != nil && at.GetToken().Position != nil {
		reason := at.GetMessage()
		if reason == "" {
			reason = "cannot be read"
		}
		return fmt.Errorf("line %d: %s", at.GetToken().Position.Line, clipped(reason, 200))
	}
	return errors.New("it is not YAML: " + clipped(yaml.FormatError(err, false, false), 200))
}

func (c *Config) check() error {
	var wrong []error
	if _, err := hubAddress(c.Hub); err != nil {
		wrong = append(wrong, err)
	}
	if c.ClientID == "" {
		wrong = append(wrong, errors.New("clientId is missing; the hub's operator gives it"))
	}
	if set(c.ClientSecretFile, c.ClientSecretEnv) != 1 {
		wrong = append(wrong, errors.New("set one of clientSecretFile and clientSecretEnv"))
	}
	if set(c.Database.URL, c.Database.URLFile, c.Database.URLEnv) != 1 {
		wrong = append(wrong, errors.New("set one of database.url, database.urlFile and database.urlEnv"))
	}
	_, err := c.sqlOptions("").complete()
	wrong = append(wrong, err)
	if _, err := c.zone(); err != nil {
		wrong = append(wrong, err)
	}
	wrong = append(wrong, bounded("batch", c.Batch, BatchMax), bounded("concurrency", c.Concurrency, ConcurrencyMax),
		bounded("queryTimeoutSeconds", c.QueryTimeoutSeconds, int(QueryTimeoutMax/time.Second)))
	return errors.Join(wrong...)
}

func set(values ...string) int {
	n := 0
	for _, v := range values {
		if v != "" {
			n++
		}
	}
	return n
}

func bounded(name string, value, most int) error {
	if value < 0 || value > most {
		return fmt.Errorf("%s must be between 1 and %d (leave it out for the default)", name, most)
	}
	return nil
}

func (c *Config) zone() (*time.Location, error) {
	name := c.TimeZone
	if name == "" {
		name = ZoneDefault
	}
	zone, err := time.LoadLocation(name)
	if err != nil || strings.EqualFold(name, "local") {
		return nil, errors.New("timeZone must be a name such as Asia/Shanghai or UTC")
	}
	return zone, nil
}

// sqlOptions leaves out an out-of-range time-out, which check reports under the file's own name for it.
func (c *Config) sqlOptions(address string) SQLOptions {
	o := SQLOptions{
		Driver: c.Database.Driver, URL: address, Query: c.Query, NumberFormat: c.NumberFormat, CountryCode: c.CountryCode,
	}
	if bounded("", c.QueryTimeoutSeconds, int(QueryTimeoutMax/time.Second)) == nil {
		o.Timeout = time.Duration(c.QueryTimeoutSeconds) * time.Second
	}
	o.Zone, _ = c.zone()
	return o
}

// OpenDatabase reads where the database is and prepares it; see OpenSQL. Close it when done.
func (c *Config) OpenDatabase() (*SQLDatabase, error) {
	address, err := c.read("database.url", c.Database.URLFile, c.Database.URLEnv)
	if err != nil {
		return nil, &ConfigError{err}
	}
	if c.Database.URL != "" {
		address = c.Database.URL
	}
	if c.Database.Driver == "sqlite" && address != "" {
		address = c.resolve(address)
	}
	d, err := OpenSQL(c.sqlOptions(address))
	if err != nil {
		return nil, &ConfigError{err}
	}
	return d, nil
}

// Options reads the client's secret and makes the options of a connector that asks d.
func (c *Config) Options(d Database, log *slog.Logger) (Options, error) {
	secret, err := c.read("the client's secret", c.ClientSecretFile, c.ClientSecretEnv)
	if err == nil && secret == "" {
		err = errors.New("the client's secret is empty")
	}
	if err != nil {
		return Options{}, &ConfigError{err}
	}
	return Options{
		Hub: c.Hub, ClientID: c.ClientID, ClientSecret: secret, Database: d,
		Batch: c.Batch, Concurrency: c.Concurrency, Log: log,
	}, nil
}

// read takes a value from a file or an environment variable, without the white space around it.
func (c *Config) read(what, file, env string) (string, error) {
	switch {
	case file != "":
		text, err := readFile(c.resolve(file), secretBytesMax)
		if err != nil {
			return "", fmt.Errorf("%s: %w", what, err)
		}
		return strings.TrimSpace(string(text)), nil
	case env != "":
		value := strings.TrimSpace(os.Getenv(env))
		if value == "" {
			return "", fmt.Errorf("%s: the environment variable %s is empty or not set", what, env)
		}
		return value, nil
	}
	return "", nil
}

func (c *Config) resolve(path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(c.folder, path)
}

func readFile(path string, most int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	text, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(text)) > most {
		return nil, fmt.Errorf("%s is over %d bytes", path, most)
	}
	return text, err
}

// warnings tells what is not wrong, but not wise either.
func (c *Config) warnings() []string {
	var found []string
	if c.ClientSecretFile != "" {
		if info, err := os.Stat(c.resolve(c.ClientSecretFile)); err == nil && info.Mode().Perm()&0o077 != 0 {
			found = append(found, "clientSecretFile can be read by other users of this machine; do: chmod 600 "+c.ClientSecretFile)
		}
	}
	if u, err := url.Parse(c.Database.URL); err == nil && u.User != nil {
		if _, ok := u.User.Password(); ok {
			found = append(found, "the database's password stands in this file; use database.urlFile or database.urlEnv")
		}
	}
	if c.Database.Driver == "sqlite" && !strings.Contains(c.Query, "json_each") {
		found = append(found, "on SQLite $1 is a JSON array; without json_each($1) the query finds nothing")
	}
	return found
}
