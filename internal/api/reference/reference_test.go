package reference_test

import (
	"bytes"
	"os"
	"testing"

	"untether/internal/api/reference"
)

func TestPageIsFresh(t *testing.T) {
	want, err := reference.Page()
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile("../../../docs/reference/README.md")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("docs/reference/README.md is stale: run go generate ./internal/api/reference")
	}
}
