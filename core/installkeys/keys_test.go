package installkeys_test

import (
	"crypto/rsa"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hostbond/hostbond/core/installkeys"
)

const kid = "0b1c7b70-6f0e-4cde-9a6c-2f1f7a4d3f55"

// transport answers in place of the network, and counts.
type transport struct {
	answer func(*http.Request) (*http.Response, error)

	mu    sync.Mutex
	asked []string // URLs, in order
}

func (tr *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	tr.mu.Lock()
	tr.asked = append(tr.asked, r.URL.String())
	tr.mu.Unlock()
	return tr.answer(r)
}

func (tr *transport) requests() []string {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return slices.Clone(tr.asked)
}

func response(status int, body string) (*http.Response, error) {
	return &http.Response{StatusCode: status, Body: io.NopCloser(strings.NewReader(body))}, nil
}

// serving answers with the key files by URL, and 404 for all else.
func serving(files map[string]string) *transport {
	return &transport{answer: func(r *http.Request) (*http.Response, error) {
		if file, ok := files[r.URL.String()]; ok {
			return response(http.StatusOK, file)
		}
		return response(http.StatusNotFound, "")
	}}
}

func newKeys(t testing.TB, tr http.RoundTripper, now func() time.Time, hosts ...string) *installkeys.Keys {
	t.Helper()
	keys, err := installkeys.New(installkeys.Config{Hosts: hosts, Transport: tr, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func wantKey(t testing.TB, keys *installkeys.Keys, kid string, want *rsa.PublicKey) {
	t.Helper()
	got, err := keys.Key(t.Context(), kid)
	if err != nil || !got.Equal(want) {
		t.Errorf("Key(%q) = %v, %v, want the key that the host serves", kid, got, err)
	}
}

func wantError(t testing.TB, keys *installkeys.Keys, kid string, want error) {
	t.Helper()
	if got, err := keys.Key(t.Context(), kid); got != nil || !errors.Is(err, want) {
		t.Errorf("Key(%q) = %v, %v, want %v", kid, got, err, want)
	}
}

func wantRequests(t testing.TB, tr *transport, want ...string) {
	t.Helper()
	if got := tr.requests(); !slices.Equal(got, want) {
		t.Errorf("hosts were asked for %q, want %q", got, want)
	}
}

// clock stands still until it is told to move.
type clock struct{ offset atomic.Int64 }

func (c *clock) now() time.Time          { return time.Unix(1_800_000_000, c.offset.Load()) }
func (c *clock) advance(d time.Duration) { c.offset.Add(int64(d)) }

func TestAtlassiansHostsAreTheDefault(t *testing.T) {
	t.Parallel()
	tr := serving(nil)
	wantError(t, newKeys(t, tr, nil), kid, installkeys.ErrUnknown)
	wantRequests(t, tr,
		"https://connect-install-keys.atlassian.com/"+kid,
		"https://asap-distribution.us-west-2.prod.atl-asap.net/"+kid)
}

func TestPresetsAreValidAndNobodyElses(t *testing.T) {
	t.Parallel()
	for name, preset := range map[string]func() []string{
		"Atlassian":           installkeys.Atlassian,
		"AtlassianGovernment": installkeys.AtlassianGovernment,
	} {
		newKeys(t, nil, nil, preset()...)
		preset()[0] = "https://evil.example"
		if got := preset()[0]; got == "https://evil.example" {
			t.Errorf("%s() hands out a slice that callers share", name)
		}
	}
}

func TestHostsAreAskedInOrderUntilOneHasTheKey(t *testing.T) {
	t.Parallel()
	key := publicKey(2048, 65537)
	tr := serving(map[string]string{"https://b.example/" + kid: pemOf(t, key)})
	wantKey(t, newKeys(t, tr, nil, "https://a.example", "https://b.example", "https://c.example"), kid, key)
	wantRequests(t, tr, "https://a.example/"+kid, "https://b.example/"+kid)
}

func TestKeyIDIsANameOrAPathOfThree(t *testing.T) {
	t.Parallel()
	accepted := []string{
		kid, "k", "_k", "-k", "k.", "a.b_c-D9", strings.Repeat("k", 128),
		"generic-keypair/cs-migrations/installation-key-pair--0123456789abcdef",
	}
	refused := []string{
		"", ".", "..", ".k", "a..b", "a/b", "a/b/c/d", "/", "/a", "a/", "a/b/", "/a/b", "a//b", "a/../b", "a/./b", "a/.b/c",
		"//evil.example/k", "http://evil.example/k", "@evil.example", "evil.example:443", "a\\b", "a?b", "a#b", "a;b", "a b",
		"a%2fb", "..%2f..%2fx", "a\x00b", "a\nb", "a\r\nHost: evil.example", "k\n", "é", "a\xff", strings.Repeat("k", 129),
	}
	for _, kid := range accepted {
		tr := serving(nil)
		wantError(t, newKeys(t, tr, nil, "https://a.example"), kid, installkeys.ErrUnknown)
		wantRequests(t, tr, "https://a.example/"+kid)
	}
	for _, kid := range refused {
		tr := serving(nil)
		wantError(t, newKeys(t, tr, nil, "https://a.example"), kid, installkeys.ErrUnknown)
		wantRequests(t, tr)
	}
}

// The law: an id causes no request, or one for the path of the host, a slash and the id, on that host and nowhere else.
func FuzzKeyID(f *testing.F) {
	for _, kid := range []string{
		kid, "a/b/c", "../../x", "//evil.example/k", "a%2fb", "a?b#c", "@evil.example", ":80", "a..b",
	} {
		f.Add(kid)
	}
	f.Fuzz(func(t *testing.T, kid string) {
		tr := &transport{answer: func(r *http.Request) (*http.Response, error) {
			u := r.URL
			if u.Scheme != "https" || u.Host != "a.example:8443" || r.Host != u.Host || u.Path != "/keys/"+kid ||
				u.RequestURI() != u.Path || path.Clean(u.Path) != u.Path || u.User != nil || u.Fragment != "" {
				t.Errorf("id %q leads to %q", kid, u)
			}
			return response(http.StatusNotFound, "")
		}}
		wantError(t, newKeys(t, tr, nil, "https://a.example:8443/keys"), kid, installkeys.ErrUnknown)
		if n := len(tr.requests()); n > 1 {
			t.Errorf("id %q causes %d requests of one host", kid, n)
		}
	})
}

func TestKnownKeyIsNeverAskedForAgain(t *testing.T) {
	t.Parallel()
	key := publicKey(2048, 65537)
	tr, c := serving(map[string]string{"https://a.example/" + kid: pemOf(t, key)}), new(clock)
	keys := newKeys(t, tr, c.now, "https://a.example")
	for range 10 {
		wantKey(t, keys, kid, key)
		c.advance(365 * 24 * time.Hour)
	}
	wantRequests(t, tr, "https://a.example/"+kid)
}

func TestUnknownIDIsAskedForAgainAfterAMinute(t *testing.T) {
	t.Parallel()
	key := publicKey(2048, 65537)
	files := map[string]string{}
	tr, c := serving(files), new(clock)
	keys := newKeys(t, tr, c.now, "https://a.example")

	wantError(t, keys, kid, installkeys.ErrUnknown)
	files["https://a.example/"+kid] = pemOf(t, key)
	c.advance(time.Minute - time.Nanosecond)
	wantError(t, keys, kid, installkeys.ErrUnknown)
	wantRequests(t, tr, "https://a.example/"+kid)

	c.advance(time.Nanosecond)
	wantKey(t, keys, kid, key)
}

func TestUnavailableIsNotRemembered(t *testing.T) {
	t.Parallel()
	key := publicKey(2048, 65537)
	status := http.StatusServiceUnavailable
	tr := &transport{answer: func(*http.Request) (*http.Response, error) { return response(status, pemOf(t, key)) }}
	keys := newKeys(t, tr, new(clock).now, "https://a.example")
	wantError(t, keys, kid, installkeys.ErrUnavailable)
	status = http.StatusOK
	wantKey(t, keys, kid, key)
}

func TestForgedIDsPushOutNoKey(t *testing.T) {
	t.Parallel()
	key := publicKey(2048, 65537)
	tr, c := serving(map[string]string{"https://a.example/" + kid: pemOf(t, key)}), new(clock)
	keys := newKeys(t, tr, c.now, "https://a.example")
	wantKey(t, keys, kid, key)
	for i := range 10_000 {
		c.advance(200 * time.Millisecond) // as fast as the limit lets them
		wantError(t, keys, fmt.Sprintf("forged-%d", i), installkeys.ErrUnknown)
	}
	asked := len(tr.requests())
	wantKey(t, keys, kid, key)
	if n := len(tr.requests()); n != asked {
		t.Error("the key had to be fetched again")
	}
}

func BenchmarkKnownKey(b *testing.B) {
	const kid = "generic-keypair/cs-migrations/installation-key-pair--0123456789abcdef"
	tr := serving(map[string]string{"https://a.example/" + kid: pemOf(b, publicKey(2048, 65537))})
	keys := newKeys(b, tr, nil, "https://a.example")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := keys.Key(b.Context(), kid); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRefusedFlood(b *testing.B) {
	c := new(clock)
	keys := newKeys(b, serving(nil), c.now, "https://a.example")
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if _, err := keys.Key(b.Context(), fmt.Sprintf("forged-%d", i)); err == nil {
			b.Fatal("a forged id was found")
		}
	}
}
