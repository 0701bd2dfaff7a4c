package adaptertest

import (
	"net/http"
	"net/url"
	gopath "path"

	"github.com/hostbond/hostbond/core"
)

// decode returns the decoded path, or the path itself if it has a bad escape.
func decode(path string) string {
	if decoded, err := url.PathUnescape(path); err == nil {
		return decoded
	}
	return path
}

var targetFaults = []fault{
	{
		name: "a decoded path",
		spoil: func(a *adapter) {
			a.request = onTarget(func(path, query string) (string, string) { return decode(path), query })
		},
		breaks: []string{"Target/as sent", "Target/look-alikes"},
	},
	{
		name: "a path decoded twice",
		spoil: func(a *adapter) {
			a.request = onTarget(func(path, query string) (string, string) { return decode(decode(path)), query })
		},
		breaks: []string{"Target/as sent", "Target/site's token"},
	},
	{
		name: "a cleaned path",
		spoil: func(a *adapter) {
			a.request = onTarget(func(path, query string) (string, string) { return gopath.Clean(decode(path)), query })
		},
		breaks: []string{"Target/as sent", "Target/look-alikes"},
	},
	{
		name: "a query as net/url understands it",
		spoil: func(a *adapter) {
			a.request = onTarget(func(path, query string) (string, string) {
				values, _ := url.ParseQuery(query)
				return path, values.Encode()
			})
		},
		breaks: []string{"Target/as sent", "Target/look-alikes", "Target/parameter last"},
	},
	{
		name: "the target without scheme and host",
		spoil: func(a *adapter) {
			a.request = changed(func(r *http.Request, request *core.Request) { request.Target = r.URL.RequestURI() })
		},
		breaks: []string{"Target/as sent"},
	},
	{
		name: "HEAD as GET",
		spoil: func(a *adapter) {
			a.request = changed(func(r *http.Request, request *core.Request) {
				if r.Method == http.MethodHead {
					request.Method = http.MethodGet
				}
			})
		},
		breaks: []string{"Target/as sent", "Target/HEAD", "Target/look-alikes"},
	},
}
