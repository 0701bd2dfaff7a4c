package adaptertest

import (
	"net/http"
	"net/url"
	gopath "path"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/hostbond/hostbond/core"
	"github.com/hostbond/hostbond/core/fakehost"
)

var targetRules = []rule{
	{
		name:  "as sent",
		text:  stated("Where a request reaches the handler, the core has got its method and target byte for byte."),
		check: targetAsSent,
	},
	{
		name:  "site's token",
		text:  stated("A site signs the decoded path; such a request is judged as the core judges its bytes."),
		check: targetOfSite,
	},
	{
		name:  "look-alikes",
		text:  stated("A token for what a parser might make of a target is judged as the core judges the bytes sent."),
		check: targetLookAlikes,
	},
	{
		name:  "parameter last",
		text:  stated("With the token in the query of an odd target the verdict is the core's on the bytes sent."),
		check: targetParameter,
	},
	{
		name:  "HEAD",
		text:  stated("HEAD reaches a handler for any method, is verified as HEAD, and is answered without a body."),
		check: targetHEAD,
	},
}

// odd is a request on which parsers disagree. In its target {prefix} is the path below which the app is mounted, and
// {long} is longLength characters.
type odd struct{ name, method, target string }

// longLength is more than some frameworks take for a header by default, and less than a token may have.
const longLength = 6000

var plain = odd{"nothing at all", "GET", "{prefix}/echo/a/b?x=1"}

var oddities = []odd{
	plain,
	{"encoded slash", "GET", "{prefix}/echo/a%2Fb"},
	{"encoded slash in lower case", "GET", "{prefix}/echo/a%2fb"},
	{"encoded percent", "GET", "{prefix}/echo/100%25"},
	{"slash encoded twice", "GET", "{prefix}/echo/a%252Fb"},
	{"encoded question mark", "GET", "{prefix}/echo/a%3Fb=c"},
	{"encoded letter", "GET", "{prefix}/echo/%61"},
	{"encoded letter before the route", "GET", "{prefix}/%65cho/a"},
	{"encoded space", "GET", "{prefix}/echo/a%20b"},
	{"encoded NUL", "GET", "{prefix}/echo/a%00b"},
	{"escape that is none, in the path", "GET", "{prefix}/echo/%zz"},
	{"escape that is none, in the query", "GET", "{prefix}/echo/a?x=%zz&y=1"},
	{"double slash", "GET", "{prefix}/echo//a"},
	{"double slash in front", "GET", "/{prefix}/echo/a"},
	{"dot segment", "GET", "{prefix}/echo/./a"},
	{"double dot segment", "GET", "{prefix}/echo/a/../b"},
	{"encoded double dot segment", "GET", "{prefix}/echo/a/%2e%2e/b"},
	{"double dot segments out of the route", "GET", "{prefix}/echo/../nested"},
	{"double dot segments into the route", "GET", "{prefix}/other/../echo/a"},
	{"slash at the end", "GET", "{prefix}/echo/a/"},
	{"slash at the end of a route without", "GET", "{prefix}/nested/"},
	{"no slash at the end of a route with", "GET", "{prefix}/echo"},
	{"other case", "GET", "{prefix}/ECHO/a"},
	{"letters of the base path", "GET", "{prefix}er/echo/a"},
	{"base path twice", "GET", "{prefix}{prefix}/echo/a"},
	{"backslash", "GET", `{prefix}/echo/a\b`},
	{"semicolon in the path", "GET", "{prefix}/echo/a;b=c"},
	{"plus in the path", "GET", "{prefix}/echo/a+b"},
	{"brackets in the path", "GET", "{prefix}/echo/[a]"},
	{"quotes and braces in the path", "GET", "{prefix}/echo/\"<a>^`{}"},
	{"space in the path", "GET", "{prefix}/echo/a b"},
	{"raw UTF-8", "GET", "{prefix}/echo/ü?ü=☃"},
	{"raw byte that is no UTF-8", "GET", "{prefix}/echo/a?x=\xff"},
	{"semicolon in the query", "GET", "{prefix}/echo/a?x=1;y=2"},
	{"plus in the query", "GET", "{prefix}/echo/a?x=b+c"},
	{"repeated parameter", "GET", "{prefix}/echo/a?x=2&x=1&x="},
	{"empty parameters", "GET", "{prefix}/echo/a?&x&y=&=z&&"},
	{"empty query", "GET", "{prefix}/echo/a?"},
	{"second question mark", "GET", "{prefix}/echo/a?x=b?c"},
	{"brackets in the query", "GET", "{prefix}/echo/a?x[]=1&x[y]=2"},
	{"encoded name of a parameter", "GET", "{prefix}/echo/a?%78=1"},
	{"6,000 characters", "GET", "{prefix}/echo/a?x={long}"},
	{"fragment", "GET", "{prefix}/echo/a#b"},
	{"fragment after a query", "GET", "{prefix}/echo/a?x=b#c"},
	{"absolute form", "GET", "http://" + host + "{prefix}/echo/a?x=1"},
	{"absolute form of another host", "GET", "http://other.example{prefix}/echo/a"},
	{"method", "HEAD", "{prefix}/echo/a"},
	{"method", "PUT", "{prefix}/echo/a"},
	{"method", "PATCH", "{prefix}/echo/a"},
	{"method", "DELETE", "{prefix}/echo/a"},
	{"method", "OPTIONS", "{prefix}/echo/a"},
	{"method", "TRACE", "{prefix}/echo/a"},
	{"method", "PROPFIND", "{prefix}/echo/a"},
	{"method that nobody knows", "NO-SUCH", "{prefix}/echo/a"},
	{"method in lower case", "get", "{prefix}/echo/a"},
}

// below returns the request for an app that is mounted there.
func (o odd) below(prefix string) request {
	fill := strings.NewReplacer("{prefix}", prefix, "{long}", strings.Repeat("a", longLength))
	return request{method: o.method, target: fill.Replace(o.target)}
}

// Target is a request on which parsers disagree, and what became of it when it was genuine.
type Target struct {
	Name    string // what is odd about it
	Method  string
	Target  string // the request target, for an app that is mounted below /connect
	Outcome string // Reached, or how the framework answered by itself: a status, and where it redirects to
}

// Reached is the outcome of a request that reached the adapter.
const Reached = "reached"

// Targets returns what becomes of odd requests to an app that is mounted below /connect, of those that Run knows and of
// more, and checks that each one that reaches the adapter is judged by the bytes that were sent. For those that Run
// knows, mount needs no routes but /echo/ and /nested.
func Targets(t *testing.T, mount Mount, more ...Target) []Target {
	t.Helper()
	trial := open(t, mount, places[len(places)-1], targetRules[0].text)
	defer trial.close()
	site := trial.site()
	var all []Target
	for _, o := range oddities {
		r := o.below(trial.at.prefix)
		all = append(all, Target{Name: o.name, Method: r.method, Target: r.target})
	}
	all = append(all, more...)
	for n, target := range all {
		x, reached := trial.judge(site, request{method: target.Method, target: target.Target})
		all[n].Outcome = Reached
		if !reached {
			all[n].Outcome = stop(x.answer)
		}
	}
	return all
}

func stop(a answer) string {
	text := strconv.Itoa(a.status)
	if location := a.header.Get("Location"); location != "" {
		text += " to " + core.HideToken(location)
	}
	return text
}

// judge makes the request genuine, sends it, and checks that it is judged by the bytes that were sent.
func (t *trial) judge(site *fakehost.Site, r request) (x exchange, reached bool) {
	t.Helper()
	x = t.do(t.genuine(site, r.method, r.target))
	reached = t.wantVerdict(x)
	for _, v := range x.visits {
		if got := v.then.Request; got.Method != r.method || got.Target != r.target {
			t.Errorf("the core got %+q %+q, want %+q %+q", got.Method, got.Target, r.method, r.target)
		}
	}
	return x, reached
}

func targetAsSent(t *trial) {
	site := t.site()
	for _, o := range oddities {
		if x, reached := t.judge(site, o.below(t.at.prefix)); o == plain && !reached {
			t.Errorf("%v: got %s, want it to reach the handler", x.request, x)
		}
	}
}

func targetOfSite(t *trial) {
	site := t.site()
	for _, o := range oddities {
		r := o.below(t.at.prefix)
		// Relative to the base URL, as the site knows it.
		relative := o.below("").target
		r.authorization = []string{"JWT " + t.signed(site.Token(r.method, relative))}
		t.wantVerdict(t.do(r))
	}
}

func targetLookAlikes(t *trial) {
	site := t.site()
	for _, o := range oddities {
		r := o.below(t.at.prefix)
		for _, other := range lookAlikes(r) {
			r.authorization = []string{"JWT " + t.sign(site, other.method, other.target)}
			t.wantVerdict(t.do(r))
		}
	}
}

// lookAlikes returns what parsers make of a request: whoever judges one of these judges another request.
func lookAlikes(r request) []request {
	path, query, _ := strings.Cut(r.target, "?")
	var all []request
	add := func(method, target string) {
		other := request{method: method, target: target}
		if other.method == r.method && other.target == r.target || !strings.HasPrefix(target, "/") ||
			slices.ContainsFunc(all, func(o request) bool { return o.method == other.method && o.target == other.target }) {
			return
		}
		all = append(all, other)
	}
	paths := []string{path, gopath.Clean(path), strings.ToLower(path), strings.ReplaceAll(path, `\`, "/")}
	if once, err := url.PathUnescape(path); err == nil {
		paths = append(paths, once, gopath.Clean(once))
		if twice, err := url.PathUnescape(once); err == nil {
			paths = append(paths, twice)
		}
	}
	if u, err := url.Parse(r.target); err == nil {
		paths = append(paths, u.Path, u.EscapedPath())
	}
	for _, path := range paths {
		add(r.method, path+"?"+query)
	}
	// As net/url reads a query: it drops what it does not understand.
	values, _ := url.ParseQuery(query)
	add(r.method, path+"?"+values.Encode())
	add(r.method, path)
	add(http.MethodGet, r.target)
	add(strings.ToUpper(r.method), r.target)
	whole, _, _ := strings.Cut(r.target, "#")
	add(r.method, whole)
	return all
}

func targetParameter(t *trial) {
	site := t.site()
	for _, o := range oddities {
		r := o.below(t.at.prefix)
		separator := "?"
		if strings.Contains(r.target, "?") {
			separator = "&"
		}
		r.target += separator + "jwt=" + t.sign(site, r.method, r.target)
		x := t.do(r)
		t.wantVerdict(x)
		for _, v := range x.visits {
			if got := v.then.Request.Target; got != r.target {
				t.Errorf("the core got %+q, want %+q", core.HideToken(got), core.HideToken(r.target))
			}
		}
	}
}

func targetHEAD(t *trial) {
	site := t.site()
	x := t.do(t.genuine(site, http.MethodHead, t.path("/echo/a")))
	t.wantFrom(site, t.wantHandled(x))
	if x.answer.body != "" {
		t.Errorf("%v: got the body %q, want none", x.request, x.answer.body)
	}
	// A body would be taken for the answer to the next request.
	t.wantHandled(t.do(t.genuine(site, http.MethodGet, t.path("/echo/a"))))

	r := t.genuine(site, http.MethodGet, t.path("/echo/a"))
	r.method = http.MethodHead
	t.wantRefused(t.do(r), http.StatusUnauthorized, core.ReasonQueryHash)
}
