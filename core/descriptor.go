package core

import (
	"errors"
	"fmt"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Descriptor is what the app says of itself, for its atlassian-connect.json: either in these fields, or as JSON.
// What the library knows itself it fills in: key, baseUrl, authentication, lifecycle and apiMigrations. Where JSON
// has them too, they must agree with the configuration, or New returns an error.
type Descriptor struct {
	Name        string         `json:"name,omitzero"` // default: the app key
	Description string         `json:"description,omitzero"`
	Vendor      Vendor         `json:"vendor,omitzero"`
	Scopes      []string       `json:"scopes,omitzero"`          // as "READ", "WRITE", "ACT_AS_USER"
	Licensing   bool           `json:"enableLicensing,omitzero"` // for paid apps
	Modules     map[string]any `json:"modules,omitzero"`         // the app's pages, panels and webhooks, as in Atlassian's reference

	// JSON is the app's own descriptor. The fields above must then be zero.
	JSON []byte `json:"-"`

	// Omit serves no descriptor: the app is on Forge, or serves one of its own.
	Omit bool `json:"-"`
}

// Vendor is who makes the app.
type Vendor struct {
	Name string `json:"name,omitzero"`
	URL  string `json:"url,omitzero"`
}

// document is the descriptor as served. Members that are not named here are kept as they are.
type document struct {
	Key            string                    `json:"key"`
	Name           string                    `json:"name"`
	BaseURL        string                    `json:"baseUrl"`
	Authentication authentication            `json:"authentication"`
	Lifecycle      map[Event]string          `json:"lifecycle"`
	APIMigrations  map[string]bool           `json:"apiMigrations"`
	Others         map[string]jsontext.Value `json:",embed"`
}

type authentication struct {
	Type   string                    `json:"type"`
	Others map[string]jsontext.Value `json:",embed"`
}

// build returns the descriptor to serve, or nil if there is none. Its errors name the field.
func (d Descriptor) build(c Config) ([]byte, error) {
	if d.Omit {
		return nil, nil
	}
	data, err := json.Marshal(d, json.Deterministic(true))
	if err != nil {
		return nil, fmt.Errorf("Descriptor: %w", err)
	}
	if d.JSON != nil {
		if string(data) != "{}" {
			return nil, errors.New("Descriptor: has both JSON and other fields")
		}
		data = d.JSON
	}
	var doc document
	if err := json.Unmarshal(data, &doc); err != nil {
		return nil, fmt.Errorf("Descriptor.JSON: %w", err)
	}
	var errs []error
	setDefault(&doc.Name, c.AppKey)
	errs = append(errs,
		agree("key", &doc.Key, c.AppKey),
		agree("authentication.type", &doc.Authentication.Type, "jwt"))
	doc.BaseURL = trimSlash(doc.BaseURL)
	errs = append(errs, agree("baseUrl", &doc.BaseURL, c.BaseURL))

	if doc.Lifecycle == nil {
		doc.Lifecycle = map[Event]string{}
	}
	for event, path := range c.Paths.lifecycle() {
		stated := doc.Lifecycle[event]
		errs = append(errs, agree("lifecycle."+string(event), &stated, path))
		doc.Lifecycle[event] = stated
	}
	if doc.APIMigrations == nil {
		doc.APIMigrations = map[string]bool{}
	}
	// A site signs with RS256 only for a descriptor that asks for it, and puts context-qsh into its tokens likewise.
	errs = append(errs,
		c.migrate(doc.APIMigrations, "signed-install", !c.SymmetricInstalls),
		c.migrate(doc.APIMigrations, "context-qsh", true),
		c.migrate(doc.APIMigrations, "gdpr", true))
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return json.Marshal(&doc, json.Deterministic(true), jsontext.WithIndent("  "))
}

// agree fills in what the descriptor does not state, and refuses what it states otherwise.
func agree(field string, stated *string, configured string) error {
	if *stated != "" && *stated != configured {
		return fmt.Errorf("Descriptor.JSON: %s is %q, but the configuration says %q", field, *stated, configured)
	}
	*stated = configured
	return nil
}

// migrate opts in to an API migration that this library relies on.
func (c Config) migrate(migrations map[string]bool, name string, wanted bool) error {
	stated, ok := migrations[name]
	switch {
	case !ok && wanted:
		migrations[name] = true
	case ok && !stated && wanted:
		return fmt.Errorf("Descriptor.JSON: apiMigrations.%s is false; this library needs it to be true", name)
	}
	return nil
}

// lifecycle returns the path of each event.
func (p Paths) lifecycle() map[Event]string {
	return map[Event]string{
		EventInstalled:   p.Installed,
		EventUninstalled: p.Uninstalled,
		EventEnabled:     p.Enabled,
		EventDisabled:    p.Disabled,
	}
}
