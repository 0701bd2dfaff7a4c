package adaptertest

import (
	"net/http"
	"slices"
	"strings"

	"github.com/hostbond/hostbond/core"
)

var tokenFaults = []fault{
	{
		name: "the scheme in capitals only",
		spoil: func(a *adapter) {
			a.request = changed(func(_ *http.Request, request *core.Request) {
				request.Authorization = slices.DeleteFunc(slices.Clone(request.Authorization), func(value string) bool {
					return !strings.HasPrefix(value, "JWT ")
				})
			})
		},
		breaks: []string{"Token/header"},
	},
	{
		name: "an answer of the handler's own",
		spoil: func(a *adapter) {
			a.answer = func(string) string { return "hello" }
		},
		breaks: []string{"Token/header"},
	},
	{
		name: "the path alone",
		spoil: func(a *adapter) {
			a.request = onTarget(func(path, _ string) (string, string) { return path, "" })
		},
		breaks: []string{"Token/parameter"},
	},
	{
		name: "the parameter rather than the header",
		spoil: func(a *adapter) {
			a.request = changed(func(r *http.Request, request *core.Request) {
				if r.URL.Query().Has("jwt") {
					request.Authorization = nil
				}
			})
		},
		breaks: []string{"Token/two places"},
	},
	{
		name: "the first of two headers",
		spoil: func(a *adapter) {
			a.request = changed(func(r *http.Request, request *core.Request) {
				request.Authorization = []string{r.Header.Get("Authorization")}
			})
		},
		breaks: []string{"Token/two headers", "Token/other schemes"},
	},
	{
		name: "two headers joined by a comma",
		spoil: func(a *adapter) {
			a.request = changed(func(_ *http.Request, request *core.Request) {
				request.Authorization = []string{strings.Join(request.Authorization, ", ")}
			})
		},
		breaks: []string{"Token/two headers", "Token/other schemes"},
	},
	{
		name: "the last of two parameters",
		spoil: func(a *adapter) {
			a.request = onTarget(func(path, query string) (string, string) {
				if before, last, found := strings.Cut(query, "&jwt="); found && strings.Contains(last, "jwt=") {
					_, last, _ = strings.Cut(last, "jwt=")
					query = before + "&jwt=" + last
				}
				return path, query
			})
		},
		breaks: []string{"Token/two parameters"},
	},
	{
		name: "a token from a form",
		spoil: func(a *adapter) {
			a.request = changed(func(r *http.Request, request *core.Request) {
				if token := r.PostFormValue("jwt"); token != "" {
					request.Authorization = append(request.Authorization, "JWT "+token)
				}
			})
		},
		breaks: []string{"Token/nowhere else"},
	},
}
