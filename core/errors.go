package core

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/hostbond/hostbond/core/qsh"
)

// ReasonCode is why a request or a callback was refused: one of a closed set, fit for logs, metrics and documentation.
// The caller never learns it, the operator does.
type ReasonCode string

// The reasons. In brackets the status that the caller sees.
const (
	// The token as text (401).
	ReasonTokenMissing   ReasonCode = "token_missing"   // none, neither in the Authorization header nor in the jwt parameter
	ReasonTokenAmbiguous ReasonCode = "token_ambiguous" // more than one
	ReasonTokenMalformed ReasonCode = "token_malformed" // no compact JWT, over 8 KiB, or not strict JSON
	ReasonHeader         ReasonCode = "header_refused"  // a header member that would change how the token is verified
	ReasonAlgorithm      ReasonCode = "algorithm"       // not the one that this route demands
	ReasonClaims         ReasonCode = "claims"          // a claim is missing or of a wrong type

	// The tenant and its signature (401).
	ReasonUnknownTenant ReasonCode = "unknown_tenant" // no installation under the token's issuer
	ReasonNotInstalled  ReasonCode = "not_installed"  // the installation was uninstalled
	ReasonBadSignature  ReasonCode = "bad_signature"  // by no usable secret or key
	ReasonRetired       ReasonCode = "retired"        // by a secret that the site has left behind
	ReasonRevoked       ReasonCode = "revoked"        // by a secret that was revoked, or offering it
	ReasonUnknownKey    ReasonCode = "unknown_key"    // no key host knows the key id

	// What the token says (401).
	ReasonExpired     ReasonCode = "expired"
	ReasonNotYetValid ReasonCode = "not_yet_valid" // nbf or iat in the future
	ReasonTokenLife   ReasonCode = "token_life"    // lives longer than tokens may
	ReasonQueryHash   ReasonCode = "query_hash"    // made for another URL or method
	ReasonTokenKind   ReasonCode = "token_kind"    // a kind that this route does not accept
	ReasonAudience    ReasonCode = "audience"      // made for another base URL
	ReasonClientKey   ReasonCode = "client_key"    // the body speaks for another tenant than the token
	ReasonAppKey      ReasonCode = "app_key"       // the body is meant for another app
	ReasonBodyChanged ReasonCode = "body_changed"  // the token came before, with another body

	// The body of a callback (400, the last one 413).
	ReasonBody          ReasonCode = "body"           // did not arrive whole, is no JSON object, or has a member that is missing or of no use
	ReasonEventType     ReasonCode = "event_type"     // not the event of the route
	ReasonBaseURL       ReasonCode = "base_url"       // not https, or no host that the configuration allows
	ReasonSecretMissing ReasonCode = "secret_missing" // none in the body, and none known
	ReasonSecretInvalid ReasonCode = "secret_invalid" // too short or too long
	ReasonBodyTooLarge  ReasonCode = "body_too_large"

	// Order (409).
	ReasonStale ReasonCode = "stale" // older than what was applied already

	// Us (503).
	ReasonStore         ReasonCode = "store"          // the store did not answer, or not in time
	ReasonKeyHost       ReasonCode = "key_host"       // no key host answered, or not in time
	ReasonOverload      ReasonCode = "overload"       // a limit that protects the store or the key hosts
	ReasonUnreadable    ReasonCode = "unreadable"     // the secrets of the row cannot be opened
	ReasonNotConfigured ReasonCode = "not_configured" // bound to an app-wide secret that is not configured
	ReasonSecretsFull   ReasonCode = "secrets_full"   // eight unsettled secrets, while the site is alive or signs its callbacks itself
	ReasonBusy          ReasonCode = "busy"           // other callbacks of the tenant kept changing the row
	ReasonClosed        ReasonCode = "closed"         // the app is shutting down
)

func (r ReasonCode) status() int {
	switch r {
	case ReasonBody, ReasonEventType, ReasonBaseURL, ReasonSecretMissing, ReasonSecretInvalid:
		return http.StatusBadRequest
	case ReasonBodyTooLarge:
		return http.StatusRequestEntityTooLarge
	case ReasonStale:
		return http.StatusConflict
	case ReasonStore, ReasonKeyHost, ReasonOverload, ReasonUnreadable, ReasonNotConfigured, ReasonSecretsFull, ReasonBusy, ReasonClosed:
		return http.StatusServiceUnavailable
	default:
		return http.StatusUnauthorized
	}
}

// refusal is the error of [App.Authenticate] and [App.Lifecycle].
type refusal struct {
	reason        ReasonCode
	detail        string // safe to show to an operator: no token, no secret, nothing fetched from elsewhere
	clientKey     string // as the token claims it
	correlationID string
	cause         error // for errors.Is and the log; its text is not part of the error's
}

func refuse(reason ReasonCode, detail string) *refusal {
	return &refusal{reason: reason, detail: detail}
}

func (r *refusal) because(cause error) *refusal {
	r.cause = cause
	return r
}

// from notes whom the refused token claims to speak for. The token may be nil.
func (r *refusal) from(t *token) *refusal {
	if t != nil {
		r.clientKey = t.claims.issuer
	}
	return r
}

// mayBeOutdated reports whether a newer reading of the row could change the answer.
func (r *refusal) mayBeOutdated() bool {
	switch r.reason {
	case ReasonUnknownTenant, ReasonNotInstalled, ReasonBadSignature, ReasonRetired, ReasonUnreadable, ReasonNotConfigured:
		return true
	default:
		return false
	}
}

func (r *refusal) Error() string {
	text := "hostbond: refused: " + string(r.reason)
	if r.detail != "" {
		text += ": " + r.detail
	}
	if r.correlationID != "" {
		text += " (correlation id " + r.correlationID + ")"
	}
	return text
}

func (r *refusal) Unwrap() error { return r.cause }

// QueryHashMismatch explains a refusal for [ReasonQueryHash] to an operator; errors.As finds it. It holds no token, but
// the parameters of the request, so it is for operators only.
type QueryHashMismatch struct {
	qsh.Mismatch
}

// Error returns the canonical request and what would have matched.
func (m *QueryHashMismatch) Error() string {
	text := fmt.Sprintf("qsh: canonical request %q", m.Canonical)
	if m.Decoded != "" {
		text += fmt.Sprintf(", with the path decoded %q", m.Decoded)
	}
	return text
}

// Reason returns why err refused a request or a callback, or "" if err is no refusal.
func Reason(err error) ReasonCode {
	if r, ok := errors.AsType[*refusal](err); ok {
		return r.reason
	}
	return ""
}

// StatusCode returns the HTTP status for a refusal: 401, 400, 409, 413 or 503. It is 500 for any other error.
func StatusCode(err error) int {
	if r, ok := errors.AsType[*refusal](err); ok {
		return r.reason.status()
	}
	return http.StatusInternalServerError
}

// RefusalHeader returns the header fields of the answer to a refusal: none that tells why. The answer has no body.
func RefusalHeader(err error) map[string]string {
	header := map[string]string{"Cache-Control": "no-store"}
	if id := CorrelationID(err); id != "" {
		header["X-Correlation-Id"] = id
	}
	if StatusCode(err) == http.StatusUnauthorized {
		header["Www-Authenticate"] = "JWT" // RFC 9110 15.5.2 asks for a challenge
	}
	return header
}

// CorrelationID returns the random id of a refusal, which the caller gets and the log holds, or "".
func CorrelationID(err error) string {
	if r, ok := errors.AsType[*refusal](err); ok {
		return r.correlationID
	}
	return ""
}
