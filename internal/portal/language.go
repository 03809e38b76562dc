package portal

import (
	"net/http"
	"net/url"
	"time"

	"untether/internal/words"
)

const (
	languageCookie = "untether_lang"
	languageAge    = 365 * 24 * time.Hour
)

// Language is the one a request is answered in: chosen by the person, else as the browser asks.
func (p *Portal) Language(r *http.Request) words.Language {
	if l, ok := words.ParseLanguage(r.URL.Query().Get("lang")); ok {
		return l
	}
	if c, err := r.Cookie(languageCookie); err == nil {
		if l, ok := words.ParseLanguage(c.Value); ok {
			return l
		}
	}
	return words.Match(r.Header.Get("Accept-Language"))
}

// languageSwitch remembers ?lang= and takes it out of the address, so that it is neither shared nor bookmarked.
func (p *Portal) languageSwitch(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked := r.URL.Query().Get("lang")
		l, ok := words.ParseLanguage(asked)
		if !ok || r.Method != http.MethodGet {
			next.ServeHTTP(w, r)
			return
		}
		p.setCookie(w, languageCookie, string(l), "/", languageAge)
		http.Redirect(w, r, withoutLang(r.URL), http.StatusSeeOther)
	})
}

// withoutLang is the same page on this host: only the path and the rest of the query are kept, and a path that a browser
// would take for another host ("//elsewhere") leads home.
func withoutLang(u *url.URL) string {
	path := u.EscapedPath()
	if len(path) > 1 && (path[1] == '/' || path[1] == '\\') {
		return "/"
	}
	q := u.Query()
	q.Del("lang")
	if len(q) == 0 {
		return path
	}
	return path + "?" + q.Encode()
}
