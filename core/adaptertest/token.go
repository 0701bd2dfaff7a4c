package adaptertest

import (
	"net/http"
	"strings"

	"github.com/hostbond/hostbond/core"
)

var tokenRules = []rule{
	{
		name:  "header",
		text:  stated("A token arrives in the Authorization header, whatever the case of the field's name and the scheme."),
		check: tokenHeader,
	},
	{
		name:  "parameter",
		text:  stated("A token arrives in the parameter jwt, wherever that stands in the query."),
		check: tokenParameter,
	},
	{
		name:  "two places",
		text:  stated("A token in the header and one in the query are refused, equal or not, and whichever is genuine."),
		check: tokenTwoPlaces,
	},
	{
		name:  "two headers",
		text:  stated("Two Authorization headers with a token each are refused, equal or not, and whichever is genuine."),
		check: tokenTwoHeaders,
	},
	{
		name:  "two parameters",
		text:  stated("Two parameters jwt are refused, equal or not, and however their names are encoded."),
		check: tokenTwoParameters,
	},
	{
		name:  "other schemes",
		text:  stated("An Authorization header of another scheme is no token, and hides none before or after it."),
		check: tokenOtherSchemes,
	},
	{
		name:  "nowhere else",
		text:  stated("A token in a form body, a cookie or another header is none."),
		check: tokenNowhereElse,
	},
}

func tokenHeader(t *trial) {
	site := t.site()
	target := t.path("/echo/token?x=1")
	token := t.sign(site, http.MethodGet, target)
	for _, scheme := range []string{"JWT", "jwt", "Jwt"} {
		r := request{method: http.MethodGet, target: target, authorization: []string{scheme + " " + token}}
		t.wantFrom(site, t.wantHandled(t.do(r)))
	}
	for _, name := range []string{"authorization", "AUTHORIZATION", "aUTHORIZATION"} {
		r := request{method: http.MethodGet, target: target, fields: []string{name + ": JWT " + token}}
		t.wantFrom(site, t.wantHandled(t.do(r)))
	}
}

func tokenParameter(t *trial) {
	site := t.site()
	jwt := "jwt=" + t.sign(site, http.MethodGet, t.path("/echo/token?x=1&y=2"))
	for _, query := range []string{"x=1&y=2&" + jwt, "x=1&" + jwt + "&y=2", jwt + "&x=1&y=2"} {
		r := request{method: http.MethodGet, target: t.path("/echo/token?" + query)}
		t.wantFrom(site, t.wantHandled(t.do(r)))
	}
}

func tokenTwoPlaces(t *trial) {
	site := t.site()
	target := t.path("/echo/token?x=1")
	token := t.sign(site, http.MethodGet, target)
	for _, name := range []string{"jwt", "%6Awt"} {
		for _, two := range [][2]string{{token, token}, {token, "other"}, {"other", token}} {
			t.wantRefused(t.do(request{
				method: http.MethodGet, target: target + "&" + name + "=" + two[0], authorization: []string{"JWT " + two[1]},
			}), http.StatusUnauthorized, core.ReasonTokenAmbiguous)
		}
	}
}

func tokenTwoHeaders(t *trial) {
	site := t.site()
	r := t.genuine(site, http.MethodGet, t.path("/echo/token"))
	genuine := r.authorization[0]
	for _, two := range [][]string{{genuine, genuine}, {genuine, "JWT other"}, {"JWT other", genuine}} {
		r.authorization = two
		t.wantRefused(t.do(r), http.StatusUnauthorized, core.ReasonTokenAmbiguous)
	}
}

func tokenTwoParameters(t *trial) {
	site := t.site()
	target := t.path("/echo/token?x=1")
	token := t.sign(site, http.MethodGet, target)
	for _, name := range []string{"jwt", "%6A%77%74"} {
		for _, two := range [][2]string{{token, token}, {token, "other"}, {"other", token}} {
			r := request{method: http.MethodGet, target: target + "&jwt=" + two[0] + "&" + name + "=" + two[1]}
			t.wantRefused(t.do(r), http.StatusUnauthorized, core.ReasonTokenAmbiguous)
		}
	}
}

func tokenOtherSchemes(t *trial) {
	site := t.site()
	r := t.genuine(site, http.MethodGet, t.path("/echo/token"))
	genuine := r.authorization[0]
	for _, values := range [][]string{{"Bearer other", genuine}, {genuine, "Basic b3RoZXI6"}} {
		r.authorization = values
		t.wantFrom(site, t.wantHandled(t.do(r)))
	}
	r.authorization = []string{"Bearer" + strings.TrimPrefix(genuine, "JWT")}
	t.wantRefused(t.do(r), http.StatusUnauthorized, core.ReasonTokenMissing)
}

func tokenNowhereElse(t *trial) {
	site := t.site()
	target := t.path("/echo/token")
	token := t.sign(site, http.MethodPost, target)
	for _, r := range []request{
		{fields: []string{"Content-Type: application/x-www-form-urlencoded"}, body: "jwt=" + token},
		{fields: []string{"Cookie: jwt=" + token}},
		{fields: []string{"Cookie: Authorization=JWT " + token}},
		{fields: []string{"Proxy-Authorization: JWT " + token}},
		{fields: []string{"X-Acpt: " + token, "Jwt: " + token}},
	} {
		r.method, r.target = http.MethodPost, target
		t.wantRefused(t.do(r), http.StatusUnauthorized, core.ReasonTokenMissing)
	}
}
