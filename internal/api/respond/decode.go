package respond

import (
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"reflect"
	"strings"

	"untether/internal/fault"
)

// firstReadBytesMax bounds what is set aside on the word of Content-Length alone.
const firstReadBytesMax = 64 << 10

// Decode reads the body of r, at most limitBytes, as one JSON value that fits T exactly (see shapeOf for what T says).
// Every error is a *fault.Error: INVALID_ARGUMENT, UNSUPPORTED_MEDIA_TYPE or PAYLOAD_TOO_LARGE.
func Decode[T any](w http.ResponseWriter, r *http.Request, limitBytes int64) (T, error) {
	var v T
	if !isJSON(r.Header) {
		return v, ErrUnsupportedMedia
	}
	body, err := read(w, r, limitBytes)
	if err != nil {
		return v, err
	}
	defer clear(body) // ID digits and codes are kept no longer than the request needs them
	if err := Unmarshal(body, &v); err != nil {
		var none T
		return none, err
	}
	return v, nil
}

// Unmarshal is Decode for a body that is in memory already.
func Unmarshal[T any](body []byte, v *T) error {
	if err := inspect(body, shapeOf(reflect.TypeFor[T]())); err != nil {
		return err
	}
	if err := json.Unmarshal(body, v); err != nil {
		return notJSON(err)
	}
	return nil
}

// notJSON keeps the parser's words, which hold parts of the body, out of what is public and out of the log.
func notJSON(err error) *fault.Error {
	var mismatch *json.UnmarshalTypeError
	if errors.As(err, &mismatch) && mismatch.Field != "" {
		return fault.Invalidf("%s has the wrong type or is out of range.", mismatch.Field)
	}
	return fault.Invalidf("The body is not valid JSON.")
}

func isJSON(h http.Header) bool {
	types := h["Content-Type"]
	if len(types) != 1 || h.Get("Content-Encoding") != "" {
		return false
	}
	if types[0] == "application/json" {
		return true
	}
	media, params, err := mime.ParseMediaType(types[0])
	if err != nil || media != "application/json" {
		return false
	}
	charset, given := params["charset"]
	return !given || strings.EqualFold(charset, "utf-8")
}

func read(w http.ResponseWriter, r *http.Request, limitBytes int64) ([]byte, error) {
	if r.ContentLength > limitBytes {
		return nil, ErrTooLarge
	}
	body := make([]byte, 0, min(max(r.ContentLength, 512), firstReadBytesMax)+1)
	limited := http.MaxBytesReader(w, r.Body, limitBytes)
	for {
		n, err := limited.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		if err == io.EOF {
			return body, nil
		}
		if err != nil {
			return nil, unread(err)
		}
		if len(body) == cap(body) {
			body = append(body, 0)[:len(body)]
		}
	}
}

func unread(err error) *fault.Error {
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return ErrTooLarge
	}
	return fault.Invalidf("The body could not be read to its end.")
}
