package hub

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"untether/internal/access"
	"untether/internal/sms"
	"untether/internal/verification"
)

func (f *file) sms(g *gather) sms.Config {
	s := f.SMS
	if _, _, err := net.SplitHostPort(s.Address); err != nil {
		g.addf("sms.address must be the SMS centre's host and port, such as smsc.internal:2775")
	}
	if s.SystemID == "" || len(s.SystemID) > 15 {
		g.addf("sms.systemId must be 1 to 15 characters; the SMS centre's operator gives it")
	}
	ids, known := messageIDs[s.MessageIDs]
	if !known {
		g.addf("sms.messageIds must be alike, answerHex or receiptHex")
	}
	c := sms.Config{Address: s.Address, SystemID: s.SystemID, SystemType: s.SystemType, SourceTON: s.SourceTON, SourceNPI: s.SourceNPI, IDs: ids,
		Password:        f.oneSecret(g, "sms.password", s.PasswordFile, s.PasswordEnv),
		Window:          g.bounded("sms.window", s.Window, windowMax),
		EnquireLink:     g.seconds("sms.enquireLinkSeconds", s.EnquireLinkSeconds),
		ResponseTimeout: g.seconds("sms.responseTimeoutSeconds", s.ResponseTimeoutSeconds),
		ReconnectMax:    g.seconds("sms.reconnectMaxSeconds", s.ReconnectMaxSeconds),
	}
	if host, _, err := net.SplitHostPort(s.Address); s.TLS && err == nil {
		c.TLS = &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12}
	}
	return c
}

// peers reads whom the hub calls and who may call it. It comes after the catalogue.
func (f *file) peers(g *gather, o *Options) {
	for _, text := range f.Networks {
		network, err := netip.ParsePrefix(text)
		if err != nil {
			g.addf("networks: %q is not a network such as 10.20.0.0/16", text)
		}
		o.Networks = append(o.Networks, network)
	}
	if len(f.Carriers) == 0 {
		g.addf("carriers is empty: without a carrier no identity can be confirmed")
	} else if len(f.Networks) == 0 {
		g.addf("networks is empty: name the networks of the carriers' identity services, such as 10.20.0.0/16; calls go nowhere else")
	}
	seen := map[string]bool{}
	for i, c := range f.Carriers {
		name := fmt.Sprintf("carriers[%d] (%s)", i, c.ID)
		if c.ID == "" || seen["carrier "+c.ID] {
			g.addf("%s: every carrier needs an id of its own", name)
		}
		seen["carrier "+c.ID] = true
		o.Carriers = append(o.Carriers, f.carrier(g, name, c))
	}
	for i, c := range f.Clients {
		name := fmt.Sprintf("clients[%d] (%s)", i, c.ID)
		if c.ID == "" || seen["client "+c.ID] || c.ID == PortalChannel {
			g.addf("%s: every client needs an id of its own, and %q is the hub's own pages", name, PortalChannel)
		}
		seen["client "+c.ID] = true
		o.Clients = append(o.Clients, f.client(g, name, c, o))
	}
	o.Channels = f.channels(g)
}

var prefixForm = regexp.MustCompile(`^\+[1-9][0-9]{0,14}$`)

func (f *file) carrier(g *gather, name string, c carrierFile) Carrier {
	if len(c.Prefixes) == 0 {
		g.addf("%s: prefixes is empty: name the beginnings of its numbers, such as \"+86138\"", name)
	}
	for _, p := range c.Prefixes {
		if !prefixForm.MatchString(p) {
			g.addf("%s: the prefix %q must be a plus sign and digits, in quotation marks", name, p)
		}
	}
	if u, err := url.Parse(c.IdentityURL); err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		g.addf("%s: identityUrl must be the address of its identity service, such as https://identity.carrier.example", name)
	} else if u.Scheme == "http" && !Loopback(net.JoinHostPort(u.Hostname(), "0")) {
		g.addf("%s: identityUrl must be https: identity digits go there", name)
	}
	return Carrier{ID: c.ID, Prefixes: c.Prefixes, IdentityURL: c.IdentityURL, Secret: f.oneSecret(g, name+": secret", c.SecretFile, c.SecretEnv)}
}

var hashForm = regexp.MustCompile(`^[0-9a-f]{64}$`)

func (f *file) client(g *gather, name string, c clientFile, o *Options) access.Client {
	client := access.Client{ID: c.ID, Role: access.Role(c.Role), Scopes: c.Scopes, SecretHash: c.SecretHash}
	var scope string
	switch client.Role {
	case access.Channel:
		scope = access.ScopeChannel
	case access.App:
		scope, client.Subject = access.ScopeApp, c.App
		if o.Catalog != nil {
			if _, ok := o.Catalog.Find(c.App); !ok {
				g.addf("%s: app must be the id of an app in the catalogue", name)
			}
		}
	case access.Carrier:
		scope, client.Subject = access.ScopeCarrier, c.Carrier
		if !f.hasCarrier(c.Carrier) {
			g.addf("%s: carrier must be the id of one under carriers", name)
		}
	default:
		g.addf("%s: role must be channel, app or carrier", name)
	}
	if len(c.Scopes) == 0 {
		client.Scopes = []string{scope}
	} else if len(c.Scopes) != 1 || c.Scopes[0] != scope {
		g.addf("%s: the one scope of this role is %s; leave scopes out", name, scope)
	}
	if set(c.SecretHash, c.SecretFile, c.SecretEnv) != 1 {
		g.addf("%s: set one of secretHash, secretFile and secretEnv", name)
	} else if c.SecretHash == "" {
		client.SecretHash = access.HashSecret(f.secret(g, name+": secret", c.SecretFile, c.SecretEnv))
	} else if !hashForm.MatchString(c.SecretHash) {
		g.addf("%s: secretHash must be the secret's SHA-256, 64 hexadecimal digits in lower case", name)
	}
	return client
}

func (f *file) hasCarrier(id string) bool {
	for _, c := range f.Carriers {
		if c.ID == id {
			return true
		}
	}
	return false
}

func (f *file) channels(g *gather) map[string]verification.Channel {
	all := map[string]verification.Channel{}
	for id, c := range f.Channels {
		if id != PortalChannel && !f.hasChannel(id) {
			g.addf("channels.%s: there is no client of this id with the role channel; the hub's own pages are %q", id, PortalChannel)
		}
		all[id] = verification.Channel{ID: id,
			Codes:   rate(g, "channels."+id+".codes", c.Codes, verification.CodesDefault),
			Guesses: rate(g, "channels."+id+".guesses", c.Guesses, verification.GuessesDefault)}
	}
	return all
}

func (f *file) hasChannel(id string) bool {
	for _, c := range f.Clients {
		if c.ID == id && access.Role(c.Role) == access.Channel {
			return true
		}
	}
	return false
}

const rateCountMax = 1_000_000

func rate(g *gather, name string, r *rateFile, otherwise verification.Rate) verification.Rate {
	if r == nil {
		return otherwise
	}
	if r.Count < 1 || r.Count > rateCountMax || r.PerSeconds < 1 || r.PerSeconds > 86400 || r.Burst < 1 || r.Burst > rateCountMax {
		g.addf("%s needs count and burst between 1 and %d, and perSeconds between 1 and 86400", name, rateCountMax)
	}
	return verification.Rate{Count: r.Count, Per: time.Duration(r.PerSeconds) * time.Second, Burst: r.Burst}
}

// oneSecret reads a secret that must be there.
func (f *file) oneSecret(g *gather, name, path, env string) string {
	if set(path, env) != 1 {
		g.addf("%s: set one of %sFile and %sEnv", name, lastWord(name), lastWord(name))
		return ""
	}
	return f.secret(g, name, path, env)
}

func lastWord(name string) string {
	return name[strings.LastIndexAny(name, " .")+1:]
}

// secret reads a secret without the white space around it.
func (f *file) secret(g *gather, name, path, env string) string {
	value := os.Getenv(env)
	if path != "" {
		text, err := readFile(f.resolve(path), secretBytesMax)
		if err != nil {
			g.addf("%s: %w", name, err)
			return ""
		}
		value = string(text)
	}
	value = strings.TrimSpace(value)
	if value == "" {
		g.addf("%s: %s is empty", name, strings.TrimSpace(path+" "+env))
	}
	return value
}

func (f *file) resolve(path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(f.folder, path)
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

func withPassword(address string) bool {
	u, err := url.Parse(address)
	if err != nil {
		return true // it cannot be told, so it is not shown either
	}
	_, has := u.User.Password()
	return has || u.Query().Has("password")
}

func readFile(path string, most int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	text, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(text)) > most {
		return nil, errors.New(path + " is too large")
	}
	return text, err
}
