package exampleapp

import (
	"bytes"
	_ "embed"
	"html/template"
	"net/url"

	"github.com/hostbond/hostbond/core"
)

//go:embed panel.html
var panelHTML string

var panelTemplate = template.Must(template.New("panel").Parse(panelHTML))

// Panel returns the page that a site shows in an iframe, and sets the header fields that belong to it.
func Panel(p *core.Principal, setHeader func(name, value string)) []byte {
	site := p.Installation().Site
	// Only the site itself may show the page. What the browser says of the site, as in xdm_e, anybody could say.
	setHeader("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; "+
		"script-src https://connect-cdn.atl-paas.net; frame-ancestors "+origin(site.BaseURL))
	// The page's URL has a token in it.
	setHeader("Referrer-Policy", "no-referrer")
	setHeader("Cache-Control", "no-store")
	setHeader("X-Content-Type-Options", "nosniff")

	var page bytes.Buffer
	_ = panelTemplate.Execute(&page, map[string]any{ // a Buffer never fails, and the template is tested
		"Site":    site.BaseURL,
		"Account": p.AccountID,
		"Kind":    p.Kind,
		"Secret":  p.Fingerprint.Short(),
	})
	return page.Bytes()
}

// origin returns the origin of a site's base URL, which for Confluence has a path, or 'none'.
func origin(baseURL string) string {
	u, err := url.Parse(baseURL)
	if err != nil || u.Host == "" {
		return "'none'"
	}
	return u.Scheme + "://" + u.Host
}
