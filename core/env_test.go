package core

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

// environmentVariables are those that ConfigFromEnv reads.
var environmentVariables = []string{
	"APP_KEY", "BASE_URL", "BASE_URLS", "INSTALL_KEYS_URL", "ALLOWED_HOSTS",
	"SYMMETRIC_INSTALLS", "UNSIGNED_FIRST_INSTALL", "SETTLE", "CACHE_TTL",
	"APP_SECRETS", "APP_SECRETS_FILE", "APP_SECRET_FIRST_INSTALL", "REVOKED_FINGERPRINTS",
}

// setEnvironment sets these variables and no other of ours.
func setEnvironment(t *testing.T, values map[string]string) {
	t.Helper()
	for _, name := range environmentVariables {
		t.Setenv(name, values[name])
	}
}

func TestConfigFromEnv(t *testing.T) {
	for _, test := range []struct {
		rule   string
		values map[string]string
		want   Config
	}{
		{"nothing is set", nil, Config{}},
		{"all is set", map[string]string{
			"APP_KEY": "com.example.app", "BASE_URL": "https://app.example", "BASE_URLS": "https://a.example,https://b.example",
			"INSTALL_KEYS_URL": "https://keys.example", "ALLOWED_HOSTS": "example.net,example.com",
			"SYMMETRIC_INSTALLS": "1", "UNSIGNED_FIRST_INSTALL": "1", "SETTLE": "1h", "CACHE_TTL": "250ms",
			"APP_SECRETS": secret("A2").Reveal() + "," + secret("A1").Reveal(), "APP_SECRET_FIRST_INSTALL": "1",
		}, Config{
			AppKey: "com.example.app", BaseURL: "https://app.example", BaseURLs: []string{"https://a.example", "https://b.example"},
			KeyHosts: []string{"https://keys.example"}, AllowedHosts: []string{"example.net", "example.com"},
			SymmetricInstalls: true, InsecureUnsignedFirstInstall: true, Settle: time.Hour, CacheTTL: 250 * time.Millisecond,
			AppSecrets: StaticSecrets{secret("A2"), secret("A1")}, AppSecretSignsFirstInstall: true,
		}},
		{"blanks and empty items of a list", map[string]string{"BASE_URLS": " https://a.example , ,, https://b.example,"},
			Config{BaseURLs: []string{"https://a.example", "https://b.example"}}},
		{"a list of nothing", map[string]string{"ALLOWED_HOSTS": " , "}, Config{}},
		{"0 is no", map[string]string{"SYMMETRIC_INSTALLS": "0", "UNSIGNED_FIRST_INSTALL": "0"}, Config{}},
		{"true and false", map[string]string{"SYMMETRIC_INSTALLS": "true", "UNSIGNED_FIRST_INSTALL": "false"},
			Config{SymmetricInstalls: true}},
		{"revoked secrets", map[string]string{"REVOKED_FINGERPRINTS": string(fingerprint("S1") + ", " + fingerprint("S2"))},
			Config{RevokedFingerprints: []Fingerprint{fingerprint("S1"), fingerprint("S2")}}},
		{"blanks and empty items among secrets", map[string]string{"APP_SECRETS": " , " + secret("A1").Reveal() + "  ,,"},
			Config{AppSecrets: StaticSecrets{secret("A1")}}},
		{"no first install by an app-wide secret", map[string]string{"APP_SECRET_FIRST_INSTALL": "0"}, Config{}},
		{"no cache", map[string]string{"CACHE_TTL": "0"}, Config{CacheTTL: -1}},
		{"no cache, with a unit", map[string]string{"CACHE_TTL": "0s"}, Config{CacheTTL: -1}},
	} {
		t.Run(test.rule, func(t *testing.T) {
			setEnvironment(t, test.values)
			got, err := ConfigFromEnv()
			if err != nil || !reflect.DeepEqual(got, test.want) {
				t.Errorf("got  %+v, %v\nwant %+v", got, err, test.want)
			}
		})
	}
}

func TestAVariableThatCannotBeReadIsNamedAndNotQuoted(t *testing.T) {
	for name, values := range map[string][]string{
		"SYMMETRIC_INSTALLS":     {"yes", "2", " 1"},
		"UNSIGNED_FIRST_INSTALL": {"on", "-"},
		"SETTLE":                 {"15", "quarter", "-1m", "1m ", "0"},
		"CACHE_TTL":              {"5", "-5s", "never"},
		"APP_SECRETS": {
			" ", ",", " , ,", "0123456789abcde", secret("A1").Reveal() + ",short", secret("A1").Reveal() + "," + secret("A1").Reveal(),
			secret("A1").Reveal() + "," + secret("A2").Reveal() + "," + secret("A3").Reveal() + "," + secret("A4").Reveal(),
			strings.Repeat("x", MaxSecretBytes+1),
		},
		"APP_SECRETS_FILE":         {"/no/such/file", ".", " "},
		"APP_SECRET_FIRST_INSTALL": {"yes"},
		"REVOKED_FINGERPRINTS":     {secret("A1").Reveal(), strings.ToUpper(string(fingerprint("A1"))), string(fingerprint("A1")) + ",0"},
	} {
		for _, value := range values {
			t.Run(name+"="+value, func(t *testing.T) {
				setEnvironment(t, map[string]string{name: value})
				_, err := ConfigFromEnv()
				if err == nil || !strings.HasPrefix(err.Error(), "hostbond: "+name+" ") {
					t.Errorf("got %v, want an error about %s", err, name)
				}
			})
		}
	}
	setEnvironment(t, map[string]string{"SYMMETRIC_INSTALLS": "hunter2", "SETTLE": "hunter2", "CACHE_TTL": "hunter2"})
	_, err := ConfigFromEnv()
	for _, name := range []string{"SYMMETRIC_INSTALLS", "SETTLE", "CACHE_TTL"} {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("got %v, want an error that names %s too", err, name)
		}
	}
	if err != nil && strings.Contains(err.Error(), "hunter2") {
		t.Errorf("the error quotes a value: %v", err)
	}
}

func TestTheFileOfTheAppSecretsIsReadFromItsPath(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secrets")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(secret("A2").Reveal() + "\n" + secret("A1").Reveal() + "\n")
	setEnvironment(t, map[string]string{"APP_SECRETS_FILE": path})
	if c, err := ConfigFromEnv(); err != nil || c.AppSecrets != SecretsFile(path) {
		t.Errorf("got %v, %v, want the file as the source", c.AppSecrets, err)
	}
	for _, text := range []string{"", "\n\n", "hunter2", strings.Repeat(secret("A1").Reveal()+"\n", 2)} {
		write(text)
		_, err := ConfigFromEnv()
		if err == nil || !strings.HasPrefix(err.Error(), "hostbond: APP_SECRETS_FILE is not a file of secrets: "+path) {
			t.Errorf("%q: got %v, want an error that names the variable and the file", text, err)
		}
		if err != nil && (strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), secret("A1").Reveal())) {
			t.Errorf("the error has a secret: %v", err)
		}
	}
}

func TestThereIsOneListOfAppSecrets(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secrets")
	if err := os.WriteFile(path, []byte(secret("A1").Reveal()), 0o600); err != nil {
		t.Fatal(err)
	}
	setEnvironment(t, map[string]string{"APP_SECRETS": secret("A2").Reveal(), "APP_SECRETS_FILE": path})
	c, err := ConfigFromEnv()
	if want := "hostbond: APP_SECRETS is not to be set beside APP_SECRETS_FILE"; err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("got %v, want it to begin with %q", err, want)
	}
	if c.AppSecrets != nil {
		t.Errorf("got %v as the source, want none: which one is meant is not clear", c.AppSecrets)
	}
}

func TestAnErrorAboutAppSecretsQuotesNone(t *testing.T) {
	for _, list := range []string{
		"hunter2", shown + "," + shown, shown + ",hunter2", strings.Repeat("hunter2", MaxSecretBytes),
		shown + ",x" + shown + ",y" + shown + ",z" + shown,
	} {
		setEnvironment(t, map[string]string{"APP_SECRETS": list})
		_, err := ConfigFromEnv()
		if err == nil {
			t.Fatalf("%q: got no error", list)
		}
		wantHidden(t, "the error", err.Error())
	}
}

func TestAnAppOfTheEnvironmentAndAStoreIsComplete(t *testing.T) {
	setEnvironment(t, map[string]string{"APP_KEY": "com.example.app", "BASE_URL": "http://localhost:8080/"})
	c, err := ConfigFromEnv()
	if err != nil {
		t.Fatal(err)
	}
	c.Store = noStore{}
	newQuietApp(t, c)
}
