package api_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"untether/api"
)

func load(t *testing.T, name string) *openapi3.T {
	t.Helper()
	text, err := api.Load(name)
	if err != nil {
		t.Fatal(err)
	}
	document, err := openapi3.NewLoader().LoadFromData(text)
	if err != nil {
		t.Fatal(err)
	}
	return document
}

func TestEveryFileIsNamed(t *testing.T) {
	files, err := fs.Glob(api.Documents(), "*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	names := slices.Sorted(slices.Values(api.Names))
	if !slices.Equal(files, names) {
		t.Errorf("files %v, names %v", files, names)
	}
}

func TestDocumentsAreValid(t *testing.T) {
	for _, name := range api.Names {
		t.Run(name, func(t *testing.T) {
			document := load(t, name)
			if err := document.Validate(t.Context(), openapi3.EnableExamplesValidation()); err != nil {
				t.Fatal(err)
			}
			for path, item := range document.Paths.Map() {
				for method, operation := range item.Operations() {
					checkOperation(t, method+" "+path, operation)
				}
			}
		})
	}
}

func checkOperation(t *testing.T, where string, operation *openapi3.Operation) {
	if operation.Summary == "" || operation.Description == "" || operation.OperationID == "" {
		t.Errorf("%s: summary, description and operationId are needed", where)
	}
	if operation.Parameters.GetByInAndName("header", "x-correlator") == nil {
		t.Errorf("%s does not take x-correlator", where)
	}
	if operation.RequestBody != nil {
		for media, content := range operation.RequestBody.Value.Content {
			if media == "application/x-www-form-urlencoded" {
				continue // RFC 6749 section 3.2: unknown parameters are ignored
			}
			checkClosed(t, where, content.Schema.Value, 0)
		}
	}
	for status, response := range operation.Responses.Map() {
		if response.Value.Headers["x-correlator"] == nil {
			t.Errorf("%s: %s does not say that x-correlator is repeated", where, status)
		}
		if codes, _ := response.Value.Extensions["x-codes"].([]any); (status >= "400") != (len(codes) > 0) {
			t.Errorf("%s: %s lists %d codes", where, status, len(codes))
		}
	}
}

func checkClosed(t *testing.T, where string, s *openapi3.Schema, depth int) {
	if depth > 9 {
		t.Fatalf("%s: the body is too deep for what is read", where)
	}
	if s.Type.Is("object") && (s.AdditionalProperties.Has == nil || *s.AdditionalProperties.Has) {
		t.Errorf("%s: a request's object is open to unknown properties", where)
	}
	for _, property := range s.Properties {
		checkClosed(t, where, property.Value, depth+1)
	}
	if s.Items != nil {
		checkClosed(t, where, s.Items.Value, depth+1)
	}
}

// Every stable code that the program can say over an API stands in a document. The portal is left out: it answers with
// pages, and no program reads the codes behind them.
func TestCodesInTheProgramAreListed(t *testing.T) {
	listed := map[string]bool{}
	for _, name := range api.Names {
		for _, schema := range []string{"Error", "TokenError"} {
			if s := load(t, name).Components.Schemas[schema]; s != nil {
				for _, code := range s.Value.Properties["code"].Value.Enum {
					listed[code.(string)] = true
				}
			}
		}
	}
	said := codesInProgram(t, "../internal")
	if len(said) < 5 {
		t.Fatalf("only %v found: the search for codes is broken", said)
	}
	for code, where := range said {
		if !listed[code] {
			t.Errorf("%s says %s, which no document lists", where, code)
		}
	}
}

func codesInProgram(t *testing.T, root string) map[string]string {
	said := map[string]string{}
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() && path == filepath.Join(root, "portal") {
			return fs.SkipDir
		}
		if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		files := token.NewFileSet()
		file, err := parser.ParseFile(files, path, nil, parser.SkipObjectResolution)
		if err != nil {
			return nil // a file that does not compile fails elsewhere
		}
		ast.Inspect(file, func(n ast.Node) bool {
			if code := codeOf(n); code != "" {
				said[code] = files.Position(n.Pos()).String()
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return said
}

// codeOf gives the code of a call fault.New(kind, "CODE", …), or "".
func codeOf(n ast.Node) string {
	call, ok := n.(*ast.CallExpr)
	if !ok || len(call.Args) != 3 {
		return ""
	}
	called, ok := call.Fun.(*ast.SelectorExpr)
	if !ok || called.Sel.Name != "New" {
		return ""
	}
	if of, ok := called.X.(*ast.Ident); !ok || of.Name != "fault" {
		return ""
	}
	code, ok := call.Args[1].(*ast.BasicLit)
	if !ok {
		return ""
	}
	s, _ := strconv.Unquote(code.Value)
	return s
}
