package respond

import (
	"encoding"
	"encoding/json"
	"reflect"
	"strings"
	"sync"
	"time"
)

// form is the kind of JSON value that a Go type takes.
type form int

const (
	anything form = iota
	object        // a struct: the named properties only
	mapping       // a map: any names, one shape
	list
	text
	enum // a string type with Valid() bool, as oapi-codegen makes them
	instant
	integer
	decimal
	boolean
)

// shape is what a Go type lets a JSON value be. It is made once for each type.
type shape struct {
	form    form
	element *shape // of a list or mapping
	fields  []field
	byName  map[string]int // into fields
	bits    int            // of an integer
	signed  bool
	valid   func(string) bool // of an enum
}

type field struct {
	name     string
	required bool
	shape    *shape
}

// fieldsMax is how many properties the inspector's set of seen ones holds.
const fieldsMax = 64

var shapes sync.Map // reflect.Type → *shape

// shapeOf reads a type as the generated ones are meant: a property without omitempty or omitzero is required; time.Time is
// an instant in RFC 3339; a type that reads its own JSON may hold anything. Null is never taken. It panics on a struct of
// more than 64 properties, which is a mistake in the program.
func shapeOf(t reflect.Type) *shape {
	if known, ok := shapes.Load(t); ok {
		return known.(*shape)
	}
	made, _ := shapes.LoadOrStore(t, makeShape(t, map[reflect.Type]*shape{}))
	return made.(*shape)
}

var (
	timeType        = reflect.TypeFor[time.Time]()
	unmarshalerType = reflect.TypeFor[json.Unmarshaler]()
	textType        = reflect.TypeFor[encoding.TextUnmarshaler]()
	validType       = reflect.TypeFor[interface{ Valid() bool }]()
)

func makeShape(t reflect.Type, underWay map[reflect.Type]*shape) *shape {
	if t.Kind() == reflect.Pointer {
		return makeShape(t.Elem(), underWay)
	}
	if s, ok := underWay[t]; ok {
		return s
	}
	s := &shape{}
	underWay[t] = s
	switch {
	case t == timeType:
		s.form = instant
	case reflect.PointerTo(t).Implements(unmarshalerType):
		s.form = anything
	case reflect.PointerTo(t).Implements(textType):
		s.form = text
	default:
		s.fromKind(t, underWay)
	}
	return s
}

func (s *shape) fromKind(t reflect.Type, underWay map[reflect.Type]*shape) {
	switch t.Kind() {
	case reflect.Struct:
		s.form, s.byName = object, map[string]int{}
		s.addFields(t, underWay)
	case reflect.Map:
		s.form, s.element = mapping, makeShape(t.Elem(), underWay)
	case reflect.Slice, reflect.Array:
		s.form, s.element = list, makeShape(t.Elem(), underWay)
	case reflect.String:
		s.form = text
		if t.Implements(validType) {
			s.form, s.valid = enum, validOf(t)
		}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		s.form, s.bits, s.signed = integer, t.Bits(), true
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		s.form, s.bits = integer, t.Bits()
	case reflect.Float32, reflect.Float64:
		s.form = decimal
	case reflect.Bool:
		s.form = boolean
	}
}

func (s *shape) addFields(t reflect.Type, underWay map[reflect.Type]*shape) {
	for f := range t.Fields() {
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Anonymous && name == "" && f.Type.Kind() == reflect.Struct:
			s.addFields(f.Type, underWay)
			continue
		case name == "-" || !f.IsExported():
			continue
		case name == "":
			name = f.Name
		}
		if len(s.fields) == fieldsMax {
			panic("respond: " + t.String() + " has more properties than are counted")
		}
		s.byName[name] = len(s.fields)
		s.fields = append(s.fields, field{name, !strings.Contains(options, "omit"), makeShape(f.Type, underWay)})
	}
}

func validOf(t reflect.Type) func(string) bool {
	return func(value string) bool {
		v := reflect.New(t).Elem()
		v.SetString(value)
		return v.Interface().(interface{ Valid() bool }).Valid()
	}
}
