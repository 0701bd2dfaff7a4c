package core

import (
	"crypto/subtle"
	"errors"
	"net/url"
	"regexp"
	"strings"

	"github.com/go-json-experiment/json"
)

// payload is the body of a lifecycle callback. Members that a site leaves out, or sends as null or "", are empty;
// others than these are ignored, since Atlassian adds some now and then.
type payload struct {
	Key                             string `json:"key"`
	ClientKey                       string `json:"clientKey"`
	SharedSecret                    string `json:"sharedSecret"`
	EventType                       Event  `json:"eventType"`
	BaseURL                         string `json:"baseUrl"`
	DisplayURL                      string `json:"displayUrl"`
	DisplayURLServicedeskHelpCenter string `json:"displayUrlServicedeskHelpCenter"`
	ProductType                     string `json:"productType"`
	Description                     string `json:"description"`
	ServerVersion                   string `json:"serverVersion"`
	PluginsVersion                  string `json:"pluginsVersion"`
	ServiceEntitlementNumber        string `json:"serviceEntitlementNumber"`
	EntitlementID                   string `json:"entitlementId"`
	EntitlementNumber               string `json:"entitlementNumber"`
	OAuthClientID                   string `json:"oauthClientId"`
	CloudID                         string `json:"cloudId"`
	InstallationID                  string `json:"installationId"`
}

// readBody checks the body against the token, which is nil for an unsigned one, and adds it to the callback.
func (a *App) readBody(cb *callback, t *token, body []byte) *refusal {
	var p payload
	// JSON v2 refuses duplicate names and invalid UTF-8, and names count to the letter. Its errors may quote the
	// body, and with it the secret.
	if err := json.Unmarshal(body, &p); err != nil {
		return refuse(ReasonBody, "not the JSON object that a lifecycle callback has")
	}
	switch {
	// The token speaks for one tenant; the body must not speak for another.
	case t != nil && subtle.ConstantTimeCompare([]byte(p.ClientKey), []byte(t.claims.issuer)) != 1:
		return refuse(ReasonClientKey, "the body's clientKey is not the token's issuer")
	case !validClientKey(p.ClientKey):
		return refuse(ReasonBody, "clientKey is missing or no client key")
	case p.Key != a.config.AppKey:
		return refuse(ReasonAppKey, "the body's key is not this app's")
	// An uninstalled body on the installed route would wipe the site's data, and the other way round.
	case p.EventType != cb.event:
		return refuse(ReasonEventType, "the body's eventType is not the event of this route")
	}
	cb.key = Key{AppKey: a.config.AppKey, ClientKey: p.ClientKey}
	if cb.event != EventInstalled {
		return nil
	}
	if err := checkSiteURL(p.BaseURL, a.config.AllowedHosts); err != nil {
		return refuse(ReasonBaseURL, err.Error())
	}
	if p.SharedSecret != "" {
		secret, err := NewSecret(p.SharedSecret)
		if err != nil || strings.TrimSpace(p.SharedSecret) == "" {
			return refuse(ReasonSecretInvalid, "sharedSecret is blank, or not of 16 to 4096 bytes")
		}
		cb.secret = secret
	}
	cb.site = p.site()
	// Not every database can hold a NUL.
	for _, field := range cb.site.fields() {
		if strings.ContainsRune(*field, 0) {
			return refuse(ReasonBody, "a NUL character in a member")
		}
	}
	return nil
}

func (p *payload) site() Site {
	return Site{
		BaseURL:                         p.BaseURL,
		DisplayURL:                      p.DisplayURL,
		DisplayURLServicedeskHelpCenter: p.DisplayURLServicedeskHelpCenter,
		ProductType:                     p.ProductType,
		Description:                     p.Description,
		ServerVersion:                   p.ServerVersion,
		PluginsVersion:                  p.PluginsVersion,
		ServiceEntitlementNumber:        p.ServiceEntitlementNumber,
		EntitlementID:                   p.EntitlementID,
		EntitlementNumber:               p.EntitlementNumber,
		OAuthClientID:                   p.OAuthClientID,
		CloudID:                         p.CloudID,
		InstallationID:                  p.InstallationID,
	}
}

// hostName is ASCII without punctuation: in what else net/url lets pass, parsers find different hosts, and a header that
// an app builds of the host, more than one value.
var hostName = regexp.MustCompile(`^[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*$`)

// checkSiteURL lets only base URLs through that the app may one day send a signed call to: https, at a host that is,
// or lies under, an allowed one. Its errors do not quote the URL.
func checkSiteURL(raw string, allowedHosts []string) error {
	if raw == "" {
		return errors.New("baseUrl is missing")
	}
	u, err := url.Parse(raw)
	switch {
	case err != nil || len(raw) > 2048:
		return errors.New("baseUrl is no URL")
	case u.Scheme != "https":
		return errors.New("baseUrl is not https")
	case u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || strings.Contains(raw, "#"):
		return errors.New("baseUrl has more than a host and a path")
	case !hostName.MatchString(u.Host):
		return errors.New("baseUrl has a host that is no plain name")
	}
	host := strings.ToLower(u.Host)
	for _, allowed := range allowedHosts {
		if host == allowed || strings.HasSuffix(host, "."+allowed) {
			return nil
		}
	}
	return errors.New("baseUrl is at a host that is not allowed")
}
