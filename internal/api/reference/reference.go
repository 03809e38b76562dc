// Package reference writes docs/reference/README.md from the OpenAPI documents: which documents there are, which
// operations they have, and every stable error code with what it means and what to do. It is for the generator beside it
// and for the test that the page is fresh; the program does not import it.
package reference

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"

	"untether/api"
)

//go:generate go run ./write ../../../docs/reference/README.md

// code is one stable error code, as all documents that list it describe it.
type code struct {
	name, meaning, remedy string
	status                int
	documents             []string
}

const opening = `# Reference

Every API has an OpenAPI 3 document. They are the contract: a running hub serves those of its own APIs under ` + "`/openapi/`" + `, the
types in the program are generated from them, and the tests compare every answer with them. This page is generated too; run
` + "`go generate ./internal/api/reference`" + ` after changing a document.

`

// Page makes the whole page, or says which document is at fault.
func Page() ([]byte, error) {
	var page bytes.Buffer
	page.WriteString(opening)
	codes := map[string]*code{}
	for _, name := range api.Names {
		text, err := api.Load(name)
		if err != nil {
			return nil, err
		}
		document, err := openapi3.NewLoader().LoadFromData(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		writeDocument(&page, name, document)
		if err := collect(codes, name, document); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	writeCodes(&page, codes)
	return page.Bytes(), nil
}

func writeDocument(page *bytes.Buffer, name string, document *openapi3.T) {
	fmt.Fprintf(page, "## %s\n\n[api/%s](../../api/%s). %s\n\n| operation | what it does |\n|---|---|\n",
		document.Info.Title, name, name, firstParagraph(document.Info.Description))
	for _, path := range slices.Sorted(maps.Keys(document.Paths.Map())) {
		operations := document.Paths.Value(path).Operations()
		for _, method := range slices.Sorted(maps.Keys(operations)) {
			fmt.Fprintf(page, "| `%s %s` | %s |\n", method, path, operations[method].Summary)
		}
	}
	page.WriteString("\n")
}

func firstParagraph(text string) string {
	first, _, _ := strings.Cut(text, "\n\n")
	return strings.Join(strings.Fields(first), " ")
}

// collect adds a document's codes; the same code must mean the same everywhere.
func collect(codes map[string]*code, name string, document *openapi3.T) error {
	for _, schema := range []string{"Error", "TokenError"} {
		ref := document.Components.Schemas[schema]
		if ref == nil {
			continue
		}
		listed := ref.Value.Properties["code"].Value
		described, _ := listed.Extensions["x-enum-descriptions"].(map[string]any)
		for _, value := range listed.Enum {
			c, err := read(value.(string), described)
			if err != nil {
				return err
			}
			known := codes[c.name]
			if known == nil {
				known = c
				codes[c.name] = c
			}
			if known.meaning != c.meaning || known.remedy != c.remedy || known.status != c.status {
				return fmt.Errorf("%s means something else in %s", c.name, known.documents[0])
			}
			known.documents = append(known.documents, name)
		}
	}
	return nil
}

func read(name string, described map[string]any) (*code, error) {
	entry, _ := described[name].(map[string]any)
	status, ok := entry["status"].(float64)
	meaning, _ := entry["meaning"].(string)
	remedy, _ := entry["remedy"].(string)
	if !ok || meaning == "" || remedy == "" {
		return nil, fmt.Errorf("%s is not described in x-enum-descriptions", name)
	}
	return &code{name: name, status: int(status), meaning: meaning, remedy: remedy}, nil
}

func writeCodes(page *bytes.Buffer, codes map[string]*code) {
	page.WriteString("## Error codes\n\nEvery failure is `{\"status\",\"code\",\"message\"}`. The code is stable; the message is for engineers and may change.\n\n" +
		"| status | code | what it means | what to do | said by |\n|---|---|---|---|---|\n")
	sorted := slices.SortedFunc(maps.Values(codes), func(a, b *code) int { return cmp.Or(a.status-b.status, cmp.Compare(a.name, b.name)) })
	for _, c := range sorted {
		said := make([]string, len(c.documents))
		for i, name := range c.documents {
			said[i] = strings.TrimSuffix(name, ".yaml")
		}
		fmt.Fprintf(page, "| %d | `%s` | %s | %s | %s |\n", c.status, c.name, c.meaning, c.remedy, strings.Join(said, ", "))
	}
}
