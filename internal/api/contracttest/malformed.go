package contracttest

import (
	"cmp"
	"fmt"
	"hash/maphash"
	"iter"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
)

// Operation is one operation of a document.
type Operation struct {
	ID, Method, Path string
	spec             *openapi3.Operation
}

// Operations lists the operations of a document, for example "channel.yaml", by path and method.
func Operations(t testing.TB, name string) []Operation {
	t.Helper()
	d, err := load(name)
	if err != nil {
		t.Fatal(err)
	}
	var all []Operation
	for path, item := range d.Paths.Map() {
		for method, spec := range item.Operations() {
			all = append(all, Operation{spec.OperationID, method, path, spec})
		}
	}
	slices.SortFunc(all, func(a, b Operation) int { return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Method, b.Method)) })
	return all
}

// Request is a request that no door may take.
type Request struct {
	Spoilt string // what is wrong with it
	Method string
	Target string // path and query
	Header http.Header
	Body   string
	Secret string // is somewhere in it and must not come back
}

// HTTP makes the request for a handler's ServeHTTP.
func (q Request) HTTP() *http.Request {
	target, err := url.ParseRequestURI(q.Target)
	if err != nil {
		panic("contracttest: a target that is none: " + q.Target)
	}
	r := httptest.NewRequest(http.MethodGet, "/", strings.NewReader(q.Body))
	r.Method, r.URL, r.RequestURI, r.Header = q.Method, target, q.Target, q.Header.Clone()
	return r
}

// Check reports what is wrong with the answer to a malformed request, or "".
func (q Request) Check(answer *httptest.ResponseRecorder) string {
	if answer.Code < 400 || answer.Code > 499 {
		return fmt.Sprintf("status %d", answer.Code)
	}
	if err := isFailure(answer, answer.Code); err != nil && q.Method != http.MethodHead {
		return err.Error()
	}
	if strings.Contains(answer.Body.String(), q.Secret) || strings.Contains(fmt.Sprint(answer.Header()), q.Secret) {
		return "the answer repeats what was sent"
	}
	return ""
}

// spoiler makes a well-formed draft malformed and says how, or "" when it has nothing to spoil in it.
type spoiler func(*draft) string

// Malformed makes n different malformed requests for an operation, the same for the same seed.
func Malformed(seed uint64, n int, op Operation) iter.Seq[Request] {
	return func(yield func(Request) bool) {
		rng := rand.New(rand.NewPCG(seed, seed))
		spoilers := spoilersOf(op)
		made, hash := map[uint64]bool{}, maphash.MakeSeed()
		for len(made) < n {
			d := newDraft(rng, op)
			d.Spoilt = spoilers[rng.IntN(len(spoilers))](d)
			if d.Spoilt == "" {
				continue
			}
			if d.root != nil && d.Body == "" && !d.bodyless {
				d.Body = d.root.String()
			}
			sum := maphash.String(hash, fmt.Sprint(d.Method, d.Target, d.Header, d.Body))
			if made[sum] {
				continue
			}
			made[sum] = true
			if !yield(d.Request) {
				return
			}
		}
	}
}

// draft is a request that is still well-formed.
type draft struct {
	Request
	rng      *rand.Rand
	op       Operation
	root     *node
	bodyless bool
}

func newDraft(rng *rand.Rand, op Operation) *draft {
	d := &draft{rng: rng, op: op}
	d.Secret = fmt.Sprintf("zq7%09d", rng.IntN(1e9))
	d.Method, d.Header = op.Method, http.Header{}
	path, query := op.Path, url.Values{}
	for _, p := range op.spec.Parameters {
		switch p.Value.In {
		case "path":
			path = strings.Replace(path, "{"+p.Value.Name+"}", url.PathEscape(word(rng, p.Value.Schema.Value)), 1)
		case "query":
			query.Set(p.Value.Name, strings.Trim(grow(rng, p.Value.Schema.Value).raw, `"`))
		}
	}
	d.Target = path
	if len(query) > 0 {
		d.Target += "?" + query.Encode()
	}
	if op.spec.RequestBody == nil {
		return d
	}
	for media, content := range op.spec.RequestBody.Value.Content {
		d.Header.Set("Content-Type", media)
		d.root = grow(rng, content.Schema.Value)
		if media == formMedia {
			d.Body = d.form().Encode()
		}
	}
	return d
}

const formMedia = "application/x-www-form-urlencoded"

// form gives the draft's properties as a form.
func (d *draft) form() url.Values {
	form := url.Values{}
	for _, m := range d.root.members {
		form.Set(m.name, strings.Trim(m.value.raw, `"`))
	}
	return form
}

func spoilersOf(op Operation) []spoiler {
	all := []spoiler{oddMethod, oddCorrelator, correlatorTwice, manyHeaders, longHeader, longTarget}
	if slices.ContainsFunc(op.spec.Parameters, func(p *openapi3.ParameterRef) bool { return p.Value.In != "header" }) {
		all = append(all, oddParameter, oddParameter, oddParameter)
	}
	if op.spec.RequestBody == nil {
		return all
	}
	all = append(all, wrongMedia, compressed, noBody)
	if op.spec.RequestBody.Value.Content[formMedia] != nil {
		return append(all, formTwice, formMissing, formWrong, formLong)
	}
	for range 3 { // most of what can go wrong is in the body
		all = append(all, wrongType, wrongType, missing, unknown, twice, overlong, outOfBounds, offPattern, brokenOff, strayByte, hugeNumber, deep, trailing)
	}
	return all
}

func pick[T any](rng *rand.Rand, list []T) T { return list[rng.IntN(len(list))] }
