package qsh_test

import (
	"strings"
	"testing"

	"github.com/hostbond/hostbond/core/qsh"
)

// The hashes of this table were computed with the implementations of others.
func TestWorkedValues(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		rule                     string
		method, target, basePath string
		canonical                string
		hash                     string
	}{
		{
			rule:   "the example of the documentation",
			method: "GET", target: "/path/to/service?zee_last=param&repeated=parameter%201&first=param&repeated=parameter%202",
			canonical: "GET&/path/to/service&first=param&repeated=parameter%201,parameter%202&zee_last=param",
			hash:      "e52bb281606c3bd9ca16cfe96fe2df78f5d9ffa126f06befd750dfa10fa1a897",
		}, {
			rule:   "the root",
			method: "GET", target: "/",
			canonical: "GET&/&",
			hash:      "c88caad15a1c1a900b8ac08aa9686f4e8184539bea1deda36e2f649430df3239",
		}, {
			rule:   "an empty path is the root",
			method: "GET", target: "",
			canonical: "GET&/&",
			hash:      "c88caad15a1c1a900b8ac08aa9686f4e8184539bea1deda36e2f649430df3239",
		}, {
			rule:   "a callback",
			method: "POST", target: "/installed",
			canonical: "POST&/installed&",
			hash:      "4a2e1de8ca74e6cafe8862d332fa3ac7a8e51e692bc6d798ea4dfedc14948bf4",
		}, {
			rule:   "a callback below a base path",
			method: "POST", target: "/connect/v1/installed", basePath: "/connect/v1",
			canonical: "POST&/installed&",
			hash:      "4a2e1de8ca74e6cafe8862d332fa3ac7a8e51e692bc6d798ea4dfedc14948bf4",
		}, {
			rule:   "a base path may end with a slash",
			method: "POST", target: "/connect/v1/installed", basePath: "/connect/v1/",
			canonical: "POST&/installed&",
			hash:      "4a2e1de8ca74e6cafe8862d332fa3ac7a8e51e692bc6d798ea4dfedc14948bf4",
		}, {
			rule:   "another callback",
			method: "POST", target: "/uninstalled",
			canonical: "POST&/uninstalled&",
			hash:      "8a8d06f040b246544d605b08aeb419e30b5cf0e200f512888486585ecce6a52e",
		}, {
			rule:   "a callback with the user key that sites used to append",
			method: "POST", target: "/installed?user_key=admin",
			canonical: "POST&/installed&user_key=admin",
			hash:      "4ca63d01ffaa235e9fa8120df4f05e94102cad01d9cfb0c9653ca583543556c9",
		}, {
			rule:   "a call to a site below its context path",
			method: "GET", target: "/wiki/rest/api/content?expand=space", basePath: "/wiki",
			canonical: "GET&/rest/api/content&expand=space",
			hash:      "8adb44ab98503bdebe378db7096eeef722da487b08969d317d7fda7cb8610687",
		}, {
			rule:   "no base path, nothing to strip",
			method: "GET", target: "/wiki/rest/api/content?expand=space",
			canonical: "GET&/wiki/rest/api/content&expand=space",
			hash:      "596a44d7a07471bababfd736ef1c4122033c1137c813f0624ac9b385fbb00105",
		}, {
			rule:   "only unreserved characters stand for themselves",
			method: "GET", target: "/rest/api/3/search?jql=project%20%3D%20%22A%26B%22+AND+x~y*",
			canonical: "GET&/rest/api/3/search&jql=project%20%3D%20%22A%26B%22%20AND%20x~y%2A",
			hash:      "407c33cf880f1835a1e6b8774bc54e0cc1e1ab5b23eaab3a6cb2cc23bc616534",
		}, {
			rule:   "an ampersand in the path is escaped",
			method: "GET", target: "/rest/api/2/project&a=b?x=y",
			canonical: "GET&/rest/api/2/project%26a=b&x=y",
			hash:      "eb335967e5d70cd1ba18f54b0b8338577ce20eeb331cbdcd2b6d12737cdc51cb",
		}, {
			rule:   "so that it is not taken for one of the query",
			method: "GET", target: "/rest/api/2/project?a=b&x=y",
			canonical: "GET&/rest/api/2/project&a=b&x=y",
			hash:      "418c018fef1efaac96ad24457f88f58a4c536f251c475d2c36b222777b3335e7",
		}, {
			rule:   "one slash at the end is removed, a second one stays",
			method: "GET", target: "/some/path//",
			canonical: "GET&/some/path/&",
			hash:      "91a0f524c099a4463ee12201dc246ea3b522113d10a4bd8a50d4de8eb9a44161",
		}, {
			rule:   "slashes are not collapsed",
			method: "GET", target: "/some//path/",
			canonical: "GET&/some//path&",
			hash:      "94f4e9276535150a76176c74b84e5366ff03fbeaa275ba6fd6df10cfbb2999c9",
		}, {
			rule:   "values of a repeated name are sorted",
			method: "GET", target: "/t?k=b&k=a",
			canonical: "GET&/t&k=a,b",
			hash:      "3ffd28fbb852e6daf7d53fa0c9a0fbb61e306191fab83b735ea4b8b98f50e44b",
		}, {
			rule:   "a comma in a value is escaped",
			method: "GET", target: "/t?k=a,b",
			canonical: "GET&/t&k=a%2Cb",
			hash:      "55024e583716dfa99d3d95e4431d0141a880b25e746fe2be7fdc1292738542be",
		}, {
			rule:   "a parameter without a value",
			method: "GET", target: "/t?flag",
			canonical: "GET&/t&flag=",
			hash:      "059033fc31adf43a6935613e065fbd339cc9efb94daf040d1460a721f2fa6d4c",
		}, {
			rule:   "is one with the empty value",
			method: "GET", target: "/t?flag=",
			canonical: "GET&/t&flag=",
			hash:      "059033fc31adf43a6935613e065fbd339cc9efb94daf040d1460a721f2fa6d4c",
		}, {
			rule:   "names are sorted by their encoded form",
			method: "GET", target: "/t?a%3A=1&a0=2",
			canonical: "GET&/t&a%3A=1&a0=2",
			hash:      "fe6398ac092ab51dae767f3685ee45f67062f7fffcf3c92e12c9dca5a0c85427",
		}, {
			rule:   "values are sorted before they are encoded",
			method: "GET", target: "/test?ids=:1&ids=.2&ids=:2&ids=.1",
			canonical: "GET&/test&ids=.1,.2,%3A1,%3A2",
			hash:      "f0524d42e0f8661862e1f1e9add8757972a0043bb7136d641735d21874c5a056",
		}, {
			rule:   "and by UTF-16 code units",
			method: "GET", target: "/t?k=%EF%BC%A1&k=%F0%9F%98%80",
			canonical: "GET&/t&k=%F0%9F%98%80,%EF%BC%A1",
			hash:      "45651d788ca905f62288c0919d7f0607db68adee34670c5b8ed7d1b782000707",
		}, {
			rule:   "the path is taken as it stands",
			method: "POST", target: "/hook/http%3A%2F%2Fabc.com",
			canonical: "POST&/hook/http%3A%2F%2Fabc.com&",
			hash:      "fb2f063b6b32f914e9ff940789e6050363249210175e8381e919fd6c4bca3622",
		},
	} {
		t.Run(test.rule, func(t *testing.T) {
			t.Parallel()
			if got := qsh.Canonical(test.method, test.target, test.basePath); got != test.canonical {
				t.Errorf("Canonical: got %q, want %q", got, test.canonical)
			}
			if got := qsh.Hash(test.method, test.target, test.basePath); got != test.hash {
				t.Errorf("Hash: got %s, want %s", got, test.hash)
			}
			if !qsh.Match(test.hash, test.method, test.target, test.basePath) {
				t.Error("Match: got false, want true")
			}
		})
	}
}

func TestCanonical(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ rule, method, target, basePath, want string }{
		{"the method is in upper case", "patch", "/", "", "PATCH&/&"},
		{"a method is ASCII", "poſt", "/", "", "POſT&/&"},

		{"a path gets a slash in front", "GET", "a", "", "GET&/a&"},
		{"even one of no path at all", "OPTIONS", "*", "", "OPTIONS&/*&"},
		{"of two slashes one stays", "GET", "//", "", "GET&/&"},
		{"two slashes in front are no host", "GET", "//host/a", "", "GET&//host/a&"},
		{"the host of an absolute form is dropped", "GET", "https://host:8080/a/b/?x=1", "/a", "GET&/b&x=1"},
		{"its path may be empty", "GET", "HTTP://host", "", "GET&/&"},
		{"its query may follow the host", "GET", "https://host?x=/y", "", "GET&/&x=%2Fy"},
		{"only http and https have a host", "GET", "x://host/a", "", "GET&/x://host/a&"},
		{"a path may look like a scheme", "GET", "https", "", "GET&/https&"},
		{"a query may look like a URL", "GET", "/a?u=https://host/b?c", "", "GET&/a&u=https%3A%2F%2Fhost%2Fb%3Fc"},
		{"dot segments stay", "GET", "/a/../b/./c", "", "GET&/a/../b/./c&"},
		{"a plus in a path is a plus", "GET", "/a+b", "", "GET&/a+b&"},
		{"a target has no fragment", "GET", "/a#b?c=#d", "", "GET&/a#b&c=%23d"},

		{"a base path of one slash is none", "GET", "/a", "/", "GET&/a&"},
		{"a target may be the base path", "GET", "/app", "/app", "GET&/&"},
		{"with a slash", "GET", "/app/", "/app", "GET&/&"},
		{"a base path ends at a segment boundary", "POST", "/installer/installed", "/install", "POST&/installer/installed&"},
		{"a base path is stripped once", "GET", "/app/app/a", "/app", "GET&/app/a&"},
		{"a target without the base path is used whole", "GET", "/a", "/app", "GET&/a&"},
		{"a base path has the case that it has", "GET", "/App/a", "/app", "GET&/App/a&"},
		{"a base path is not decoded", "GET", "/my%20app/a", "/my%20app", "GET&/a&"},

		{"an empty query", "GET", "/a?", "", "GET&/a&"},
		{"empty text between ampersands is no parameter", "GET", "/a?&&x=1&&", "", "GET&/a&x=1"},
		{"a name may be empty", "GET", "/a?=1&=", "", "GET&/a&=,1"},
		{"a value may hold an equals sign", "GET", "/a?x=1=2", "", "GET&/a&x=1%3D2"},
		{"a value may hold a question mark", "GET", "/a?x=?", "", "GET&/a&x=%3F"},
		{"a semicolon separates nothing", "GET", "/a?a=1;b=2&c=3", "", "GET&/a&a=1%3Bb%3D2&c=3"},
		{"names are equal when decoded", "GET", "/a?a+b=2&%61%20b=1", "", "GET&/a&a%20b=1,2"},
		{"names have the case that they have", "GET", "/a?b=1&B=2&a=3&A=4", "", "GET&/a&A=4&B=2&a=3&b=1"},
		{"a name comes before its continuations", "GET", "/a?a10=1&a1=2&a=3&a%20=4", "", "GET&/a&a=3&a%20=4&a1=2&a10=1"},
		{"equal values are all kept", "GET", "/a?x=1&x=1", "", "GET&/a&x=1,1"},
		{"hex is in upper case", "GET", "/a?x=%e2%82%ac", "", "GET&/a&x=%E2%82%AC"},
		{"a needless escape is resolved", "GET", "/a?%78=%7E%2d%41", "", "GET&/a&x=~-A"},
		{"characters that are not escaped get escaped", "GET", "/a?x=€", "", "GET&/a&x=%E2%82%AC"},

		{"an escape that is none is literal", "GET", "/a?x=%zz&y=%&z=%4", "", "GET&/a&x=%25zz&y=%25&z=%254"},
		{"and the text after it is read on", "GET", "/a?x=%%41&y=%4%41&z=%+1", "", "GET&/a&x=%25A&y=%254A&z=%25%201"},
		{"octets that are no UTF-8 stay", "GET", "/a?x=%ff%00\x80", "", "GET&/a&x=%FF%00%80"},
		{"an escape is decoded once", "GET", "/a?x=%252B", "", "GET&/a&x=%252B"},

		{"the token is left out", "GET", "/a?x=1&jwt=a.b.c", "", "GET&/a&x=1"},
		{"wherever and however often it comes", "GET", "/a?jwt&x=1&jwt=&jwt=a.b.c", "", "GET&/a&x=1"},
		{"under any spelling of its name", "GET", "/a?j%77t=a.b.c&%6a%77%74=a", "", "GET&/a&"},
		{"and no other name", "GET", "/a?JWT=1&jwtx=2&jw=3&jwt%20=4", "", "GET&/a&JWT=1&jw=3&jwt%20=4&jwtx=2"},

		{
			"values are sorted before they are encoded", "GET", "/a?x=:1&x=.1&x=.2&x=:2", "",
			"GET&/a&x=.1,.2,%3A1,%3A2",
		}, {
			"values are sorted by UTF-16 code units", "GET", "/a?x=%EF%BC%A1&x=%F0%9F%98%80&x=%EE%80%80&x=%ED%9F%BF", "",
			"GET&/a&x=%ED%9F%BF,%F0%9F%98%80,%EE%80%80,%EF%BC%A1",
		}, {
			"names are not", "GET", "/a?%EF%BC%A1&%F0%9F%98%80&%EE%80%80&%ED%9F%BF", "",
			"GET&/a&%ED%9F%BF=&%EE%80%80=&%EF%BC%A1=&%F0%9F%98%80=",
		},
	} {
		if got := qsh.Canonical(test.method, test.target, test.basePath); got != test.want {
			t.Errorf("%s: Canonical(%q, %q, %q)\n got %q\nwant %q",
				test.rule, test.method, test.target, test.basePath, got, test.want)
		}
	}
}

func TestMatchAcceptsTheRawAndTheDecodedPath(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		rule, target, basePath string
		signed                 string // a target whose canonical form is the one that was signed
		want                   bool
	}{
		{"as it stands", "/a%20b", "", "/a%20b", true},
		{"decoded", "/a%20b", "", "/a b", true},
		{"not with another case of the escape", "/a%2f", "", "/a%2F", false},
		{"not encoded", "/a b", "", "/a%20b", false},
		{"decoded once", "/a%2520b", "", "/a%20b", true},
		{"not twice", "/a%2520b", "", "/a b", false},
		{"a plus is a plus", "/a+b", "", "/a b", false},
		{"an escape that is none stays", "/%zz%20%4", "", "/%zz %4", true},
		{"a decoded slash counts as one", "/a%2F", "", "/a", true},
		{"a decoded ampersand is escaped again", "/a%26b=c", "", "/a&b=c", true},
		{"and opens no query", "/a%26b=c", "", "/a?b=c", false},
		{"a decoded question mark opens none either", "/a%3Fb=c", "", "/a?b=c", false},

		{"below the base path", "/app/a%20b", "/app", "/a b", true},
		{"with escapes in the base path", "/my%20app/a%20b", "/my%20app", "/a b", true},
		{"the base path is found after decoding", "/%61pp/a", "/app", "/a", true},
		{"at a boundary that is found after decoding", "/app%2Fa", "/app", "/a", true},
		{"and nowhere else", "/app%20a", "/app", "/ a", false},
	} {
		claim := qsh.Hash("GET", test.signed, "")
		if got := qsh.Match(claim, "GET", test.target, test.basePath); got != test.want {
			t.Errorf("%s: Match(Hash(%q), %q, %q): got %t, want %t",
				test.rule, test.signed, test.target, test.basePath, got, test.want)
		}
	}

	// The decoded path as sites sign it, by the implementation of another.
	const decoded = "0d0cb7ab1f0c354bd06a2a36fde05221e00b080b3863184fff000137107be09f"
	if !qsh.Match(decoded, "POST", "/hook/http%3A%2F%2Fabc.com", "") {
		t.Error("decoded path of a site: got false, want true")
	}
}

func TestMatchRefusesWhatIsNoHash(t *testing.T) {
	t.Parallel()
	hash := qsh.Hash("GET", "/a", "")
	for name, claim := range map[string]string{
		"nothing":                        "",
		"the claim of a context token":   "context-qsh",
		"a beginning":                    hash[:63],
		"one character more":             hash + "0",
		"upper case":                     strings.ToUpper(hash),
		"the canonical request":          qsh.Canonical("GET", "/a", ""),
		"64 characters that are not hex": "gggggggggggggggggggggggggggggggggggggggggggggggggggggggggggggggg",
	} {
		if qsh.Match(claim, "GET", "/a", "") {
			t.Errorf("%s: Match(%q): got true, want false", name, claim)
		}
	}
}
