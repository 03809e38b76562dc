package portal

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"net/http"
	"path"
	"strings"
	"time"

	"untether/internal/catalog"
)

//go:embed static
var staticFiles embed.FS

// asset is one file under a name that changes with its content, so that browsers may keep it for ever.
type asset struct {
	content     []byte
	contentType string
}

type assets struct {
	byName     map[string]asset
	Stylesheet string // addresses
	Script     string
	Icon       string
}

func newAssets(c *catalog.Catalog) assets {
	a := assets{byName: map[string]asset{}}
	style := append(mustRead("base.css"), mustRead("pages.css")...)
	a.Stylesheet = a.add("untether.css", "text/css; charset=utf-8", append(style, appColours(c)...))
	a.Script = a.add("htmx.js", "text/javascript; charset=utf-8", mustRead("htmx.min.js"))
	a.Icon = a.add("mark.svg", "image/svg+xml", mustRead("mark.svg"))
	return a
}

func mustRead(name string) []byte {
	raw, err := staticFiles.ReadFile("static/" + name)
	if err != nil {
		panic(err) // a file of the binary
	}
	return raw
}

// appColours gives every app's badge its colour in the stylesheet, because the policy forbids styles on elements.
func appColours(c *catalog.Catalog) []byte {
	var b bytes.Buffer
	for _, app := range c.Apps() {
		fmt.Fprintf(&b, ".app-%s{--badge:%s}\n", app.ID, app.Colour)
	}
	return b.Bytes()
}

func (a *assets) add(name, contentType string, content []byte) string {
	hash := sha256.Sum256(content)
	extension := path.Ext(name)
	hashed := strings.TrimSuffix(name, extension) + "-" + hex.EncodeToString(hash[:6]) + extension
	a.byName[hashed] = asset{content, contentType}
	return "/static/" + hashed
}

func (a *assets) serve(w http.ResponseWriter, r *http.Request) {
	found, ok := a.byName[r.PathValue("name")]
	if !ok {
		http.Error(w, "404", http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", found.contentType)
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(found.content))
}
