package qsh_test

import (
	"encoding/base64"
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/hostbond/hostbond/core/internal/vectors"
	"github.com/hostbond/hostbond/core/qsh"
)

// vector is a request with the canonical request and the hash that others computed.
type vector struct {
	name                     string
	method, target, basePath string
	canonical, hash          string
}

// TestVectors holds the package against Atlassian's signed URLs and against what Atlassian's own implementation made of
// requests, written by hand and at random.
func TestVectors(t *testing.T) {
	t.Parallel()
	for _, v := range allVectors(t) {
		if got := qsh.Canonical(v.method, v.target, v.basePath); got != v.canonical {
			t.Errorf("%s: Canonical(%q, %q, %q)\n got %q\nwant %q", v.name, v.method, v.target, v.basePath, got, v.canonical)
		}
		if got := qsh.Hash(v.method, v.target, v.basePath); got != v.hash {
			t.Errorf("%s: Hash: got %s, want %s", v.name, got, v.hash)
		}
		if !qsh.Match(v.hash, v.method, v.target, v.basePath) {
			t.Errorf("%s: Match: got false, want true", v.name)
		}
		if m := qsh.Diagnose(v.hash, v.method, v.target, v.basePath); m.Canonical != v.canonical || m.NearMiss != "" {
			t.Errorf("%s: Diagnose: got %+v, want the canonical request and no near miss", v.name, m)
		}
	}
}

// TestVectorsInOtherPlaces sends every vector to a host, in absolute form, and mounts it below a base path.
func TestVectorsInOtherPlaces(t *testing.T) {
	t.Parallel()
	for _, v := range allVectors(t) {
		for _, place := range []struct{ target, basePath string }{
			{"https://example.com" + v.target, v.basePath},
			{"/connect/v1" + strings.TrimPrefix(v.target, v.basePath), "/connect/v1"},
			{"/connect/v1" + strings.TrimPrefix(v.target, v.basePath), "/connect/v1/"},
		} {
			if got := qsh.Canonical(v.method, place.target, place.basePath); got != v.canonical {
				t.Errorf("%s: Canonical(%q, %q, %q)\n got %q\nwant %q",
					v.name, v.method, place.target, place.basePath, got, v.canonical)
			}
		}
	}
}

// TestChangedRequestsNeverMatch changes each vector in each way that an attacker who holds the token could try.
func TestChangedRequestsNeverMatch(t *testing.T) {
	t.Parallel()
	for _, v := range allVectors(t) {
		path, query, _ := strings.Cut(v.target, "?")
		refuse := func(change, method, target string) {
			if qsh.Match(v.hash, method, target, v.basePath) {
				t.Errorf("%s, %s: Match(Hash(%q), %q, %q): got true, want false", v.name, change, v.target, method, target)
			}
		}
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "DELETE", ""} {
			if method != strings.ToUpper(v.method) {
				refuse("another method", method, v.target)
			}
		}
		refuse("a longer path", v.method, strings.TrimSuffix(path, "/")+"/x?"+query)
		refuse("three slashes more", v.method, path+"///?"+query)
		refuse("a parameter more", v.method, v.target+"&x-new=1")
		refuse("an empty parameter more", v.method, v.target+"&=")
		refuse("the query in the path", v.method, path+"%3F"+query)

		params := slices.DeleteFunc(strings.Split(query, "&"), func(param string) bool {
			return param == "" || strings.HasPrefix(param, "jwt=")
		})
		for i, param := range params {
			instead := func(changed ...string) string {
				return path + "?" + strings.Join(slices.Concat(params[:i], changed, params[i+1:]), "&")
			}
			name, value, _ := strings.Cut(param, "=")
			refuse("a parameter less", v.method, instead())
			refuse("a parameter twice", v.method, instead(param, param))
			refuse("a longer name", v.method, instead(name+"x="+value))
			refuse("a longer value", v.method, instead(name+"="+value+"x"))
			refuse("a value with a comma", v.method, instead(name+"="+value+",x"))
			refuse("a parameter renamed to jwt", v.method, instead("jwt="+value))
			refuse("a value with an ampersand", v.method, instead(param+"%26"))
		}
		if len(params) > 0 {
			rest := "?" + strings.Join(params[1:], "&")
			refuse("a parameter in the path, after &", v.method, path+"&"+params[0]+rest)
			refuse("a parameter in the path, after %26", v.method, path+"%26"+params[0]+rest)
		}
		if len(params) > 1 {
			refuse("two parameters in one", v.method, path+"?"+strings.Join(params, "%26"))
		}
	}
}

// TestImplementationsDisagree says whom this package follows: the Java implementation of the sites, in everything but
// the path, where it also accepts what others sign.
func TestImplementationsDisagree(t *testing.T) {
	t.Parallel()
	corpus := vectors.Load[struct {
		Note  string `json:"note"`
		Tests []struct {
			Name                 string `json:"name"`
			RawQuery             string `json:"rawQuery"`
			Path                 string `json:"path"`
			URL                  string `json:"url"`
			Java                 string `json:"java"`
			JavaProductCanonical string `json:"java_product_canonical"`
			ACE                  string `json:"ace"`
			ACECanonical         string `json:"ace_canonical"`
			PHP                  string `json:"php_bitbucket_doc"`
			PycontribsJira       string `json:"pycontribs"`
			Recommend            string `json:"recommend"`
		} `json:"tests"`
	}](t, "qsh-conflicts.json")

	for _, test := range corpus.Tests {
		t.Run(test.Name, func(t *testing.T) {
			t.Parallel()
			var target, canonical string
			var accepted, refused []string
			switch {
			case test.RawQuery != "":
				target, canonical = "/?"+test.RawQuery, "GET&/&"+test.Java
				accepted = []string{canonical}
				for _, query := range []string{test.ACE, test.PHP} {
					if query != "" && query != test.Java {
						refused = append(refused, "GET&/&"+query)
					}
				}
			case test.Path != "":
				target, canonical = test.Path, test.ACECanonical
				accepted = []string{test.ACECanonical, test.JavaProductCanonical}
			case test.URL != "":
				target, canonical = test.URL, test.Java
				accepted, refused = []string{test.Java}, []string{test.PycontribsJira}
			default:
				t.Fatalf("no request in %+v", test)
			}

			if got := qsh.Canonical("GET", target, ""); got != canonical {
				t.Errorf("Canonical: got %q, want %q", got, canonical)
			}
			for _, canonical := range accepted {
				if !qsh.Match(sha256Hex(canonical), "GET", target, "") {
					t.Errorf("Match of %q: got false, want true", canonical)
				}
			}
			for _, canonical := range refused {
				if qsh.Match(sha256Hex(canonical), "GET", target, "") {
					t.Errorf("Match of %q: got true, want false", canonical)
				}
			}
		})
	}
}

func allVectors(tb testing.TB) []vector {
	tb.Helper()
	return slices.Concat(signedURLs(tb), handwritten(tb), random(tb))
}

// signedURLs are Atlassian's vectors for interoperability. The hash is in the token.
func signedURLs(tb testing.TB) (all []vector) {
	tb.Helper()
	corpus := vectors.Load[struct {
		Secret  string `json:"secret"`
		Comment any    `json:"comment"`
		Tests   []struct {
			Name         string `json:"name"`
			CanonicalURL string `json:"canonicalUrl"`
			SignedURL    string `json:"signedUrl"`
		} `json:"tests"`
	}](tb, "qsh-signed-urls.json")
	for _, test := range corpus.Tests {
		target := strings.TrimPrefix(test.SignedURL, "https://example.com")
		_, token, found := strings.Cut(target, "jwt=")
		if !found {
			tb.Fatalf("%s: no token in %s", test.Name, test.SignedURL)
		}
		var claims struct {
			QSH string `json:"qsh"`
		}
		claimsJSON, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
		if err != nil {
			tb.Fatalf("%s: %v", test.Name, err)
		}
		if err := json.Unmarshal(claimsJSON, &claims); err != nil {
			tb.Fatalf("%s: %v", test.Name, err)
		}
		all = append(all, vector{"signed URL, " + test.Name, "GET", target, "", test.CanonicalURL, claims.QSH})
	}
	return all
}

// handwritten are the cases of Atlassian's unit tests. Their parameters are decoded, so a query is made of them here.
func handwritten(tb testing.TB) (all []vector) {
	tb.Helper()
	corpus := vectors.Load[struct {
		Source string `json:"source"`
		Note   string `json:"note"`
		Tests  []struct {
			Name        string     `json:"name"`
			Method      string     `json:"method"`
			Path        string     `json:"path"`
			ContextPath string     `json:"contextPath"`
			Params      url.Values `json:"params"`
			Canonical   string     `json:"canonical"`
			QSH         string     `json:"qsh"`
		} `json:"tests"`
	}](tb, "qsh-canonical.json")
	for _, test := range corpus.Tests {
		target := test.Path + "?" + test.Params.Encode()
		all = append(all, vector{"handwritten, " + test.Name, test.Method, target, test.ContextPath, test.Canonical, test.QSH})
	}
	return all
}

// random are requests made at random, with what Atlassian's Java implementation makes of them.
func random(tb testing.TB) (all []vector) {
	tb.Helper()
	for _, test := range vectors.Lines[struct {
		ID          json.Number `json:"id"`
		Kind        string      `json:"kind"`
		Method      string      `json:"method"`
		Path        string      `json:"path"`
		ContextPath string      `json:"contextPath"`
		RawQuery    string      `json:"rawQuery"`
		Canonical   string      `json:"canonical"`
		QSH         string      `json:"qsh"`
	}](tb, "qsh-random.jsonl") {
		all = append(all, vector{
			"random, " + test.ID.String(),
			test.Method, test.Path + "?" + test.RawQuery, test.ContextPath,
			test.Canonical, test.QSH,
		})
	}
	return all
}
