package fakehost_test

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/hostbond/hostbond/core/fakehost"
)

func fetchKey(k *fakehost.Keys, id string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	k.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/"+id, nil))
	return w
}

func TestTheKeyHostServesEveryKeyInPEM(t *testing.T) {
	t.Parallel()
	k := new(fakehost.Keys)
	first, firstKey := k.Current()
	second := k.Rotate()
	current, secondKey := k.Current()
	if current != second || first == second || firstKey.Equal(secondKey) {
		t.Fatalf("rotated from %s to %s, current is %s; want a new key in use", first, second, current)
	}
	for id, key := range map[string]*rsa.PrivateKey{first: firstKey, second: secondKey} {
		w := fetchKey(k, id)
		block, rest := pem.Decode(w.Body.Bytes())
		if w.Code != http.StatusOK || block == nil || block.Type != "PUBLIC KEY" || len(rest) != 0 {
			t.Fatalf("%s: status %d, body %q; want one public key in PEM", id, w.Code, w.Body)
		}
		got, err := x509.ParsePKIXPublicKey(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		if !key.PublicKey.Equal(got) {
			t.Errorf("%s: another key is served than signs", id)
		}
	}
}

func TestTheKeyHostAnswers403AndHTMLToAnUnknownID(t *testing.T) {
	t.Parallel()
	k := new(fakehost.Keys) // the zero value has no key at all
	for _, id := range []string{"", "unknown", "../" + k.Rotate()} {
		w := fetchKey(k, id)
		if w.Code != http.StatusForbidden || !strings.HasPrefix(w.Body.String(), "<html>") {
			t.Errorf("%q: status %d, body %q; want 403 and HTML", id, w.Code, w.Body)
		}
	}
}

func TestAKeyHostThatIsDownAnswers503AndStillSigns(t *testing.T) {
	t.Parallel()
	k := new(fakehost.Keys)
	id := k.Rotate()
	k.SetDown(true)
	for _, asked := range []string{id, "unknown"} {
		if got := fetchKey(k, asked).Code; got != http.StatusServiceUnavailable {
			t.Errorf("%s: status %d, want 503", asked, got)
		}
	}
	if got, key := k.Current(); got != id || key == nil {
		t.Error("a host that is down does not sign any more")
	}
	k.SetDown(false)
	if got := fetchKey(k, id).Code; got != http.StatusOK {
		t.Errorf("back again: status %d, want 200", got)
	}
}

func TestSitesSignWithTheCurrentKey(t *testing.T) {
	t.Parallel()
	k := new(fakehost.Keys)
	site := newSite(t, newApp(t), func(c *fakehost.Config) { c.Keys = k })
	for range 2 {
		id := k.Rotate()
		if got := site.Callback(fakehost.Installed).Token.Header["kid"]; got != id {
			t.Errorf("kid is %v, want %s", got, id)
		}
	}
}
