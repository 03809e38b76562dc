// Package carrier asks carriers over HTTP whether an ID belongs to a number's holder (POST /identity-matches, see
// api/carrier-peer.yaml). Calls go only to addresses inside the configured networks, never follow a redirect, and end within
// seconds. The ID digits are in the request's body and nowhere else.
package carrier

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"syscall"
	"time"

	"untether/internal/ident"
	"untether/internal/phone"
	"untether/internal/search"
)

// Peer is one carrier's side.
type Peer struct {
	ID     string
	URL    string // its base; /identity-matches is added
	Secret string // the bearer token that the carrier gave to the hub
}

// Directory tells which carrier serves a number; empty: none here.
type Directory interface {
	Serving(ctx context.Context, n phone.Number) (string, error)
}

// Client asks the carriers. It implements search.Carriers.
type Client struct {
	directory Directory
	peers     map[string]Peer
	http      *http.Client
}

const (
	answerWithin  = 5 * time.Second
	answerMax     = 4 << 10 // bytes
	connectionMax = 64      // to one carrier
)

// New makes a client. networks are where calls may go.
func New(directory Directory, peers []Peer, networks []netip.Prefix) (*Client, error) {
	c := &Client{directory: directory, peers: map[string]Peer{}}
	for _, p := range peers {
		if _, err := url.ParseRequestURI(p.URL); err != nil {
			return nil, fmt.Errorf("carrier %s: its address cannot be read", p.ID)
		}
		c.peers[p.ID] = p
	}
	dialer := &net.Dialer{Timeout: answerWithin, Control: within(networks)}
	c.http = &http.Client{
		Timeout: answerWithin,
		Transport: &http.Transport{DialContext: dialer.DialContext, MaxIdleConnsPerHost: connectionMax, MaxConnsPerHost: connectionMax,
			IdleConnTimeout: time.Minute, TLSHandshakeTimeout: answerWithin},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return c, nil
}

// within refuses to connect outside the networks, after the name was resolved: no name can lead elsewhere.
func within(networks []netip.Prefix) func(network, address string, _ syscall.RawConn) error {
	return func(_, address string, _ syscall.RawConn) error {
		at, err := netip.ParseAddrPort(address)
		if err != nil {
			return err
		}
		for _, n := range networks {
			if n.Contains(at.Addr().Unmap()) {
				return nil
			}
		}
		return errors.New("the address lies outside the networks that outgoing calls may reach")
	}
}

type question struct {
	PhoneNumber string `json:"phoneNumber"`
	IDLast6     string `json:"idLast6"`
}

type answer struct {
	Match        bool      `json:"match"`
	TenureID     string    `json:"tenureId"`
	TenureStart  time.Time `json:"tenureStart"`
	SIMChangedAt time.Time `json:"simChangedAt"`
}

// Match asks the carrier that serves the number. One that no connected carrier serves does not match.
func (c *Client) Match(ctx context.Context, n phone.Number, last ident.LastSix) (search.Match, error) {
	id, err := c.directory.Serving(ctx, n)
	if err != nil {
		return search.Match{}, err
	}
	peer, ok := c.peers[id]
	if !ok {
		return search.Match{}, nil
	}
	a, err := c.ask(ctx, peer, question{n.E164(), last.Reveal()})
	if err != nil {
		return search.Match{}, fmt.Errorf("carrier %s: %w", id, err)
	}
	return search.Match{Matched: a.Match, TenureID: a.TenureID, TenureStart: a.TenureStart, SIMChangedAt: a.SIMChangedAt}, nil
}

func (c *Client) ask(ctx context.Context, peer Peer, q question) (answer, error) {
	body, err := json.Marshal(q)
	if err != nil {
		return answer{}, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, peer.URL+"/identity-matches", bytes.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	req.Header.Set("Authorization", "Bearer "+peer.Secret)
	req.Header.Set("Content-Type", "application/json")
	resp, err := c.http.Do(req)
	if err != nil {
		return answer{}, plain(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, answerMax+1))
	if err != nil {
		return answer{}, plain(err)
	}
	if len(text) > answerMax {
		return answer{}, fmt.Errorf("its answer is longer than %d bytes", answerMax)
	}
	if resp.StatusCode != http.StatusOK {
		return answer{}, fmt.Errorf("it answered with status %d", resp.StatusCode)
	}
	return read(text)
}

// read believes a carrier only when its yes names the tenure.
func read(text []byte) (answer, error) {
	var a answer
	if err := json.Unmarshal(text, &a); err != nil {
		return answer{}, errors.New("its answer is not the JSON that was agreed")
	}
	if a.Match && (!tenureID.MatchString(a.TenureID) || !a.TenureStart.After(time.Unix(0, 0))) {
		return answer{}, errors.New("its yes does not name the tenure and its start")
	}
	return a, nil
}

// tenureID is what a carrier's events can name a tenure by, too (see api/carrier.yaml).
var tenureID = regexp.MustCompile(`^[0-9A-Za-z._:/+=-]{1,64}$`)

// plain takes the address out of an HTTP client's error.
func plain(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}
