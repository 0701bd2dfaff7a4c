package core

import "time"

// contextQueryHash stands in a context token where a URL-bound token has its query hash.
const contextQueryHash = "context-qsh"

// claims are the claims of a token that matter here, each checked for presence and type. Others are ignored, since the
// other side may add some.
type claims struct {
	issuer    string // iss: the client key of the tenant
	accountID string // sub, or context.user.accountId in tokens of older hosts; "" for an anonymous user
	audience  []string
	issuedAt  int64 // iat, Unix seconds
	expiresAt int64 // exp
	notBefore int64 // nbf; 0 if absent
	queryHash string
}

// claimNames are the claims that mean something.
var claimNames = []string{"iss", "iat", "exp", "qsh", "sub", "context", "aud", "nbf"}

func (c *claims) parse(data []byte) *refusal {
	var subject, user string
	object := openObject(data, claimNames...)
	defer object.close()
	for object.next() {
		switch object.name() {
		case "iss":
			c.issuer = object.text()
		case "sub":
			subject = object.textOrNull()
		case "aud":
			c.audience = object.textOrTexts()
		case "iat":
			c.issuedAt = object.seconds()
		case "exp":
			c.expiresAt = object.seconds()
		case "nbf":
			c.notBefore = object.seconds()
		case "qsh":
			c.queryHash = object.text()
		case "context":
			user = object.contextUser()
		default:
			object.skip()
		}
	}
	if !object.whole() {
		return refuse(ReasonTokenMalformed, "claims are not strict JSON of the right types")
	}
	c.accountID = subject
	if c.accountID == "" {
		c.accountID = user
	}
	// A missing query hash must never pass for "not bound to a URL": that was CVE-2021-26074.
	switch {
	case !validClientKey(c.issuer):
		return refuse(ReasonClaims, "iss is missing or no client key")
	case c.issuedAt == 0:
		return refuse(ReasonClaims, "iat is missing")
	case c.expiresAt == 0:
		return refuse(ReasonClaims, "exp is missing")
	case c.expiresAt <= max(c.issuedAt, c.notBefore):
		return refuse(ReasonClaims, "exp is not after iat and nbf")
	case c.queryHash == "":
		return refuse(ReasonClaims, "qsh is missing")
	}
	return nil
}

// validClientKey accepts what sites have sent over the years: a UUID, "jira:1234", "Confluence:1234", a domain. It is
// opaque but printable, so that it can stand in a log and in any column.
func validClientKey(s string) bool {
	if s == "" || len(s) > 255 {
		return false
	}
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// checkLife refuses a token that was made to live longer than max.
func (c *claims) checkLife(max time.Duration) *refusal {
	// In seconds, since a Duration of nanoseconds overflows after 292 years and a token may claim more.
	if c.expiresAt-c.issuedAt > int64(max/time.Second) {
		return refuse(ReasonTokenLife, "lives longer than "+max.String())
	}
	return nil
}

// checkTime holds the token against the clock. The leeway is for the two clocks, so it is applied once to each bound.
func (c *claims) checkTime(now time.Time, leeway time.Duration) *refusal {
	switch {
	case !now.Before(time.Unix(c.expiresAt, 0).Add(leeway)):
		return refuse(ReasonExpired, "")
	case now.Add(leeway).Before(time.Unix(c.issuedAt, 0)):
		return refuse(ReasonNotYetValid, "iat is in the future")
	case now.Add(leeway).Before(time.Unix(c.notBefore, 0)):
		return refuse(ReasonNotYetValid, "nbf is in the future")
	}
	return nil
}
