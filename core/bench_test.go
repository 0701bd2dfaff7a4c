package core_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/hostbond/hostbond/core"
	"github.com/hostbond/hostbond/core/memstore"
	"github.com/hostbond/hostbond/core/qsh"
)

const (
	benchClientKey = "0b1c7b70-6f0e-4cde-9a6c-2f1f7a4d3f55"
	benchSecret    = "ATCO-0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789abcdef"
)

var benchNow = time.Unix(1_800_000_000, 0)

// benchRequests are requests as a site makes them, each with a token of its own.
var benchRequests = []struct {
	name string
	make func(n int) (core.Request, string) // the n-th request, and the token in it
}{
	{"GET", func(n int) (core.Request, string) { // a page, with the seven parameters of a site
		target := fmt.Sprintf("/panel?xdm_e=https%%3A%%2F%%2Fexample.atlassian.net&xdm_c=channel-panel-%d&cp=&"+
			"xdm_deprecated_addon_key_do_not_use=com.example.app&lic=active&cv=1001.0.0&issue=HB-%d", n, n)
		raw := benchToken(n, http.MethodGet, target)
		return core.Request{Method: http.MethodGet, Target: target + "&jwt=" + raw}, raw
	}},
	{"POST", func(n int) (core.Request, string) { // a webhook
		target := fmt.Sprintf("/webhooks/issue-created?user_id=5b10a2844c20165700%04d", n)
		raw := benchToken(n, http.MethodPost, target)
		return core.Request{Method: http.MethodPost, Target: target, Authorization: []string{"JWT " + raw}}, raw
	}},
}

func benchToken(n int, method, target string) string {
	issuedAt := benchNow.Add(-time.Duration(n%60) * time.Second).Unix()
	return signHS256(benchSecret, fmt.Sprintf(
		`{"sub":"5b10a2844c20165700%04d","qsh":"%s","iss":"%s","context":{},"exp":%d,"iat":%d}`,
		n, qsh.Hash(method, target, ""), benchClientKey, issuedAt+180, issuedAt))
}

// BenchmarkAuthenticate compares the verification of a request of a known tenant with the same check done plainly, and
// with the cryptography that no implementation can do without.
func BenchmarkAuthenticate(b *testing.B) {
	store := memstore.New()
	putTenant(b, store, "com.example.app", benchClientKey, benchSecret)
	app, err := core.New(core.Config{
		AppKey: "com.example.app", BaseURL: "https://app.example", Store: store, CacheTTL: time.Hour,
		Now: func() time.Time { return benchNow }, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		b.Fatal(err)
	}
	defer app.Close(b.Context())
	plain := plainCheck{secrets: map[string][]byte{benchClientKey: []byte(benchSecret)}}

	for _, kind := range benchRequests {
		var requests [1024]core.Request
		var tokens [1024]string
		for n := range requests {
			requests[n], tokens[n] = kind.make(n)
		}
		b.Run(kind.name+"/hostbond", func(b *testing.B) {
			b.ReportAllocs()
			for n := 0; b.Loop(); n++ {
				if _, err := app.Authenticate(b.Context(), requests[n%1024]); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(kind.name+"/plain", func(b *testing.B) {
			b.ReportAllocs()
			for n := 0; b.Loop(); n++ {
				if err := plain.check(requests[n%1024], tokens[n%1024]); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(kind.name+"/bound", func(b *testing.B) {
			var targets, texts [1024][]byte
			for n := range tokens {
				target, _, _ := strings.Cut(requests[n].Target, "&jwt=")
				targets[n], texts[n] = []byte(target), []byte(tokens[n])
			}
			b.ReportAllocs()
			for n := 0; b.Loop(); n++ {
				if !bound(targets[n%1024], texts[n%1024]) {
					b.Fatal("the signature does not verify")
				}
			}
		})
	}
}

// BenchmarkAuthenticateBound compares a tenant that is bound to an app-wide secret with one that has its own: a request that
// verifies, and one that nothing verifies, for which the store is read and each secret is tried.
func BenchmarkAuthenticateBound(b *testing.B) {
	three := []string{benchSecret, appWide1, appWide2}
	for _, c := range []struct {
		name       string
		stored     []string // the site's own
		bindings   []string
		configured []string
	}{
		{"own", []string{benchSecret}, nil, nil},
		{"own-while-3-are-configured", []string{benchSecret}, nil, []string{appWide1, appWide2, appWide3}},
		{"bound", nil, three[:1], three[:1]},
		{"bound-to-1-of-3", nil, three[:1], three},
		{"bound-to-3", nil, three, three},
		{"own-3", three, nil, nil},
	} {
		for _, token := range []struct {
			name, key string
			ttl       time.Duration
		}{{"good", benchSecret, time.Hour}, {"bad", "a guess of a stranger", -1}} {
			b.Run(token.name+"/"+c.name, func(b *testing.B) {
				store := memstore.New()
				row := &core.Installation{
					Key:   core.Key{AppKey: appKey, ClientKey: benchClientKey},
					State: core.Installed, Signing: core.SignedRS256, LastOffer: benchNow,
				}
				for _, secret := range appSecrets(b, c.stored...) {
					row.Secrets = append(row.Secrets, core.StoredSecret{Fingerprint: secret.Fingerprint(), State: core.Usable, Value: secret})
				}
				for _, secret := range appSecrets(b, c.bindings...) {
					row.Secrets = append(row.Secrets, core.StoredSecret{Fingerprint: secret.Fingerprint(), State: core.Usable, Bound: true})
				}
				if _, err := store.Put(b.Context(), row); err != nil {
					b.Fatal(err)
				}
				app, err := core.New(core.Config{
					AppKey: appKey, BaseURL: "https://app.example", Store: store, CacheTTL: token.ttl, AppSecrets: appSecrets(b, c.configured...),
					Now: func() time.Time { return benchNow }, Logger: slog.New(slog.DiscardHandler),
				})
				if err != nil {
					b.Fatal(err)
				}
				defer app.Close(b.Context())
				var requests [1024]core.Request
				for n := range requests {
					target := fmt.Sprint("/panel?issue=HB-", n)
					requests[n] = core.Request{Method: http.MethodGet, Target: target, Authorization: []string{"JWT " + signHS256(token.key, fmt.Sprintf(
						`{"qsh":"%s","iss":"%s","exp":%d,"iat":%d}`,
						qsh.Hash(http.MethodGet, target, ""), benchClientKey, benchNow.Unix()+180, benchNow.Unix()))}}
				}
				b.ReportAllocs()
				for n := 0; b.Loop(); n++ {
					if _, err := app.Authenticate(b.Context(), requests[n%1024]); (err == nil) != (token.key == benchSecret) {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// plainCheck is what an app would write without a library, apart from the tenants.
type plainCheck struct{ secrets map[string][]byte }

type plainClaims struct {
	jwt.RegisteredClaims
	QueryHash string `json:"qsh"`
}

func (p plainCheck) check(r core.Request, raw string) error {
	var claims plainClaims
	_, err := jwt.ParseWithClaims(raw, &claims, func(*jwt.Token) (any, error) {
		if secret, ok := p.secrets[claims.Issuer]; ok {
			return secret, nil
		}
		return nil, errors.New("unknown tenant")
	},
		jwt.WithValidMethods([]string{"HS256"}), jwt.WithLeeway(30*time.Second), jwt.WithExpirationRequired(),
		jwt.WithIssuedAt(), jwt.WithTimeFunc(func() time.Time { return benchNow }))
	if err != nil {
		return err
	}
	target, err := url.ParseRequestURI(r.Target)
	if err != nil {
		return err
	}
	query := target.Query()
	query.Del("jwt")
	escape := func(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }
	var params []string
	for _, name := range slices.Sorted(maps.Keys(query)) {
		values := query[name]
		slices.Sort(values)
		for i := range values {
			values[i] = escape(values[i])
		}
		params = append(params, escape(name)+"="+strings.Join(values, ","))
	}
	canonical := strings.ToUpper(r.Method) + "&" + target.EscapedPath() + "&" + strings.Join(params, "&")
	sum := sha256.Sum256([]byte(canonical))
	if subtle.ConstantTimeCompare([]byte(hex.EncodeToString(sum[:])), []byte(claims.QueryHash)) != 1 {
		return errors.New("made for another URL")
	}
	return nil
}

// bound is the least that a verification does: decode the token, one HMAC with a key that was never seen, and the query
// hash of the target as it is and once more with the path decoded.
func bound(target, token []byte) bool {
	first, last := bytes.IndexByte(token, '.'), bytes.LastIndexByte(token, '.')
	var decoded [512]byte
	if _, err := base64.RawURLEncoding.Decode(decoded[:], token[:first]); err != nil {
		return false
	}
	if _, err := base64.RawURLEncoding.Decode(decoded[:], token[first+1:last]); err != nil {
		return false
	}
	size, err := base64.RawURLEncoding.Decode(decoded[:], token[last+1:])
	if err != nil {
		return false
	}
	mac := hmac.New(sha256.New, []byte(benchSecret))
	mac.Write(token[:last])
	var sum [sha256.Size]byte
	once, twice := sha256.Sum256(target), sha256.Sum256(target)
	return hmac.Equal(mac.Sum(sum[:0]), decoded[:size]) && once == twice
}
