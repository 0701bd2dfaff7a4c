package core

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

func TestTheURLOfASiteIsHTTPSAtAnAllowedHost(t *testing.T) {
	t.Parallel()
	allowed := []string{"atlassian.net", "jira.com"}
	for url, want := range map[string]bool{
		"https://example.atlassian.net":                              true,
		"https://example.atlassian.net/":                             true,
		"https://example.atlassian.net/wiki":                         true,
		"https://example.jira.com":                                   true,
		"https://a.b.c.atlassian.net":                                true,
		"https://atlassian.net":                                      true,
		"https://EXAMPLE.Atlassian.NET":                              true,
		"HTTPS://example.atlassian.net":                              true,
		"https://xn--exmple-cua.atlassian.net":                       true,
		"https://example.atlassian.net/" + strings.Repeat("x", 2018): true, // 2048 bytes

		// Not HTTPS.
		"":                             false,
		"http://example.atlassian.net": false,
		"ftp://example.atlassian.net":  false,
		"javascript://example.atlassian.net/%0aalert(1)": false,
		"javascript:alert(1)//example.atlassian.net":     false,
		"data:text/html,example.atlassian.net":           false,
		"file:///example.atlassian.net":                  false,
		"wss://example.atlassian.net":                    false,
		"//example.atlassian.net":                        false,
		"example.atlassian.net":                          false,
		"/example.atlassian.net":                         false,
		"https:example.atlassian.net":                    false,
		"https:/example.atlassian.net":                   false,
		"https:///example.atlassian.net":                 false,
		"https://":                                       false,

		// At another host.
		"https://example.com":                            false,
		"https://evilatlassian.net":                      false,
		"https://evil-atlassian.net":                     false,
		"https://atlassian.net.evil.com":                 false,
		"https://example.atlassian.net.evil.com":         false,
		"https://atlassian.com":                          false,
		"https://net":                                    false,
		"https://evil.com/.atlassian.net":                false,
		"https://evil.com?.atlassian.net":                false,
		"https://evil.com#.atlassian.net":                false,
		"https://evil.com/https://example.atlassian.net": false,
		"https://localhost":                              false,
		"https://127.0.0.1":                              false,
		"https://169.254.169.254":                        false,
		"https://[::1]":                                  false,
		"https://[::ffff:169.254.169.254]":               false,
		"https://[fe80::1%25.atlassian.net]":             false,
		"https://2130706433":                             false,

		// More than a host and a path.
		"https://user@example.atlassian.net":                         false,
		"https://user:password@example.atlassian.net":                false,
		"https://@example.atlassian.net":                             false,
		"https://example.atlassian.net@evil.com":                     false,
		"https://evil.com@example.atlassian.net":                     false,
		"https://evil.com:443@example.atlassian.net":                 false,
		"https://evil.com%40example.atlassian.net":                   false,
		"https://example.atlassian.net:443":                          false,
		"https://example.atlassian.net:8443":                         false,
		"https://example.atlassian.net:":                             false,
		"https://example.atlassian.net:0x1bb":                        false,
		"https://example.atlassian.net?x=1":                          false,
		"https://example.atlassian.net?":                             false,
		"https://example.atlassian.net#x":                            false,
		"https://example.atlassian.net#":                             false,
		"https://example.atlassian.net/" + strings.Repeat("x", 2019): false,

		// Another parser might find another host in it.
		"https://example.atlassian.net.":          false,
		"https://.atlassian.net":                  false,
		"https://example..atlassian.net":          false,
		"https://*.atlassian.net":                 false,
		`https://evil.com\.atlassian.net`:         false,
		`https:\\example.atlassian.net`:           false,
		`https://evil.com\@example.atlassian.net`: false,
		"https://evil.com%2f.atlassian.net":       false,
		"https://evil.com%00.atlassian.net":       false,
		"https://evil.com\uff0f.atlassian.net":    false, // a fullwidth slash
		"https://evil.com%EF%BC%8F.atlassian.net": false, // the same, escaped
		"https://evil.co\u2100.atlassian.net":     false, // a/c in one character
		"https://evil.com\uff1f.atlassian.net":    false, // a fullwidth question mark
		"https://evil.com\u3002atlassian.net":     false, // an ideographic full stop
		"https://example.\u0430tlassian.net":      false, // a Cyrillic a
		"https://example.atla\u017fsian.net":      false, // a long s
		"https://ex\u00e4mple.atlassian.net":      false,
		"https://evil.com;.atlassian.net":         false,
		"https://evil.com,.atlassian.net":         false,
		"https://evil.com&.atlassian.net":         false,
		"https://evil.com'.atlassian.net":         false,
		"https://<evil>.atlassian.net":            false,
		"https://\"evil\".atlassian.net":          false,
		"https://evil.com .atlassian.net":         false,
		"https://evil.com\t.atlassian.net":        false,
		"https://evil.com\n.atlassian.net":        false,
		"https://example.atlassian.net\r\nX: y":   false,
		"https://example.atlassian.net\x00":       false,
		"https://example.atlassian.net/\x7f":      false,
		" https://example.atlassian.net":          false,
		"https://example.atlassian.net ":          false,
		"\ufeffhttps://example.atlassian.net":     false,
		"https://example.atlassian.net/%zz":       false,
	} {
		err := checkSiteURL(url, allowed)
		if (err == nil) != want {
			t.Errorf("%q: accepted: got %v, want %v", url, err == nil, want)
		}
		if err != nil && len(url) > 0 && strings.Contains(err.Error(), url) {
			t.Errorf("the error quotes the URL: %v", err)
		}
	}
}

func TestOnlyTheConfiguredHostsAreAllowed(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		allowed string
		url     string
		want    bool
	}{
		{"example.net", "https://example.atlassian.net", false},
		{"example.net", "https://site.example.net", true},
		{"EXAMPLE.net", "https://site.example.net", true},
		{".example.net", "https://site.example.net", true},
		{"site.example.net", "https://site.example.net", true},
		{"site.example.net", "https://other.example.net", false},
		{"localhost", "https://localhost", true},
		{"kite.net", "https://\u212aite.net", false}, // the Kelvin sign is k in lower case
		{"127.0.0.1", "https://127.0.0.1", true},
	} {
		c := leastConfig()
		c.AllowedHosts = []string{test.allowed}
		err := checkSiteURL(test.url, c.withDefaults().AllowedHosts)
		if (err == nil) != test.want {
			t.Errorf("%s at %s: accepted: got %v, want %v", test.url, test.allowed, err == nil, test.want)
		}
	}
}

// plainBody returns the members of a good body of an installed callback with some of them changed; "" leaves one out.
func plainBody(change members) members {
	body := members{
		"key": `"com.example.app"`, "clientKey": `"client-1"`, "sharedSecret": `"0123456789abcdef"`, "eventType": `"installed"`,
		"baseUrl": `"https://example.atlassian.net"`, "productType": `"jira"`,
	}
	maps.Copy(body, change)
	maps.DeleteFunc(body, func(_, value string) bool { return value == "" })
	return body
}

// read reads a body of the event under a token of client-1, or under none.
func read(event Event, signed bool, body string) (callback, *refusal) {
	a := &App{config: leastConfig().withDefaults()}
	cb := callback{event: event}
	var signer *token
	if signed {
		signer = &token{claims: claims{issuer: "client-1"}}
	}
	refusal := a.readBody(&cb, signer, []byte(body))
	return cb, refusal
}

func TestABodyIsTakenOver(t *testing.T) {
	t.Parallel()
	cb, refusal := read(EventInstalled, true, plainBody(members{
		"displayUrl": `"https://example.com"`, "displayUrlServicedeskHelpCenter": `"https://help.example.com"`,
		"description": `"Jira \u00e9"`, "serverVersion": `"1"`, "pluginsVersion": `"2"`, "serviceEntitlementNumber": `"SEN-3"`,
		"entitlementId": `"4"`, "entitlementNumber": `"5"`, "oauthClientId": `"6"`, "cloudId": `"7"`, "installationId": `"8"`,
		"publicKey": `"is ignored"`, "new": `{"a":[null]}`,
	}).String())
	if refusal != nil {
		t.Fatal(refusal)
	}
	wantSite := Site{
		BaseURL: "https://example.atlassian.net", DisplayURL: "https://example.com",
		DisplayURLServicedeskHelpCenter: "https://help.example.com", ProductType: "jira", Description: "Jira é",
		ServerVersion: "1", PluginsVersion: "2", ServiceEntitlementNumber: "SEN-3", EntitlementID: "4", EntitlementNumber: "5",
		OAuthClientID: "6", CloudID: "7", InstallationID: "8",
	}
	if want := (Key{"com.example.app", "client-1"}); cb.key != want || cb.site != wantSite {
		t.Errorf("got %+v, %+v\nwant %+v, %+v", cb.key, cb.site, want, wantSite)
	}
	if got, want := cb.secret.Reveal(), "0123456789abcdef"; got != want {
		t.Errorf("secret: got %q, want %q", got, want)
	}
}

func TestMembersOfABody(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		rule   string
		change members
		reason ReasonCode
	}{
		{"as it comes", members{}, ""},
		{"the least", members{"productType": "", "sharedSecret": ""}, ""},
		{"null for what may be left out", members{"productType": `null`, "sharedSecret": `null`, "cloudId": `null`}, ""},
		{"an empty secret is none", members{"sharedSecret": `""`}, ""},
		{"the longest secret", members{"sharedSecret": `"` + strings.Repeat("s", 4096) + `"`}, ""},
		{"a secret with escapes", members{"sharedSecret": `"\u0030123456789\"\\\/abc"`}, ""},

		{"another tenant than the token's", members{"clientKey": `"client-2"`}, ReasonClientKey},
		{"the tenant in another case", members{"clientKey": `"Client-1"`}, ReasonClientKey},
		{"a longer tenant", members{"clientKey": `"client-1 "`}, ReasonClientKey},
		{"no tenant", members{"clientKey": ""}, ReasonClientKey},
		{"a tenant of null", members{"clientKey": `null`}, ReasonClientKey},
		{"another app", members{"key": `"com.example.other"`}, ReasonAppKey},
		{"no app", members{"key": ""}, ReasonAppKey},
		{"an app of null", members{"key": `null`}, ReasonAppKey},
		{"another event", members{"eventType": `"uninstalled"`}, ReasonEventType},
		{"the event in another case", members{"eventType": `"Installed"`}, ReasonEventType},
		{"no event", members{"eventType": ""}, ReasonEventType},
		{"no base URL", members{"baseUrl": ""}, ReasonBaseURL},
		{"a base URL of null", members{"baseUrl": `null`}, ReasonBaseURL},
		{"a base URL elsewhere", members{"baseUrl": `"https://evil.example"`}, ReasonBaseURL},
		{"a short secret", members{"sharedSecret": `"0123456789abcde"`}, ReasonSecretInvalid},
		{"a long secret", members{"sharedSecret": `"` + strings.Repeat("s", 4097) + `"`}, ReasonSecretInvalid},
		{"a blank secret", members{"sharedSecret": `"                    "`}, ReasonSecretInvalid},
		{"a blank secret of other blanks", members{"sharedSecret": `"` + strings.Repeat(`\t\n`, 10) + `"`}, ReasonSecretInvalid},

		{"a secret that is a number", members{"sharedSecret": `1234567890123456`}, ReasonBody},
		{"a secret that is a list", members{"sharedSecret": `["0123456789abcdef"]`}, ReasonBody},
		{"a tenant that is a number", members{"clientKey": `1`}, ReasonBody},
		{"an event that is an object", members{"eventType": `{}`}, ReasonBody},
		{"a product that is a boolean", members{"productType": `true`}, ReasonBody},
		{"invalid UTF-8", members{"description": `"` + "\xff" + `"`}, ReasonBody},
		{"a NUL", members{"description": `"\u0000"`}, ReasonBody},
		{"a lone surrogate", members{"description": `"\ud800"`}, ReasonBody},
		{"a lone surrogate where nobody looks", members{"new": `"\ud800"`}, ReasonBody},
		{"a name twice where nobody looks", members{"new": `{"a":1,"a":2}`}, ReasonBody},
	} {
		_, refusal := read(EventInstalled, true, plainBody(test.change).String())
		if reasonOf(refusal) != test.reason {
			t.Errorf("%s: reason: got %q, want %q", test.rule, reasonOf(refusal), test.reason)
		}
	}
}

func TestABodyIsOneStrictJSONObject(t *testing.T) {
	t.Parallel()
	good := plainBody(nil).String()
	deep := strings.Repeat("[", 30_000) + strings.Repeat("]", 30_000)
	for _, test := range []struct {
		rule, body string
		reason     ReasonCode
	}{
		{"white space around it", " \r\n\t" + good + "\n", ""},
		{"nothing", "", ReasonBody},
		{"white space", " ", ReasonBody},
		{"a byte order mark", "\ufeff" + good, ReasonBody},
		{"UTF-16", "\xff\xfe{\x00}\x00", ReasonBody},
		{"another value after it", good + "{}", ReasonBody},
		{"a bracket after it", good + "}", ReasonBody},
		{"a NUL after it", good + "\x00", ReasonBody},
		{"a list", "[" + good + "]", ReasonBody},
		{"a text", `"installed"`, ReasonBody},
		{"a number", `1`, ReasonBody},
		{"a form", "key=com.example.app&clientKey=client-1", ReasonBody},
		{"cut off", good[:len(good)-1], ReasonBody},
		{"a comma at the end", good[:len(good)-1] + ",}", ReasonBody},
		{"nested deeper than the parser goes", strings.Replace(good, "{", `{"new":`+deep+",", 1), ReasonBody},
		{"null has no tenant", "null", ReasonClientKey},
		{"an empty object has no tenant", "{}", ReasonClientKey},
	} {
		if _, refusal := read(EventInstalled, true, test.body); reasonOf(refusal) != test.reason {
			t.Errorf("%s: reason: got %q, want %q", test.rule, reasonOf(refusal), test.reason)
		}
	}
}

func TestNoMemberOfABodyComesTwice(t *testing.T) {
	t.Parallel()
	for name, value := range plainBody(nil) {
		for _, second := range []string{name, fmt.Sprintf(`\u%04x`, name[0]) + name[1:]} {
			body := strings.TrimSuffix(plainBody(nil).String(), "}") + `,"` + second + `":` + value + `}`
			if _, refusal := read(EventInstalled, true, body); reasonOf(refusal) != ReasonBody {
				t.Errorf("%s: reason: got %q, want %q", body, reasonOf(refusal), ReasonBody)
			}
		}
	}
}

// Names count to the letter: what differs in case is another member, which means nothing.
func TestNamesInABodyAreExact(t *testing.T) {
	t.Parallel()
	body := plainBody(members{
		"CLIENTKEY": `"client-2"`, "sharedsecret": `"1"`, "BaseUrl": `"https://evil.example"`, "eventtype": `"x"`,
	})
	cb, refusal := read(EventInstalled, true, body.String())
	if refusal != nil || cb.secret.Reveal() != "0123456789abcdef" || cb.site.BaseURL != "https://example.atlassian.net" {
		t.Errorf("got %+v, %v; want the exact members alone", cb.site, refusal)
	}
}

func TestAnUnsignedBodyNamesATenantItself(t *testing.T) {
	t.Parallel()
	for clientKey, reason := range map[string]ReasonCode{
		`"client-2"`: "", ``: ReasonBody, `""`: ReasonBody, `null`: ReasonBody, `"a b"`: ReasonBody, `"a\u0000"`: ReasonBody,
		`"` + strings.Repeat("k", 256) + `"`: ReasonBody,
	} {
		if _, refusal := read(EventInstalled, false, plainBody(members{"clientKey": clientKey}).String()); reasonOf(refusal) != reason {
			t.Errorf("clientKey %s: reason: got %q, want %q", clientKey, reasonOf(refusal), reason)
		}
	}
}

func TestOnlyInstalledBringsASiteAndASecret(t *testing.T) {
	t.Parallel()
	for _, event := range []Event{EventUninstalled, EventEnabled, EventDisabled} {
		for _, change := range []members{
			{}, {"baseUrl": "", "sharedSecret": ""}, {"baseUrl": `"nonsense"`, "sharedSecret": `"short"`},
		} {
			body := plainBody(change)
			body["eventType"] = `"` + string(event) + `"`
			cb, refusal := read(event, true, body.String())
			if refusal != nil || cb.site != (Site{}) || !cb.secret.IsZero() || cb.key.ClientKey != "client-1" {
				t.Errorf("%s: %v: got %+v, %v; want the key alone", event, change, cb, refusal)
			}
		}
	}
}

func TestARefusalOfABodyDoesNotQuoteIt(t *testing.T) {
	t.Parallel()
	for _, change := range []members{
		{"sharedSecret": `"hunter2"`}, {"sharedSecret": `"hunter2` + strings.Repeat("x", 5000) + `"`}, {"sharedSecret": `["hunter2"]`},
		{"hunter2": `1,"hunter2":2`}, {"baseUrl": `"https://hunter2.example"`}, {"key": `"hunter2"`}, {"clientKey": `"hunter2"`},
		{"eventType": `"hunter2"`}, {"new": `hunter2`},
	} {
		_, refusal := read(EventInstalled, true, plainBody(change).String())
		if refusal == nil {
			t.Errorf("%v: got no refusal", change)
		} else if text := refusal.Error() + fmt.Sprint(refusal.cause); strings.Contains(text, "hunter2") {
			t.Errorf("the refusal quotes the body: %s", text)
		}
	}
}

// FuzzPayload: no body panics, and what is taken from one that is accepted is what a parser reads that minds case.
func FuzzPayload(f *testing.F) {
	for _, body := range []string{
		plainBody(nil).String(), plainBody(members{"sharedSecret": `null`, "CloudID": `"x"`, "cloudId": `"y"`}).String(),
		`{`, `null`, `[]`, "\ufeff{}", strings.Repeat(`{"new":`, 100), plainBody(members{"new": `"\ud800"`}).String(),
	} {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body string) {
		for _, event := range []Event{EventInstalled, EventUninstalled} {
			cb, refusal := read(event, false, body)
			if refusal != nil {
				if refusal.reason.status() != 400 && refusal.reason != ReasonAppKey {
					t.Errorf("%q: got reason %q, want one of a body", body, refusal.reason)
				}
				continue
			}
			wantSameBody(t, cb, body)
		}
	})
}

// wantSameBody holds a callback against what encoding/json reads into a map, which minds case.
func wantSameBody(t *testing.T, cb callback, body string) {
	t.Helper()
	var other map[string]any
	if err := json.Unmarshal([]byte(body), &other); err != nil {
		t.Fatalf("accepted %q: %v", body, err)
	}
	got := map[string]string{"key": cb.key.AppKey, "clientKey": cb.key.ClientKey, "eventType": string(cb.event)}
	if cb.event == EventInstalled {
		maps.Copy(got, map[string]string{
			"sharedSecret": cb.secret.Reveal(), "baseUrl": cb.site.BaseURL, "displayUrl": cb.site.DisplayURL,
			"displayUrlServicedeskHelpCenter": cb.site.DisplayURLServicedeskHelpCenter, "productType": cb.site.ProductType,
			"description": cb.site.Description, "serverVersion": cb.site.ServerVersion, "pluginsVersion": cb.site.PluginsVersion,
			"serviceEntitlementNumber": cb.site.ServiceEntitlementNumber, "entitlementId": cb.site.EntitlementID,
			"entitlementNumber": cb.site.EntitlementNumber, "oauthClientId": cb.site.OAuthClientID,
			"cloudId": cb.site.CloudID, "installationId": cb.site.InstallationID,
		})
	}
	for _, name := range slices.Sorted(maps.Keys(got)) {
		if want, _ := other[name].(string); got[name] != want {
			t.Errorf("%q: %s: got %q, want %q", body, name, got[name], want)
		}
	}
}
