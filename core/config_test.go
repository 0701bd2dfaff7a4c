package core

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hostbond/hostbond/core/installkeys"
)

// noStore is a store for tests that never get to it.
type noStore struct{ Store }

// leastConfig has the fields that are required, and nothing else.
func leastConfig() Config {
	return Config{AppKey: "com.example.app", BaseURL: "https://app.example", Store: noStore{}}
}

func newQuietApp(t *testing.T, c Config) *App {
	t.Helper()
	a, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return a
}

func TestDefaultsAreAsDocumented(t *testing.T) {
	t.Parallel()
	got := newQuietApp(t, leastConfig()).config
	if got.Now == nil || time.Since(got.Now()).Abs() > time.Minute {
		t.Error("Now is not time.Now")
	}
	got.Now = nil
	want := leastConfig()
	want.Paths = Paths{
		Descriptor: "/atlassian-connect.json", Installed: "/installed", Uninstalled: "/uninstalled",
		Enabled: "/enabled", Disabled: "/disabled",
	}
	want.KeyHosts = installkeys.Atlassian()
	want.AllowedHosts = []string{"atlassian.net", "jira.com"}
	want.MaxTokenLife = time.Hour
	want.Leeway = 30 * time.Second
	want.Settle = 15 * time.Minute
	want.CacheTTL = 5 * time.Second
	want.MaxStale = time.Minute
	want.CacheSize = 10_000
	want.Logger = slog.Default()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestWhatIsConfiguredIsKept(t *testing.T) {
	t.Parallel()
	want := Config{
		AppKey: "com.example.other", BaseURL: "https://app.example/connect", BaseURLs: []string{"http://localhost:8080"},
		Store: noStore{}, Descriptor: Descriptor{Omit: true},
		Paths:    Paths{Descriptor: "/d", Installed: "/a/i", Uninstalled: "/a/u", Enabled: "/a/e", Disabled: "/a/x"},
		KeyHosts: []string{"https://keys.example"}, KeyTransport: http.DefaultTransport, AllowedHosts: []string{"example.net"},
		SymmetricInstalls: true, InsecureUnsignedFirstInstall: true,
		AppSecrets: SecretsFile("/run/secrets/app"), AppSecretSignsFirstInstall: true,
		MaxTokenLife: time.Minute, Leeway: time.Second, Settle: time.Hour, CacheTTL: -1, MaxStale: time.Second, CacheSize: 1,
		RevokedFingerprints: []Fingerprint{fingerprint("S1")},
		MaintainEvery:       time.Hour, Logger: slog.New(slog.DiscardHandler),
	}
	for field, value := range reflect.ValueOf(want).Fields() {
		if value.IsZero() && field.Type.Kind() != reflect.Func { // which are not comparable
			t.Errorf("%s is not tested here", field.Name)
		}
	}
	got := newQuietApp(t, want).config
	got.Now = nil
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestMaxStaleIsCacheTTLAtLeast(t *testing.T) {
	t.Parallel()
	for ttl, want := range map[time.Duration]time.Duration{
		-1: time.Minute, time.Second: time.Minute, time.Minute: time.Minute, time.Hour: time.Hour,
	} {
		c := leastConfig()
		c.CacheTTL = ttl
		if got := c.withDefaults().MaxStale; got != want {
			t.Errorf("CacheTTL %v: got %v, want %v", ttl, got, want)
		}
	}
}

func TestTheConfigurationOfTheCallerStaysAsItIs(t *testing.T) {
	t.Parallel()
	c := leastConfig()
	c.BaseURLs = []string{"https://old.example/"}
	c.AllowedHosts = []string{".Example.NET"}
	secrets := StaticSecrets{secret("A1")}
	c.AppSecrets, c.RevokedFingerprints = secrets, []Fingerprint{fingerprint("S1")}
	a := newQuietApp(t, c)
	if c.BaseURLs[0] != "https://old.example/" || c.AllowedHosts[0] != ".Example.NET" {
		t.Errorf("New changed it to %q, %q", c.BaseURLs, c.AllowedHosts)
	}
	c.BaseURLs[0], c.AllowedHosts[0] = "https://evil.example", "evil.example"
	secrets[0], c.RevokedFingerprints[0] = secret("A2"), fingerprint("S2")
	if !a.config.AppSecrets.(StaticSecrets)[0].Equal(secret("A1")) || a.config.RevokedFingerprints[0] != fingerprint("S1") {
		t.Error("a later change came through: want A1 as the app-wide secret, and S1 revoked")
	}
	want := []string{"https://app.example", "https://old.example"}
	if !slices.Equal(a.audiences, want) || !slices.Equal(a.config.AllowedHosts, []string{"example.net"}) {
		t.Errorf("a later change came through: got %q, %q; want %q, [example.net]", a.audiences, a.config.AllowedHosts, want)
	}
}

func TestOneSlashAtTheEndOfABaseURLDoesNotMatter(t *testing.T) {
	t.Parallel()
	c := leastConfig()
	c.BaseURL = "https://app.example/connect/"
	c.BaseURLs = []string{"https://app.example/connect", "https://old.example/", "https://eu.example/eu/"}
	a := newQuietApp(t, c)
	same := "https://app.example/connect"
	if want := []string{same, same, "https://old.example", "https://eu.example/eu"}; !slices.Equal(a.audiences, want) {
		t.Errorf("audiences: got %q, want %q", a.audiences, want)
	}
	if want := []string{"/connect", "", "/eu"}; !slices.Equal(a.basePaths, want) {
		t.Errorf("base paths: got %q, want %q", a.basePaths, want)
	}
}

// badConfigs are changes that make a good configuration bad, by the field that is wrong then.
var badConfigs = map[string][]func(*Config){
	"AppKey": {
		func(c *Config) { c.AppKey = "" },
		func(c *Config) { c.AppKey = "com.example app" },
		func(c *Config) { c.AppKey = "com.example.app\n" },
		func(c *Config) { c.AppKey = strings.Repeat("k", 256) },
	},
	"BaseURL": {func(c *Config) { c.BaseURL = "" }, func(c *Config) { c.BaseURL = "app.example" }},
	"BaseURLs[1]": {
		func(c *Config) { c.BaseURLs = []string{"https://old.example", ""} },
		func(c *Config) { c.BaseURLs = []string{"https://old.example", "http://old.example"} },
	},
	"Store": {func(c *Config) { c.Store = nil }},
	"Paths.Descriptor": {
		func(c *Config) { c.Paths.Descriptor = "descriptor.json" },
		func(c *Config) { c.Paths.Descriptor = "/" },
	},
	"Paths.Installed": {
		func(c *Config) { c.Paths.Installed = "installed" },
		func(c *Config) { c.Paths.Installed = "/installed?secret=1" },
		func(c *Config) { c.Paths.Installed = "/installed#x" },
		func(c *Config) { c.Paths.Installed = "https://app.example/installed" },
		func(c *Config) { c.Paths.Installed = `/a\b` },
	},
	// Patterns of routers.
	"Paths.Uninstalled": {
		func(c *Config) { c.Paths.Uninstalled = "/:event" },
		func(c *Config) { c.Paths.Uninstalled = "/*event" },
		func(c *Config) { c.Paths.Uninstalled = "/{event}" },
		func(c *Config) { c.Paths.Uninstalled = "/un installed" },
	},
	"Paths.Enabled":  {func(c *Config) { c.Paths.Enabled = "/installed" }},
	"Paths.Disabled": {func(c *Config) { c.Paths.Disabled = "/atlassian-connect.json" }},
	"KeyHosts": {
		func(c *Config) { c.KeyHosts = []string{"http://keys.example"} },
		func(c *Config) { c.KeyHosts = []string{"https://keys.example", "keys.example"} },
	},
	"AllowedHosts[0]": {
		func(c *Config) { c.AllowedHosts = []string{""} },
		func(c *Config) { c.AllowedHosts = []string{"."} },
		func(c *Config) { c.AllowedHosts = []string{"*.atlassian.net"} },
		func(c *Config) { c.AllowedHosts = []string{"https://atlassian.net"} },
		func(c *Config) { c.AllowedHosts = []string{"atlassian.net:443"} },
		func(c *Config) { c.AllowedHosts = []string{"atlassian.net/wiki"} },
		func(c *Config) { c.AllowedHosts = []string{"user@atlassian.net"} },
		func(c *Config) { c.AllowedHosts = []string{"atlassian.net "} },
	},
	"AppSecrets": {
		func(c *Config) { c.AppSecrets = StaticSecrets{secret("A1"), {}} },
		func(c *Config) { c.AppSecrets = StaticSecrets{secret("A1"), secret("A2"), secret("A1")} },
		func(c *Config) { c.AppSecrets = StaticSecrets{secret("A1"), secret("A2"), secret("A3"), secret("A4")} },
	},
	"AppSecretSignsFirstInstall": {
		func(c *Config) { c.AppSecretSignsFirstInstall = true },
		func(c *Config) { c.AppSecretSignsFirstInstall, c.SymmetricInstalls = true, true },
		func(c *Config) { c.AppSecretSignsFirstInstall, c.AppSecrets = true, StaticSecrets{secret("A1")} },
	},
	"RevokedFingerprints[1]": {
		func(c *Config) { c.RevokedFingerprints = []Fingerprint{fingerprint("S1"), fingerprint("S1")[:12]} },
		func(c *Config) { c.RevokedFingerprints = []Fingerprint{fingerprint("S1"), ""} },
	},
	"MaxTokenLife": {
		func(c *Config) { c.MaxTokenLife = -1 },
		func(c *Config) { c.MaxTokenLife = time.Second - 1 },
		func(c *Config) { c.MaxTokenLife = 24*time.Hour + 1 },
	},
	"Leeway": {
		func(c *Config) { c.Leeway = 5*time.Minute + 1 },
	},
	"Settle":        {func(c *Config) { c.Settle = -time.Hour }, func(c *Config) { c.Settle = time.Second - 1 }},
	"MaxStale":      {func(c *Config) { c.MaxStale = time.Second }, func(c *Config) { c.MaxStale = -1 }},
	"CacheSize":     {func(c *Config) { c.CacheSize = -1 }},
	"MaintainEvery": {func(c *Config) { c.MaintainEvery = -1 }},
	"Descriptor.JSON": {
		func(c *Config) { c.Descriptor.JSON = []byte(`{"key":"com.example.other"}`) },
		func(c *Config) { c.Descriptor.JSON = []byte(`no JSON`) },
	},
}

func TestAFieldThatIsWrongIsNamed(t *testing.T) {
	t.Parallel()
	for field, changes := range badConfigs {
		for n, change := range changes {
			c := leastConfig()
			change(&c)
			_, err := New(c)
			if err == nil {
				t.Errorf("%s, change %d: got no error", field, n)
				continue
			}
			if want := "hostbond: Config"; !strings.HasPrefix(err.Error(), want) {
				t.Errorf("%s: got %q, want it to begin with %q", field, err, want)
			}
			if named := fieldsNamed(err); !slices.Equal(named, []string{field}) {
				t.Errorf("%s: the error names %q: %v", field, named, err)
			}
		}
	}
}

// fieldsNamed returns the fields that an error of New names, of those in badConfigs.
func fieldsNamed(err error) (fields []string) {
	for field := range badConfigs {
		for _, before := range []string{" ", "\n", "."} {
			if strings.Contains(err.Error(), before+field+":") {
				fields = append(fields, field)
				break
			}
		}
	}
	slices.Sort(fields)
	return fields
}

func TestEveryFieldThatIsWrongIsNamedInOneError(t *testing.T) {
	t.Parallel()
	c := Config{
		AppKey: "a b", BaseURL: "http://app.example", BaseURLs: []string{"https://old.example", "nonsense"},
		Paths: Paths{Descriptor: "d", Installed: "i", Uninstalled: "u", Enabled: "e", Disabled: "x"}, AllowedHosts: []string{"*"},
		MaxTokenLife: -1, Leeway: time.Hour, Settle: -1, MaxStale: -1, CacheSize: -1, MaintainEvery: -1, KeyHosts: []string{"nonsense"},
		Descriptor: Descriptor{JSON: []byte("nonsense")},
		AppSecrets: StaticSecrets{{}}, AppSecretSignsFirstInstall: true, RevokedFingerprints: []Fingerprint{fingerprint("S1"), "x"},
	}
	_, err := New(c)
	if err == nil {
		t.Fatal("got no error")
	}
	for field := range badConfigs {
		if !slices.Contains(fieldsNamed(err), field) {
			t.Errorf("the error does not name %s:\n%v", field, err)
		}
	}
}

func TestTheLimitsOfTheRangesArePermitted(t *testing.T) {
	t.Parallel()
	for _, change := range []func(*Config){
		func(c *Config) { c.AppKey = strings.Repeat("k", 255) },
		func(c *Config) { c.MaxTokenLife = time.Second },
		func(c *Config) { c.MaxTokenLife = 24 * time.Hour },
		func(c *Config) { c.Leeway = 5 * time.Minute },
		func(c *Config) { c.Leeway = -1 },
		func(c *Config) { c.Settle = time.Second },
		func(c *Config) { c.CacheTTL, c.MaxStale = time.Second, time.Second },
		func(c *Config) { c.CacheTTL, c.MaxStale = -1, -1 },
		func(c *Config) { c.CacheSize = 1 },
		func(c *Config) { c.AllowedHosts = []string{"ATLASSIAN.net", ".example.net", "localhost"} },
		func(c *Config) { c.AppSecrets = StaticSecrets{} },
		func(c *Config) { c.AppSecrets = StaticSecrets{secret("A1"), secret("A2"), secret("A3")} },
		func(c *Config) { c.AppSecrets = SecretsFile("/no/such/file") }, // New reads nothing
	} {
		c := leastConfig()
		change(&c)
		newQuietApp(t, c)
	}
}

func TestABaseURLIsHTTPSOrOnALoopbackHost(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]bool{
		"https://app.example":           true,
		"https://app.example:8443":      true,
		"https://app.example/a/b":       true,
		"https://localhost":             true,
		"https://192.0.2.1":             true,
		"https://[2001:db8::1]":         true,
		"http://localhost":              true,
		"http://localhost:8080/connect": true,
		"http://app.localhost:8080":     true,
		"http://127.0.0.1:8080":         true,
		"http://127.255.0.9":            true,
		"http://[::1]:8080":             true,

		"http://app.example":              false,
		"http://192.168.0.1":              false,
		"http://10.0.0.1:8080":            false,
		"http://0.0.0.0:8080":             false,
		"http://[::]:8080":                false,
		"http://128.0.0.1":                false,
		"http://127.0.0.1.evil.example":   false,
		"http://localhost.evil.example":   false,
		"http://evillocalhost":            false,
		"http://localhost@evil.example":   false,
		"ftp://app.example":               false,
		"javascript://app.example/%0aa()": false,
		"app.example":                     false,
		"//app.example":                   false,
		"/connect":                        false,
		"https:app.example":               false,
		"https://":                        false,
		"https:///connect":                false,
		"https://:8443":                   false,
		"https://user@app.example":        false,
		"https://user:pass@app.example":   false,
		"https://app.example?":            false,
		"https://app.example?x=1":         false,
		"https://app.example#":            false,
		"https://app.example#x":           false,
		"https://app.example:port":        false,
		"https://app example":             false,
		" https://app.example":            false,
		"https://app.example\n":           false,
		"https://[::1":                    false,
		"":                                false,
	} {
		if err := checkAppURL(url); (err == nil) != want {
			t.Errorf("%q: accepted: got %v, want %v (%v)", url, err == nil, want, err)
		}
	}
}

func TestAnErrorOfNewHoldsNoPassword(t *testing.T) {
	t.Parallel()
	for _, url := range []string{
		"https://user:hunter2@app.example", "https://user:hunter2@app example", "postgres://user:hunter2@db/app",
	} {
		c := leastConfig()
		c.BaseURL = url
		_, err := New(c)
		if err == nil {
			t.Errorf("%s: got no error", url)
		} else if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("the error holds the password: %v", err)
		}
	}
}

func TestClosedTwiceIsNoError(t *testing.T) {
	t.Parallel()
	a, err := New(leastConfig())
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(a.Close(t.Context()), a.Close(t.Context())); err != nil {
		t.Error(err)
	}
}
