package portal

import (
	"fmt"
	"hash/fnv"
	"net/http"
	"regexp"
	"time"

	"untether/internal/fault"
	"untether/internal/search"
	"untether/internal/words"
)

const (
	tokenCookie = "untether_search"
	lastCookie  = "untether_last"
	tokenAge    = 7 * 24 * time.Hour // as long as the token reads
	tokenMax    = 512                // bytes
)

var searchID = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

var errNotFound = fault.New(fault.NotFound, "NOT_FOUND", "There is no such search, or this browser may not read it.")

// read finds the search that an address and a cookie name.
func (p *Portal) read(r *http.Request) (search.Report, error) {
	id := r.PathValue("id")
	c, err := r.Cookie(tokenCookie)
	if err != nil || c.Value == "" || len(c.Value) > tokenMax || !searchID.MatchString(id) {
		return search.Report{}, errNotFound
	}
	return p.Searches.Read(r.Context(), id, c.Value)
}

// search is the page of one search, as it runs and when it is done.
func (p *Portal) search(w http.ResponseWriter, r *http.Request) {
	report, err := p.read(r)
	if err != nil {
		p.searchFailed(w, r, err)
		return
	}
	lang := p.Language(r)
	found := p.resultOf(report, lang)
	p.render(w, r, http.StatusOK, "search", view{
		Title: words.Say(lang, "search.title."+found.Stage), Here: "/searches/" + report.ID, Refresh: found.refreshSeconds(),
		Content: found, Wide: true,
	})
}

// searchFailed forgets a search that is gone, so that the first page stops leading to it.
func (p *Portal) searchFailed(w http.ResponseWriter, r *http.Request, err error) {
	if fault.Of(err).Kind == fault.NotFound {
		if c, none := r.Cookie(lastCookie); none == nil && c.Value == r.PathValue("id") {
			p.setCookie(w, lastCookie, "", "/", 0)
		}
	}
	p.fail(w, r, err)
}

// searchProgress is the part of the page that changes. Nothing is sent while nothing has changed, so that movement on
// the page and what a screen reader says follow the answers and not the polling.
func (p *Portal) searchProgress(w http.ResponseWriter, r *http.Request) {
	report, err := p.read(r)
	if err != nil {
		if fault.Of(err).Kind == fault.NotFound {
			w.Header().Set("HX-Refresh", "true")
		}
		p.searchFailed(w, r, err)
		return
	}
	found := p.resultOf(report, p.Language(r))
	if found.Stage != "collecting" {
		// The whole page changes: its title, its heading, what it offers.
		w.Header().Set("HX-Refresh", "true")
	} else if r.URL.Query().Get("seen") == found.Seen {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	p.renderPart(w, r, http.StatusOK, "search", "update", view{Content: found, Here: "/searches/" + report.ID})
}

// seenOf names what a report shows and how often to ask, so that a page can tell whether it is stale.
func seenOf(r search.Report, pollSeconds int) string {
	h := fnv.New64a()
	fmt.Fprintln(h, r.Status, pollSeconds)
	for _, a := range r.Apps {
		fmt.Fprintln(h, a.App, a.Status, a.Accounts, a.Left, a.Undated)
	}
	return fmt.Sprintf("%x", h.Sum64())
}
