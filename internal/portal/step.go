package portal

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"time"

	"untether/internal/phone"
)

// step is what the browser keeps between the number and the identity: sealed, so that it can neither be read on the way
// nor made up.
type step struct {
	CodeID    string `json:"c"`
	Number    string `json:"n"`           // E.164
	SentAt    int64  `json:"s"`           // seconds since 1970
	ExpiresAt int64  `json:"e"`           // the code's, seconds since 1970
	Search    string `json:"d,omitempty"` // what it led to: the step is done
}

const (
	stepCookie  = "untether_step"
	stepAge     = 30 * time.Minute // longer than any code lives, so that "it ran out" can be said in place
	sealedMax   = 1024             // bytes of a cookie that are looked at
	resendAfter = time.Minute      // how long the page asks people to wait; the budget itself is the rules'
)

func (s step) number() phone.Number {
	n, err := phone.Parse(s.Number)
	if err != nil {
		return phone.Number{}
	}
	return n
}

// resendIn says how long until another code may be asked for; at most 0 means now.
func (s step) resendIn(now time.Time) time.Duration {
	return time.Unix(s.SentAt, 0).Add(resendAfter).Sub(now)
}

// sealer encrypts and authenticates steps.
type sealer struct{ aead cipher.AEAD }

func newSealer(key [32]byte) sealer {
	block, err := aes.NewCipher(key[:])
	if err != nil {
		panic(err) // only for a key of another length
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic(err)
	}
	return sealer{aead}
}

func (s sealer) close(v step) string {
	raw, _ := json.Marshal(v) // a struct of strings and numbers cannot fail
	return base64.RawURLEncoding.EncodeToString(s.aead.Seal(nil, nil, raw, []byte(stepCookie)))
}

func (s sealer) open(sealed string) (v step, ok bool) {
	if len(sealed) > sealedMax {
		return step{}, false
	}
	raw, err := base64.RawURLEncoding.DecodeString(sealed)
	if err != nil || len(raw) < s.aead.Overhead() {
		return step{}, false
	}
	plain, err := s.aead.Open(nil, nil, raw, []byte(stepCookie))
	if err != nil || json.Unmarshal(plain, &v) != nil {
		return step{}, false
	}
	return v, true
}

// keepStep puts the step into the browser.
func (p *Portal) keepStep(w http.ResponseWriter, s step) {
	p.setCookie(w, stepCookie, p.seal.close(s), "/", stepAge)
}

// stepOf finds the step; a stale one is none, even when the browser still sends it.
func (p *Portal) stepOf(r *http.Request) (step, bool) {
	c, err := r.Cookie(stepCookie)
	if err != nil {
		return step{}, false
	}
	s, ok := p.seal.open(c.Value)
	if !ok || p.Clock.Now().After(time.Unix(s.SentAt, 0).Add(stepAge)) {
		return step{}, false
	}
	return s, true
}

// openStep finds a step that is still to be done. One that is done leads to its search: the button was pressed twice, or
// the back button. It has answered when it is false.
func (p *Portal) openStep(w http.ResponseWriter, r *http.Request) (step, bool) {
	s, ok := p.stepOf(r)
	switch {
	case !ok:
		p.fail(w, r, errStepLost)
	case s.Search != "":
		http.Redirect(w, r, "/searches/"+s.Search, http.StatusSeeOther)
	default:
		return s, true
	}
	return step{}, false
}

// setCookie writes a cookie that scripts cannot read; an age of 0 or less removes it.
func (p *Portal) setCookie(w http.ResponseWriter, name, value, path string, age time.Duration) {
	seconds := int(age.Seconds())
	if seconds <= 0 {
		seconds = -1
	}
	http.SetCookie(w, &http.Cookie{
		Name: name, Value: value, Path: path, MaxAge: seconds,
		HttpOnly: true, Secure: p.SecureCookies, SameSite: http.SameSiteLaxMode,
	})
}
