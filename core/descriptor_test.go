package core

import (
	"encoding/json"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// served returns the descriptor of an app as another program reads it.
func served(t *testing.T, c Config) map[string]any {
	t.Helper()
	return decoded(t, newQuietApp(t, c).Descriptor())
}

func decoded(t *testing.T, data []byte) (document map[string]any) {
	t.Helper()
	decoder := json.NewDecoder(strings.NewReader(string(data)))
	decoder.UseNumber() // so that a number that lost digits shows
	if err := decoder.Decode(&document); err != nil {
		t.Fatalf("%s: %v", data, err)
	}
	return document
}

func wantDocument(t *testing.T, got map[string]any, want string) {
	t.Helper()
	if want := decoded(t, []byte(want)); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

// filledIn is what the library knows itself.
const filledIn = `
	"key": "com.example.app", "baseUrl": "https://app.example", "authentication": {"type": "jwt"},
	"lifecycle": {"installed": "/installed", "uninstalled": "/uninstalled", "enabled": "/enabled", "disabled": "/disabled"}`

func TestTheMinimalDescriptor(t *testing.T) {
	t.Parallel()
	wantDocument(t, served(t, leastConfig()), `{`+filledIn+`, "name": "com.example.app",
		"apiMigrations": {"signed-install": true, "context-qsh": true, "gdpr": true}}`)
}

func TestADescriptorOfFields(t *testing.T) {
	t.Parallel()
	c := leastConfig()
	c.Paths.Installed = "/atlassian/installed"
	c.Descriptor = Descriptor{
		Name: "Example", Description: "It's an example & more <here>", Vendor: Vendor{"Example Inc.", "https://example.com"},
		Scopes: []string{"READ", "WRITE"}, Licensing: true,
		Modules: map[string]any{"generalPages": []any{map[string]any{"key": "panel", "weight": 100, "location": nil}}},
	}
	want := strings.Replace(filledIn, `"/installed"`, `"/atlassian/installed"`, 1)
	wantDocument(t, served(t, c), `{`+want+`, "name": "Example", "description": "It's an example & more <here>",
		"vendor": {"name": "Example Inc.", "url": "https://example.com"}, "scopes": ["READ", "WRITE"], "enableLicensing": true,
		"modules": {"generalPages": [{"key": "panel", "weight": 100, "location": null}]},
		"apiMigrations": {"signed-install": true, "context-qsh": true, "gdpr": true}}`)
}

func TestADescriptorOfJSONIsKeptAndFilledIn(t *testing.T) {
	t.Parallel()
	const others = `
		"name": "Example", "apiVersion": 3, "scopes": [], "enableLicensing": true,
		"vendor": {"name": "Example Inc.", "url": "https://example.com"},
		"links": {"self": "https://app.example/atlassian-connect.json"}, "newMember": [null, true, "\u00e9\u2028", -0.5, {"a": {}}],
		"regionBaseUrls": {"EU": "https://eu.app.example"}, "translations": {"paths": {"qps-PLOC": "/i18n"}},
		"modules": {
			"webhooks": [{"event": "jira:issue_created", "url": "/hook"}, {"event": "b", "url": "/2"}, {"event": "a", "url": "/1"}],
			"generalPages": [{"key": "panel", "url": "/panel?issue={issue.key}&x=<y>", "name": {"value": "P"}, "weight": 100}],
			"numbers": [12345678901234567890, 9007199254740993, 1.10, 1e3]
		}`
	c := leastConfig()
	c.Descriptor.JSON = []byte(`{` + others + `, "lifecycle": {"dare-migration": "/migrated"},
		"apiMigrations": {"new-one": true, "old-one": false}}`)
	lifecycle := strings.Replace(filledIn, `{"installed"`, `{"dare-migration": "/migrated", "installed"`, 1)
	wantDocument(t, served(t, c), `{`+others+`,`+lifecycle+`,
		"apiMigrations": {"signed-install": true, "context-qsh": true, "gdpr": true, "new-one": true, "old-one": false}}`)
}

// What the library fills in has members that it does not know, too.
func TestUnknownMembersInsideKnownOnesAreKept(t *testing.T) {
	t.Parallel()
	c := leastConfig()
	c.Descriptor.JSON = []byte(`{"vendor": {"name": "Example Inc.", "new": 1}, "authentication": {"type": "jwt", "new": 2}}`)
	got := served(t, c)
	want := decoded(t, c.Descriptor.JSON)
	for member := range want {
		if !reflect.DeepEqual(got[member], want[member]) {
			t.Errorf("%s: got %v, want %v", member, got[member], want[member])
		}
	}
}

func TestADescriptorThatSaysTheSameAsTheConfigurationIsAccepted(t *testing.T) {
	t.Parallel()
	complete := `{` + filledIn + `, "name": "Example", "apiMigrations": {"signed-install": true, "context-qsh": true, "gdpr": true}}`
	for _, baseURL := range []string{"https://app.example", "https://app.example/"} {
		c := leastConfig()
		c.Descriptor.JSON = []byte(strings.Replace(complete, `"https://app.example"`, `"`+baseURL+`"`, 1))
		wantDocument(t, served(t, c), complete)
	}
}

func TestADescriptorThatContradictsTheConfigurationIsRefused(t *testing.T) {
	t.Parallel()
	for member, json := range map[string]string{
		"key":                          `{"key": "com.example.other"}`,
		"baseUrl":                      `{"baseUrl": "https://other.example"}`,
		"authentication.type":          `{"authentication": {"type": "none"}}`,
		"lifecycle.installed":          `{"lifecycle": {"installed": "/other"}}`,
		"lifecycle.uninstalled":        `{"lifecycle": {"uninstalled": "/installed"}}`,
		"lifecycle.enabled":            `{"lifecycle": {"enabled": "https://app.example/enabled"}}`,
		"lifecycle.disabled":           `{"lifecycle": {"disabled": "disabled"}}`,
		"apiMigrations.signed-install": `{"apiMigrations": {"signed-install": false}}`,
		"apiMigrations.context-qsh":    `{"apiMigrations": {"context-qsh": false}}`,
		"apiMigrations.gdpr":           `{"apiMigrations": {"gdpr": false}}`,
	} {
		c := leastConfig()
		c.Descriptor.JSON = []byte(json)
		_, err := New(c)
		if err == nil || !strings.Contains(err.Error(), "Descriptor.JSON: "+member+" ") {
			t.Errorf("%s: got %v, want an error that names %s", json, err, member)
		}
	}
	c := leastConfig()
	c.Descriptor.JSON = []byte(`{"key": "other", "lifecycle": {"enabled": "/x", "disabled": "/y"}}`)
	_, err := New(c)
	for _, member := range []string{"key", "lifecycle.enabled", "lifecycle.disabled"} {
		if err == nil || !strings.Contains(err.Error(), member+" ") {
			t.Errorf("got %v, want one error that names %s too", err, member)
		}
	}
}

func TestADescriptorThatIsNoJSONObjectIsRefused(t *testing.T) {
	t.Parallel()
	for _, data := range []string{
		``, ` `, `[]`, `"x"`, `{`, `{}{}`, `{"name": "a", "name": "b"}`, `{"name": 1}`, `{"lifecycle": {"installed": 1}}`,
		"{\"name\": \"\xff\"}",
	} {
		c := leastConfig()
		c.Descriptor.JSON = []byte(data)
		if _, err := New(c); err == nil || !strings.Contains(err.Error(), "Config: Descriptor.JSON: ") {
			t.Errorf("%q: got %v, want an error about Descriptor.JSON", data, err)
		}
	}
}

func TestADescriptorIsOfFieldsOrOfJSON(t *testing.T) {
	t.Parallel()
	for field, d := range map[string]Descriptor{
		"Name":        {Name: "Example"},
		"Description": {Description: "An example"},
		"Vendor":      {Vendor: Vendor{URL: "https://example.com"}},
		"Scopes":      {Scopes: []string{}},
		"Licensing":   {Licensing: true},
		"Modules":     {Modules: map[string]any{}},
	} {
		c := leastConfig()
		c.Descriptor = d
		newQuietApp(t, c)
		c.Descriptor.JSON = []byte(`{}`)
		if _, err := New(c); err == nil || !strings.Contains(err.Error(), "Descriptor: ") {
			t.Errorf("JSON and %s: got %v, want an error about Descriptor", field, err)
		}
	}
}

func TestAModuleThatIsNoJSONIsAnErrorAboutIt(t *testing.T) {
	t.Parallel()
	c := leastConfig()
	c.Descriptor.Modules = map[string]any{"generalPages": make(chan int)}
	if _, err := New(c); err == nil || !strings.Contains(err.Error(), "Config: Descriptor") {
		t.Errorf("got %v, want an error about Descriptor", err)
	}
}

// A site signs with RS256 only for a descriptor that asks for it.
func TestAnAppOfSymmetricInstallsDoesNotAskForSignedOnes(t *testing.T) {
	t.Parallel()
	for json, want := range map[string]any{
		``: nil,
		`{"apiMigrations": {"signed-install": false}}`: false,
		`{"apiMigrations": {"signed-install": true}}`:  true, // its new tenants are signed for by Atlassian
	} {
		c := leastConfig()
		c.SymmetricInstalls = true
		if json != "" {
			c.Descriptor.JSON = []byte(json)
		}
		migrations := served(t, c)["apiMigrations"].(map[string]any)
		if got := migrations["signed-install"]; got != want {
			t.Errorf("%s: signed-install: got %v, want %v", json, got, want)
		}
		if migrations["context-qsh"] != true || migrations["gdpr"] != true {
			t.Errorf("%s: got %v, want context-qsh and gdpr", json, migrations)
		}
	}
}

func TestAnOmittedDescriptorHasNoRoute(t *testing.T) {
	t.Parallel()
	c := leastConfig()
	isDescriptor := func(r Route) bool { return r.Event == "" }
	with := newQuietApp(t, c)
	want := Route{Method: http.MethodGet, Path: "/atlassian-connect.json"}
	if at := slices.IndexFunc(with.Routes(), isDescriptor); at < 0 || with.Routes()[at] != want {
		t.Errorf("got %v, want %v among them", with.Routes(), want)
	}
	c.Descriptor = Descriptor{Omit: true, JSON: []byte("is not looked at")}
	without := newQuietApp(t, c)
	if without.Descriptor() != nil || slices.ContainsFunc(without.Routes(), isDescriptor) {
		t.Errorf("got %s, %v; want no descriptor and no route for it", without.Descriptor(), without.Routes())
	}
}

func TestTheRoutesAreThoseOfTheDescriptor(t *testing.T) {
	t.Parallel()
	c := leastConfig()
	c.Paths = Paths{Installed: "/a/i", Uninstalled: "/a/u", Enabled: "/a/e", Disabled: "/a/x"}
	a := newQuietApp(t, c)
	lifecycle := decoded(t, a.Descriptor())["lifecycle"].(map[string]any)
	for _, event := range []Event{EventInstalled, EventUninstalled, EventEnabled, EventDisabled} {
		want := Route{Method: http.MethodPost, Path: lifecycle[string(event)].(string), Event: event}
		if !slices.Contains(a.Routes(), want) {
			t.Errorf("got %v, want %v among them", a.Routes(), want)
		}
	}
}

func TestTheSameConfigurationMakesTheSameDescriptor(t *testing.T) {
	t.Parallel()
	c := leastConfig()
	c.Descriptor.Modules = map[string]any{"a": 1, "b": 2, "c": 3, "d": map[string]any{"e": 4, "f": 5, "g": 6}}
	a := newQuietApp(t, c)
	first := a.Descriptor()
	for range 10 {
		if got := newQuietApp(t, c).Descriptor(); string(got) != string(first) {
			t.Fatalf("got %s, then %s", first, got)
		}
	}
	first[0] = 'X'
	if got := a.Descriptor(); got[0] != '{' {
		t.Error("a caller changed the descriptor of all")
	}
}
