package texts

import (
	"hash/fnv"

	"untether/internal/work"
)

// Kinds of texts.
const (
	KindCode  = "code"  // carries a code; worthless after it expires
	KindReply = "reply" // the one reply to a search
)

// Payload is what a text's work item holds, sealed.
type Payload struct {
	To        string `json:"to"` // E.164
	From      string `json:"from"`
	Text      string `json:"text"`
	Reference uint16 `json:"reference"`
}

// SealContext is what a text's payload is sealed for.
func SealContext(k work.Key) string { return "text/" + k.Subject + "/" + k.Ref }

// ReferenceOf is the reference of a text about something: the same whenever it is sent again.
func ReferenceOf(ref string) uint16 {
	h := fnv.New32a()
	h.Write([]byte(ref))
	sum := h.Sum32()
	return uint16(sum>>16) ^ uint16(sum)
}
