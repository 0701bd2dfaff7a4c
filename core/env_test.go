package core

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

// environmentVariables are those that ConfigFromEnv reads.
var environmentVariables = []string{
	"APP_KEY", "BASE_URL", "BASE_URLS", "INSTALL_KEYS_URL", "ALLOWED_HOSTS",
	"SYMMETRIC_INSTALLS", "UNSIGNED_FIRST_INSTALL", "SETTLE", "CACHE_TTL",
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
		}, Config{
			AppKey: "com.example.app", BaseURL: "https://app.example", BaseURLs: []string{"https://a.example", "https://b.example"},
			KeyHosts: []string{"https://keys.example"}, AllowedHosts: []string{"example.net", "example.com"},
			SymmetricInstalls: true, InsecureUnsignedFirstInstall: true, Settle: time.Hour, CacheTTL: 250 * time.Millisecond,
		}},
		{"blanks and empty items of a list", map[string]string{"BASE_URLS": " https://a.example , ,, https://b.example,"},
			Config{BaseURLs: []string{"https://a.example", "https://b.example"}}},
		{"a list of nothing", map[string]string{"ALLOWED_HOSTS": " , "}, Config{}},
		{"0 is no", map[string]string{"SYMMETRIC_INSTALLS": "0", "UNSIGNED_FIRST_INSTALL": "0"}, Config{}},
		{"true and false", map[string]string{"SYMMETRIC_INSTALLS": "true", "UNSIGNED_FIRST_INSTALL": "false"},
			Config{SymmetricInstalls: true}},
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

func TestAnAppOfTheEnvironmentAndAStoreIsComplete(t *testing.T) {
	setEnvironment(t, map[string]string{"APP_KEY": "com.example.app", "BASE_URL": "http://localhost:8080/"})
	c, err := ConfigFromEnv()
	if err != nil {
		t.Fatal(err)
	}
	c.Store = noStore{}
	newQuietApp(t, c)
}
