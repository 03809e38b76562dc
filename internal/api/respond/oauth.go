package respond

import (
	"log/slog"
	"net/http"

	"untether/internal/fault"
)

// oauthFailure is a failure of the token endpoint: as RFC 6749 section 5.2 wants it, with our own shape beside it, so
// that both an OAuth library and whoever reads our documents find what they look for.
type oauthFailure struct {
	Error       string `json:"error"`
	Description string `json:"error_description"`
	Failure
}

var oauthErrorByCode = map[string]string{
	"UNAUTHENTICATED":        "invalid_client",
	"PERMISSION_DENIED":      "unauthorized_client",
	"INVALID_SCOPE":          "invalid_scope",
	"UNSUPPORTED_GRANT_TYPE": "unsupported_grant_type",
	"TOO_MANY_REQUESTS":      "temporarily_unavailable",
	"INTERNAL":               "server_error",
}

// FailToken answers err at the token endpoint. A 401 says Basic in WWW-Authenticate.
func FailToken(w http.ResponseWriter, r *http.Request, log *slog.Logger, err error) {
	record(r, log, err)
	failure := failureOf(err)
	code, ok := oauthErrorByCode[failure.Code]
	if !ok {
		code = "invalid_request"
	}
	setFailureHeaders(w.Header(), fault.Of(err), `Basic realm="untether", charset="UTF-8"`)
	JSON(w, failure.Status, oauthFailure{code, failure.Message, failure})
}
