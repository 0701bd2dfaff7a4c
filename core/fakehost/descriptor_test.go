package fakehost_test

import (
	"maps"
	"net/http"
	"strings"
	"testing"

	"github.com/hostbond/hostbond/core/fakehost"
)

const descriptor = `{
	"key": "com.example.app", "name": "An app", "baseUrl": "https://app.example.com/connect",
	"authentication": {"type": "jwt"}, "scopes": ["READ"],
	"lifecycle": {"installed": "/installed", "dare-migration": "/migrate"},
	"apiMigrations": {"gdpr": true, "signed-install": true}
}`

func serve(a *app, status int, body string) {
	a.on(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	})
}

func TestReadDescriptor(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		body      string
		symmetric bool
	}{
		"signed installs":               {descriptor, false},
		"signed installs turned off":    {strings.Replace(descriptor, `"signed-install": true`, `"signed-install": false`, 1), true},
		"signed installs not spoken of": {strings.Replace(descriptor, `, "signed-install": true`, ``, 1), true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newApp(t)
			serve(a, http.StatusOK, test.body)
			got, err := fakehost.ReadDescriptor(t.Context(), nil, a.URL+"/atlassian-connect.json")
			if err != nil {
				t.Fatal(err)
			}
			if a.last(t).uri != "/atlassian-connect.json" {
				t.Errorf("read from %s", a.last(t).uri)
			}
			wantPaths := map[fakehost.Event]string{fakehost.Installed: "/installed", "dare-migration": "/migrate"}
			if got.Key != "com.example.app" || got.BaseURL != "https://app.example.com/connect" ||
				got.Symmetric != test.symmetric || !maps.Equal(got.Lifecycle, wantPaths) {
				t.Errorf("got %+v", got)
			}
		})
	}
}

func TestASiteIsConfiguredByADescriptor(t *testing.T) {
	t.Parallel()
	a := newApp(t)
	serve(a, http.StatusOK, descriptor)
	d, err := fakehost.ReadDescriptor(t.Context(), http.DefaultClient, a.URL)
	if err != nil {
		t.Fatal(err)
	}
	site := newSite(t, a, func(c *fakehost.Config) { c.AppURL, c.App = a.URL, d })
	if _, err := site.Install(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := a.last(t); got.uri != "/installed" {
		t.Errorf("installed went to %s, want /installed at AppURL", got.uri)
	}
	if got := site.Callback(fakehost.Installed).Token.Claims["aud"]; got != d.BaseURL {
		t.Errorf("audience is %v, want %s", got, d.BaseURL)
	}
}

func TestReadDescriptorRefusesWhatASiteWouldNotInstall(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		status int
		body   string
		want   string
	}{
		"not found":       {404, descriptor, "status 404"},
		"no JSON":         {200, "<html>", "JSON"},
		"cut off":         {200, descriptor[:len(descriptor)-2], "JSON"},
		"too long":        {200, `{"name":"` + strings.Repeat("x", 1<<20), "JSON"},
		"no key":          {200, strings.Replace(descriptor, `"key"`, `"x"`, 1), "no key"},
		"no base URL":     {200, strings.Replace(descriptor, `"baseUrl"`, `"x"`, 1), "no baseUrl"},
		"no installed":    {200, strings.Replace(descriptor, `"installed"`, `"x"`, 1), "lifecycle.installed"},
		"other authority": {200, strings.Replace(descriptor, `"jwt"`, `"none"`, 1), "authentication"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := newApp(t)
			serve(a, test.status, test.body)
			_, err := fakehost.ReadDescriptor(t.Context(), nil, a.URL)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got error %v, want one that says %q", err, test.want)
			}
		})
	}
}
