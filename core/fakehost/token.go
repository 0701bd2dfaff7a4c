package fakehost

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/hostbond/hostbond/core/qsh"
)

// How long tokens live, unless Config.TokenLife says otherwise: as documented for requests, and as observed for
// installed and uninstalled callbacks.
const (
	requestLife = 3 * time.Minute
	installLife = 15 * time.Minute
)

// contextHash is the query hash of tokens that are bound to no URL (Connect API migration "context-qsh").
const contextHash = "context-qsh"

// Token is a JSON Web Token that is not signed yet: every part can be changed before [Token.Sign]. A token of a [Site]
// is valid as it comes.
type Token struct {
	Header map[string]any // alg, typ, and kid if there is one; alg decides how Sign signs
	Claims map[string]any

	// Key is a []byte for the HS algorithms, an *rsa.PrivateKey for RS and PS, and so on. "none" needs no key.
	Key any
}

// Sign returns the token in its compact form. It does not change t, and the same token gives the same text with HS and
// RS algorithms. It returns an error if it does not know the algorithm, or if the key is missing or does not fit.
func (t *Token) Sign() (string, error) {
	algorithm, _ := t.Header["alg"].(string)
	method := jwt.GetSigningMethod(algorithm)
	key := t.Key
	switch {
	case method == nil:
		return "", fmt.Errorf("fakehost: signing: unknown algorithm %q", algorithm)
	case method == jwt.SigningMethodNone:
		key = jwt.UnsafeAllowNoneSignatureType
	case key == nil:
		return "", errors.New("fakehost: signing: there is no key; was the app ever installed?")
	}
	unsigned := jwt.Token{Header: t.Header, Claims: jwt.MapClaims(t.Claims), Method: method}
	signed, err := unsigned.SignedString(key)
	if err != nil {
		return "", fmt.Errorf("fakehost: signing: %w", err)
	}
	return signed, nil
}

// As makes the token speak for a user, and returns it. An empty account id is a page that nobody is logged in to.
func (t *Token) As(accountID string) *Token {
	if accountID == "" {
		delete(t.Claims, "sub")
		t.Claims["context"] = map[string]any{}
		return t
	}
	t.Claims["sub"] = accountID
	t.Claims["context"] = map[string]any{"user": map[string]any{"accountId": accountID}}
	return t
}

// Clone returns a copy whose header and claims can be changed apart from those of t; nested values are shared.
func (t *Token) Clone() *Token {
	if t == nil {
		return nil
	}
	return &Token{Header: maps.Clone(t.Header), Claims: maps.Clone(t.Claims), Key: t.Key}
}

// Token returns a token for one request to the app: to a page, as a webhook, or of the app's own front end. The target
// is the path with its query, relative to the app's base URL. It is signed with the secret that the site holds now.
func (s *Site) Token(method, target string) *Token {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.symmetric(queryHash(method, target), s.life(requestLife))
}

// ContextToken returns a token that the app's front end asks the site for, to call its own back end with: bound to the
// tenant and the user, but to no URL.
func (s *Site) ContextToken() *Token {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.symmetric(contextHash, s.life(requestLife))
}

// symmetric returns a token signed with the shared secret; s.mu is held.
func (s *Site) symmetric(hash string, life time.Duration) *Token {
	t := s.claims(hash, life)
	t.Header = map[string]any{"alg": "HS256", "typ": "JWT"}
	if s.bond.secret != "" {
		t.Key = []byte(s.bond.secret)
	}
	return t
}

// asymmetric returns a token signed by Atlassian for the app at the audience.
func (s *Site) asymmetric(hash string, life time.Duration, audience string) *Token {
	t := s.claims(hash, life)
	id, key := s.config.Keys.Current()
	t.Header = map[string]any{"alg": "RS256", "typ": "JWT", "kid": id}
	t.Claims["aud"] = audience
	t.Key = key
	return t
}

func (s *Site) claims(hash string, life time.Duration) *Token {
	now := s.config.Now()
	t := &Token{Claims: map[string]any{
		"iss": s.config.ClientKey,
		"iat": now.Unix(),
		"exp": now.Add(life).Unix(),
		"qsh": hash,
	}}
	return t.As(s.config.AccountID)
}

func (s *Site) life(usual time.Duration) time.Duration {
	if s.config.TokenLife > 0 {
		return s.config.TokenLife
	}
	return usual
}

// queryHash returns the query hash of a request as a site computes it: over the decoded path, where most apps see the
// encoded one.
func queryHash(method, target string) string {
	path, query, _ := strings.Cut(rooted(target), "?")
	decoded, err := url.PathUnescape(path)
	if err != nil {
		decoded = path
	}
	if !strings.Contains(decoded, "?") {
		return qsh.Hash(method, decoded+"?"+query, "")
	}
	// A decoded "?" is part of the path, but qsh would take it for the beginning of the query.
	canonical := qsh.Canonical(method, "/path?"+query, "")
	canonicalPath := strings.ReplaceAll(strings.TrimSuffix(decoded, "/"), "&", "%26")
	sum := sha256.Sum256([]byte(strings.Replace(canonical, "/path", canonicalPath, 1)))
	return hex.EncodeToString(sum[:])
}
