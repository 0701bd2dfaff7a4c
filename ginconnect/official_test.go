package ginconnect_test

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/hostbond/hostbond/core"
	"github.com/hostbond/hostbond/core/memstore"
	"github.com/hostbond/hostbond/ginconnect"
)

// signedURLs are Atlassian's own vectors of signed URLs.
type signedURLs struct {
	Comment string `json:"comment"`
	Secret  string `json:"secret"`
	Tests   []struct {
		Name         string `json:"name"`
		CanonicalURL string `json:"canonicalUrl"`
		SignedURL    string `json:"signedUrl"`
	} `json:"tests"`
}

// TestOfficialSignedURLsPassAServer sends Atlassian's signed URLs, byte by byte, to a server whose clock is back in
// the year in which they were signed. Any change of the URL is refused.
func TestOfficialSignedURLsPassAServer(t *testing.T) {
	t.Parallel()
	vectors := readSignedURLs(t)
	claims := tokenClaims(t, vectors.Tests[0].SignedURL)

	secret, err := core.NewSecret(vectors.Secret)
	if err != nil {
		t.Fatal(err)
	}
	store := memstore.New()
	now := time.Unix(claims.IssuedAt, 0).UTC()
	if _, err := store.Put(t.Context(), &core.Installation{
		Key:       core.Key{AppKey: appKey, ClientKey: claims.Issuer},
		State:     core.Installed,
		Signing:   core.SignedRS256,
		Secrets:   []core.StoredSecret{{Fingerprint: secret.Fingerprint(), State: core.Usable, OfferedAt: now, Value: secret}},
		LastOffer: now,
	}); err != nil {
		t.Fatal(err)
	}
	app, err := core.New(core.Config{
		AppKey:  appKey,
		BaseURL: "https://example.com",
		Store:   store,
		Logger:  slog.New(slog.DiscardHandler),
		Now:     func() time.Time { return now },
	})
	if err != nil {
		t.Fatal(err)
	}
	router := gin.New()
	router.GET("/*path", ginconnect.Authenticate(app), func(c *gin.Context) {
		c.String(http.StatusOK, ginconnect.Principal(c).ClientKey)
	})
	server := httptest.NewServer(router)
	t.Cleanup(server.Close)

	for _, test := range vectors.Tests {
		if got := tokenClaims(t, test.SignedURL); got != claims {
			t.Fatalf("%s: the token is of %+v, want %+v as of the first", test.Name, got, claims)
		}
		target := strings.TrimPrefix(test.SignedURL, "https://example.com")
		if status, body := send(t, server, target); status != http.StatusOK || body != claims.Issuer {
			t.Errorf("%s: GET %s: got %d %q, want 200 %q", test.Name, core.HideToken(target), status, body, claims.Issuer)
		}
		if status, body := send(t, server, target+"&more=1"); status != http.StatusUnauthorized || body != "" {
			t.Errorf("%s: with a parameter more: got %d %q, want 401 and no body", test.Name, status, body)
		}
	}
}

// send sends a GET request with the very target, which http.Client would write anew, and returns status and body.
func send(t *testing.T, server *httptest.Server, target string) (int, string) {
	t.Helper()
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: example.com\r\nConnection: close\r\n\r\n", target); err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var body bytes.Buffer
	if _, err := body.ReadFrom(response.Body); err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, body.String()
}

// officialClaims are what all of Atlassian's tokens have in common.
type officialClaims struct {
	Issuer   string `json:"iss"`
	IssuedAt int64  `json:"iat"`
}

func tokenClaims(t *testing.T, signedURL string) (claims officialClaims) {
	t.Helper()
	_, token, _ := strings.Cut(signedURL, "jwt=")
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("a signed URL without a token: %s", core.HideToken(signedURL))
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(payload, &claims); err != nil {
		t.Fatal(err)
	}
	return claims
}

// readSignedURLs reads the vectors, which are not part of this repository: from HOSTBOND_VECTORS, or beside the
// checkout. Without them it skips the test, but fails it when CI=true.
func readSignedURLs(t *testing.T) (vectors signedURLs) {
	t.Helper()
	dir := os.Getenv("HOSTBOND_VECTORS")
	if dir == "" {
		dir = filepath.Join("..", "..", "shared", "vectors")
		if _, err := os.Stat(dir); err != nil && os.Getenv("CI") != "true" {
			t.Skip("no vectors beside the checkout, and HOSTBOND_VECTORS is not set")
		}
	}
	data, err := os.ReadFile(filepath.Join(dir, "qsh-signed-urls.json"))
	if err != nil {
		t.Fatal(err)
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&vectors); err != nil {
		t.Fatalf("qsh-signed-urls.json: %v", err)
	}
	if len(vectors.Tests) == 0 {
		t.Fatal("qsh-signed-urls.json: empty corpus")
	}
	return vectors
}
