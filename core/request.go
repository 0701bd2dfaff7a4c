package core

import (
	"io"
	"net/url"
	"strings"
)

// maxBodyBytes is the largest body of a lifecycle callback. Real ones have about one KiB.
const maxBodyBytes = 64 << 10

// Request is what the core wants to know of an HTTP request. An adapter fills it with raw values, and the core alone
// parses them, so that no two adapters can disagree about what was signed.
type Request struct {
	Method        string
	Target        string   // path and query exactly as the client sent them: not decoded, not cleaned
	Authorization []string // every value of the Authorization header; schemes other than JWT are not tokens

	// Body is read by Lifecycle alone, and only as far as a callback's body may reach, so that no adapter has to know
	// the limit. It may be nil.
	Body io.Reader
}

// readBody reads the body of a lifecycle callback.
func (r Request) readBody() ([]byte, *refusal) {
	if r.Body == nil {
		return nil, nil
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBodyBytes+1))
	switch {
	case err != nil:
		return nil, refuse(ReasonBody, "the body did not arrive whole").because(err)
	case len(body) > maxBodyBytes:
		return nil, refuse(ReasonBodyTooLarge, "a callback's body has at most 64 KiB")
	}
	return body, nil
}

// token returns the one token of the request. Two are refused, even equal ones: which of them another part of the
// app would look at is not for us to guess.
func (r Request) token() (string, *refusal) {
	var tokens []string
	for _, value := range r.Authorization {
		if scheme, token, _ := strings.Cut(value, " "); strings.EqualFold(scheme, "JWT") {
			tokens = append(tokens, token)
		}
	}
	_, query, _ := strings.Cut(r.Target, "?")
	for query != "" {
		var pair string
		pair, query, _ = strings.Cut(query, "&")
		// The value is taken as it stands: a token holds nothing that a client would have to escape.
		if name, token, _ := strings.Cut(pair, "="); isJWTParameter(name) {
			tokens = append(tokens, token)
		}
	}
	switch len(tokens) {
	case 0:
		return "", refuse(ReasonTokenMissing, "")
	case 1:
		return tokens[0], nil
	default:
		return "", refuse(ReasonTokenAmbiguous, "more than one token in the request")
	}
}

// isJWTParameter reports whether the query hash leaves the parameter out, that is, whether its decoded name is "jwt".
func isJWTParameter(name string) bool {
	if !strings.ContainsRune(name, '%') {
		return name == "jwt"
	}
	decoded, err := url.QueryUnescape(name)
	return err == nil && decoded == "jwt"
}

// HideToken returns a request target with the value of each jwt parameter replaced, for access logs. The token in a
// page's URL is good for some minutes, and an access log is read by many. The target may be decoded, as in some
// frameworks' logs: parameters are looked for behind every "?" and "&".
func HideToken(target string) string {
	var hidden strings.Builder
	for {
		part, end := target, strings.IndexAny(target, "?&")
		if end >= 0 {
			part = target[:end]
		}
		if name, _, found := strings.Cut(part, "="); found && hidden.Len() > 0 && isJWTParameter(name) {
			part = name + "=" + redacted
		}
		hidden.WriteString(part)
		if end < 0 {
			return hidden.String()
		}
		hidden.WriteByte(target[end])
		target = target[end+1:]
	}
}
