package fakehost

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
)

// Event is a lifecycle callback.
type Event string

// The lifecycle callbacks.
const (
	Installed   Event = "installed" // also for an update, a rotation and a rename
	Uninstalled Event = "uninstalled"
	Enabled     Event = "enabled"
	Disabled    Event = "disabled"
)

// Descriptor is what a site knows of an app, from the app's atlassian-connect.json.
type Descriptor struct {
	// Key is the app key. Required.
	Key string

	// BaseURL is the app's own base URL, byte by byte the audience of signed callbacks. Default: Config.AppURL.
	BaseURL string

	// Lifecycle holds the path of each callback, relative to the base URL. It may have a query. An event without a
	// path is not called. Default, of a nil map: "/installed", "/uninstalled", "/enabled" and "/disabled".
	Lifecycle map[Event]string

	// Symmetric says that the app does not ask for signed installs. Its installed and uninstalled callbacks are then
	// signed with the shared secret, as all were before October 2021 and those of Bitbucket still are.
	Symmetric bool
}

// maxDescriptorBytes is far beyond any real descriptor.
const maxDescriptorBytes = 1 << 20

// ReadDescriptor reads the descriptor at url, usually the base URL and "/atlassian-connect.json". A nil client is one
// with the time-outs of a site. A descriptor that a site would refuse to install is an error: no key, no installed
// callback, or another authentication than "jwt".
func ReadDescriptor(ctx context.Context, client *http.Client, url string) (Descriptor, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return Descriptor{}, fmt.Errorf("fakehost: descriptor: %w", err)
	}
	if client == nil {
		client = siteClient
	}
	response, err := client.Do(request)
	if err != nil {
		return Descriptor{}, fmt.Errorf("fakehost: descriptor: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return Descriptor{}, fmt.Errorf("fakehost: descriptor: status %d", response.StatusCode)
	}
	return parseDescriptor(io.LimitReader(response.Body, maxDescriptorBytes))
}

func parseDescriptor(r io.Reader) (Descriptor, error) {
	var file struct {
		Key            string           `json:"key"`
		BaseURL        string           `json:"baseUrl"`
		Lifecycle      map[Event]string `json:"lifecycle"`
		Authentication struct {
			Type string `json:"type"`
		} `json:"authentication"`
		APIMigrations struct {
			SignedInstall bool `json:"signed-install"`
		} `json:"apiMigrations"`
	}
	if json.NewDecoder(r).Decode(&file) != nil { // the decoder's words may quote the file
		return Descriptor{}, errors.New("fakehost: descriptor: not the JSON of a descriptor")
	}
	switch {
	case file.Key == "":
		return Descriptor{}, errors.New("fakehost: descriptor: no key")
	case file.BaseURL == "":
		return Descriptor{}, errors.New("fakehost: descriptor: no baseUrl")
	case file.Authentication.Type != "jwt":
		return Descriptor{}, errors.New("fakehost: descriptor: authentication is not of type jwt")
	case file.Lifecycle[Installed] == "":
		return Descriptor{}, errors.New("fakehost: descriptor: no lifecycle.installed")
	}
	return Descriptor{
		Key:       file.Key,
		BaseURL:   file.BaseURL,
		Lifecycle: file.Lifecycle,
		Symmetric: !file.APIMigrations.SignedInstall,
	}, nil
}

// complete returns d with its defaults, sharing no memory with it, or why a site could not install it.
func (d Descriptor) complete(appURL string, keys *Keys) (Descriptor, error) {
	switch {
	case d.Key == "":
		return d, errors.New("fakehost: App.Key is missing")
	case !d.Symmetric && keys == nil:
		return d, errors.New("fakehost: Keys is missing, and App is not Symmetric")
	case d.Lifecycle != nil && d.Lifecycle[Installed] == "":
		return d, errors.New("fakehost: App.Lifecycle has no path for installed, so the app would learn no secret")
	}
	if d.BaseURL == "" {
		d.BaseURL = appURL
	}
	if d.Lifecycle == nil {
		d.Lifecycle = map[Event]string{
			Installed: "/installed", Uninstalled: "/uninstalled", Enabled: "/enabled", Disabled: "/disabled",
		}
	}
	d.Lifecycle = maps.Clone(d.Lifecycle)
	return d, nil
}
