package contracttest

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
)

// node is a JSON value that can be spoilt: unlike a Go map, it can hold a property twice, or text that is no JSON.
type node struct {
	schema  *openapi3.Schema
	raw     string // of anything but objects and lists
	members []member
	items   []*node
}

type member struct {
	name  string
	value *node
}

func (n *node) String() string {
	switch {
	case n.raw != "":
		return n.raw
	case n.schema.Type.Is("array"):
		parts := make([]string, len(n.items))
		for i, item := range n.items {
			parts[i] = item.String()
		}
		return "[" + strings.Join(parts, ",") + "]"
	}
	parts := make([]string, len(n.members))
	for i, m := range n.members {
		parts[i] = quote(m.name) + ":" + m.value.String()
	}
	return "{" + strings.Join(parts, ",") + "}"
}

func quote(s string) string {
	b, _ := json.Marshal(s) // a string always has a JSON form
	return string(b)
}

// all lists the node and everything in it.
func (n *node) all() []*node {
	list := []*node{n}
	for _, m := range n.members {
		list = append(list, m.value.all()...)
	}
	for _, item := range n.items {
		list = append(list, item.all()...)
	}
	return list
}

// grow makes a value that the schema allows, with every property.
func grow(rng *rand.Rand, s *openapi3.Schema) *node {
	if len(s.AllOf) == 1 && s.Type == nil {
		s = s.AllOf[0].Value
	}
	n := &node{schema: s}
	switch {
	case s.Type.Is("object"):
		for _, name := range slices.Sorted(maps.Keys(s.Properties)) { // in order: the seed must decide everything
			n.members = append(n.members, member{name, grow(rng, s.Properties[name].Value)})
		}
	case s.Type.Is("array"):
		for range 1 + rng.IntN(2) {
			n.items = append(n.items, grow(rng, s.Items.Value))
		}
	case s.Type.Is("integer"):
		n.raw = fmt.Sprint(1 + rng.IntN(9))
	case s.Type.Is("boolean"):
		n.raw = fmt.Sprint(rng.IntN(2) == 0)
	default:
		n.raw = quote(word(rng, s))
	}
	return n
}

// word makes a string for the patterns that our documents have.
func word(rng *rand.Rand, s *openapi3.Schema) string {
	switch {
	case len(s.Enum) > 0:
		return s.Enum[rng.IntN(len(s.Enum))].(string)
	case s.Format == "date-time":
		return fmt.Sprintf("2026-03-%02dT09:%02d:%02dZ", 1+rng.IntN(28), rng.IntN(60), rng.IntN(60))
	case strings.HasPrefix(s.Pattern, `^\+`):
		return fmt.Sprintf("+86138%08d", rng.IntN(1e8))
	case strings.Contains(s.Pattern, "(h|m|s|ms)"):
		return fmt.Sprintf("%dh", 1+rng.IntN(9))
	case strings.HasSuffix(s.Pattern, "{6}$"):
		return fmt.Sprintf("%06d", rng.IntN(1e6))
	case strings.HasPrefix(s.Pattern, "^[a-z]"):
		return "app" + fmt.Sprint(rng.IntN(1e6))
	default:
		return "w" + fmt.Sprint(rng.Uint64())
	}
}
