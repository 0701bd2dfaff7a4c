package core

import (
	"encoding/base64"
	"strings"
	"sync/atomic"
)

// maxTokenBytes caps what is decoded before anything is verified. Tokens of a site have 300 to 700 bytes.
const maxTokenBytes = 8 << 10

// token is a JWT that was taken apart, strictly, and not yet verified.
type token struct {
	signingInput string // header and claims as they were sent: what the signature covers
	signature    []byte
	header       header
	claims       claims
}

// strictBase64 refuses trailing bits that are not zero, so that no two texts are the same token.
var strictBase64 = base64.RawURLEncoding.Strict()

// parseToken takes a compact JWT apart. Whatever two parsers could read in two ways is refused here, before any key is
// looked up (RFC 8725 3.1, 3.10).
func parseToken(raw string) (*token, *refusal) {
	if len(raw) > maxTokenBytes {
		return nil, refuse(ReasonTokenMalformed, "longer than 8 KiB")
	}
	// Strict base64url lets nothing else pass than its own alphabet, but for line breaks, which Go's decoder skips.
	first, second := strings.IndexByte(raw, '.'), strings.LastIndexByte(raw, '.')
	if first == second || strings.IndexByte(raw, '\r') >= 0 || strings.IndexByte(raw, '\n') >= 0 {
		return nil, refuse(ReasonTokenMalformed, "not three parts of base64url")
	}
	var t token
	t.signingInput = strings.Clone(raw[:second]) // the token outlives a buffer that a framework may re-use
	var refusal *refusal
	if t.header, refusal = parseHeader(raw[:first]); refusal != nil {
		return nil, refusal
	}
	claimsJSON, err := strictBase64.DecodeString(raw[first+1 : second])
	if err != nil {
		return nil, refuse(ReasonTokenMalformed, "claims are not canonical base64url")
	}
	if t.signature, err = strictBase64.DecodeString(raw[second+1:]); err != nil {
		return nil, refuse(ReasonTokenMalformed, "signature is not canonical base64url")
	}
	if refusal := t.claims.parse(claimsJSON); refusal != nil {
		return nil, refusal
	}
	return &t, nil
}

// The algorithms of Connect. Each kind of route takes one of them; a token never chooses (RFC 8725 3.1).
const (
	algHS256 = "HS256"
	algRS256 = "RS256"
)

// header is the part of a JOSE header that matters.
type header struct {
	algorithm string
	keyID     string
}

// lastHeader is the last header that was good, as it was sent. Sites write theirs all alike, so few are read twice.
// Those of callbacks, which name a key, are left out.
var lastHeader atomic.Pointer[sentHeader]

type sentHeader struct {
	text   string
	header header
}

func parseHeader(text string) (h header, _ *refusal) {
	if last := lastHeader.Load(); last != nil && last.text == text {
		return last.header, nil
	}
	data, err := strictBase64.DecodeString(text)
	if err != nil {
		return h, refuse(ReasonTokenMalformed, "header is not canonical base64url")
	}
	if refusal := h.parse(data); refusal != nil {
		return h, refusal
	}
	if h.keyID == "" {
		lastHeader.Store(&sentHeader{strings.Clone(text), h})
	}
	return h, nil
}

// headerMembers are the members of a header that mean something.
var headerMembers = []string{"alg", "typ", "kid", "crit", "b64", "zip", "jku", "jwk", "x5u", "x5c"}

func (h *header) parse(data []byte) *refusal {
	object := openObject(data, headerMembers...)
	defer object.close()
	for object.next() {
		switch name := object.name(); name {
		case "alg":
			h.algorithm = object.text()
		case "kid":
			h.keyID = object.text()
		case "typ":
			object.text()
		// Each of these names a key of the sender's choice or changes what is signed (RFC 7515 4.1, RFC 7797).
		case "crit", "b64", "zip", "jku", "jwk", "x5u", "x5c":
			return refuse(ReasonHeader, "header member "+name)
		default:
			object.skip()
		}
	}
	if !object.whole() {
		return refuse(ReasonTokenMalformed, "header is not strict JSON")
	}
	if h.algorithm == "" {
		return refuse(ReasonTokenMalformed, "header names no algorithm")
	}
	return nil
}
