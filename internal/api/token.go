package api

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"

	"untether/internal/access"
	"untether/internal/api/respond"
	"untether/internal/api/wire"
	"untether/internal/fault"
)

var errGrantType = fault.New(fault.Invalid, "UNSUPPORTED_GRANT_TYPE", "grant_type must be client_credentials.")

func (a *API) token(w http.ResponseWriter, r *http.Request) {
	granted, err := a.grant(w, r)
	if err != nil {
		respond.FailToken(w, r, a.Log, err)
		return
	}
	w.Header().Set("Pragma", "no-cache")
	respond.JSON(w, http.StatusOK, granted)
}

func (a *API) grant(w http.ResponseWriter, r *http.Request) (wire.Token, error) {
	form, err := readForm(w, r)
	if err != nil {
		return wire.Token{}, err
	}
	id, secret, err := basic(r)
	if err != nil {
		return wire.Token{}, err
	}
	if form.Get("grant_type") == "" {
		return wire.Token{}, fault.Invalidf("grant_type is missing.")
	}
	if form.Get("grant_type") != string(wire.TokenRequestGrantTypeClientCredentials) {
		return wire.Token{}, errGrantType
	}
	if len(form.Get("scope")) > scopeMax {
		return wire.Token{}, fault.Invalidf("scope must have at most %d characters.", scopeMax)
	}
	granted, err := a.Desk.Grant(r.Context(), id, secret, form.Get("scope"))
	if err != nil {
		return wire.Token{}, err
	}
	return wire.Token{AccessToken: granted.Token, TokenType: wire.TokenTokenTypeBearer, ExpiresIn: int(granted.Expires.Seconds()),
		Scope: strings.Join(granted.Scopes, " ")}, nil
}

// basic reads client_secret_basic: both halves are form-encoded first (RFC 6749 section 2.3.1).
func basic(r *http.Request) (id, secret string, err error) {
	rawID, rawSecret, ok := r.BasicAuth()
	id, err1 := url.QueryUnescape(rawID)
	secret, err2 := url.QueryUnescape(rawSecret)
	if !ok || err1 != nil || err2 != nil {
		return "", "", access.ErrClient
	}
	return id, secret, nil
}

// scopeMax bounds the characters of a list of scopes.
const scopeMax = 512

var errNotForm = fault.New(fault.Invalid, respond.ErrUnsupportedMedia.Code,
	"Send the body as application/x-www-form-urlencoded in UTF-8, uncompressed.")

func isForm(h http.Header) bool {
	media, params, err := mime.ParseMediaType(h.Get("Content-Type"))
	charset, given := params["charset"]
	return err == nil && media == "application/x-www-form-urlencoded" && h.Get("Content-Encoding") == "" &&
		(!given || strings.EqualFold(charset, "utf-8"))
}

// readForm reads a small form in which every parameter stands once.
func readForm(w http.ResponseWriter, r *http.Request) (url.Values, error) {
	if !isForm(r.Header) {
		return nil, errNotForm
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, smallBody))
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return nil, respond.ErrTooLarge
	}
	if err != nil {
		return nil, fault.Invalidf("The body could not be read.")
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, fault.Invalidf("The body is not a form.")
	}
	for _, values := range form {
		if len(values) > 1 {
			return nil, fault.Invalidf("A parameter stands twice.")
		}
	}
	return form, nil
}
