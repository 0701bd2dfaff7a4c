package core

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// members are the members of a JSON object by name, as JSON.
type members map[string]string

// plainMembers returns the claims of a good token with some of them changed; "" leaves a claim out.
func plainMembers(change members) members {
	m := members{
		"iss": `"client-1"`, "sub": `"user-1"`, "aud": `"https://app.example"`,
		"iat": `1800000000`, "exp": `1800000180`, "nbf": `1800000001`, "qsh": `"0a1b2c"`,
	}
	maps.Copy(m, change)
	maps.DeleteFunc(m, func(_, value string) bool { return value == "" })
	return m
}

func (m members) String() string {
	var pairs []string
	for _, name := range slices.Sorted(maps.Keys(m)) {
		pairs = append(pairs, fmt.Sprintf("%q:%s", name, m[name]))
	}
	return "{" + strings.Join(pairs, ",") + "}"
}

func TestTheClaimsATokenMustHave(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		rule   string
		change members
		reason ReasonCode
	}{
		{"as they come", members{}, ""},
		{"optional ones left out", members{"sub": "", "aud": "", "nbf": ""}, ""},
		{"others beside them", members{"jti": `"1"`, "context": `{}`, "http://example.com/is_root": `true`}, ""},

		{"without iss", members{"iss": ""}, ReasonClaims},
		{"without iat", members{"iat": ""}, ReasonClaims},
		{"without exp", members{"exp": ""}, ReasonClaims},
		{"without qsh", members{"qsh": ""}, ReasonClaims},
		{"an empty iss", members{"iss": `""`}, ReasonClaims},
		{"an empty qsh", members{"qsh": `""`}, ReasonClaims},

		{"exp before iat", members{"exp": `1799999999`, "nbf": ""}, ReasonClaims},
		{"exp at iat", members{"exp": `1800000000`, "nbf": ""}, ReasonClaims},
		{"exp before nbf", members{"nbf": `1800000181`}, ReasonClaims},
		{"exp at nbf", members{"nbf": `1800000180`}, ReasonClaims},
		{"exp a second after nbf", members{"nbf": `1800000179`}, ""},
		{"nbf before iat", members{"nbf": `1`}, ""},
	} {
		var c claims
		if refusal := c.parse([]byte(plainMembers(test.change).String())); reasonOf(refusal) != test.reason {
			t.Errorf("%s: %v: reason: got %q, want %q", test.rule, test.change, reasonOf(refusal), test.reason)
		}
	}
}

func TestClaimsAreOfTheirTypes(t *testing.T) {
	t.Parallel()
	anything := []string{`null`, `true`, `"text"`, `""`, `[]`, `["text"]`, `[1]`, `{}`, `{"a":1}`, `1`, `1800000100`, `-1`, `1.5`}
	for name, permitted := range map[string][]string{
		"iss":     {`"text"`},
		"sub":     {`null`, `"text"`, `""`}, // of an anonymous user
		"aud":     {`"text"`, `""`, `[]`, `["text"]`},
		"iat":     {`1800000100`, `1`},
		"exp":     {`1800000100`},
		"nbf":     {`1800000100`, `1`},
		"qsh":     {`"text"`},
		"context": anything, // means nothing to us unless it names a user
	} {
		for _, value := range anything {
			var c claims
			refusal := c.parse([]byte(plainMembers(members{name: value}).String()))
			if accepted := refusal == nil; accepted != slices.Contains(permitted, value) {
				t.Errorf("%s: %s: accepted: got %v, want %v", name, value, accepted, !accepted)
			}
			if refusal != nil && refusal.reason != ReasonTokenMalformed && refusal.reason != ReasonClaims {
				t.Errorf("%s: %s: reason: got %q, want %q or %q", name, value, refusal.reason, ReasonTokenMalformed, ReasonClaims)
			}
		}
	}
}

func TestClaimNamesAreExactAndUnique(t *testing.T) {
	t.Parallel()
	all := plainMembers(members{"context": `{}`})
	for name, value := range all {
		for _, second := range []string{
			name, // twice
			fmt.Sprintf(`\u%04x`, name[0]) + name[1:], // twice, one of them escaped
			strings.ToUpper(name),
			strings.ToUpper(name[:1]) + name[1:],
			name[:1] + strings.ToUpper(name[1:]),
			strings.Replace(name, "s", "\u017f", 1), // the long s folds to s
		} {
			for _, data := range []string{
				strings.TrimSuffix(all.String(), "}") + `,"` + second + `":` + value + `}`,
				`{"` + second + `":` + value + `,` + strings.TrimPrefix(all.String(), "{"),
			} {
				var c claims
				if refusal := c.parse([]byte(data)); reasonOf(refusal) != ReasonTokenMalformed {
					t.Errorf("%s: reason: got %q, want %q", data, reasonOf(refusal), ReasonTokenMalformed)
				}
			}
		}
	}
}

func TestTimesAreWholeSecondsThatEveryParserReadsAlike(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]int64{
		`1`:                1,
		`1800000000`:       1800000000,
		`9007199254740992`: 1 << 53,
		// Beyond, a parser that uses floating point reads another number.
		`9007199254740993`:     0,
		`9223372036854775807`:  0,
		`9223372036854775808`:  0,
		`18446744073709551617`: 0, // 1 modulo 2^64
		`1e300`:                0,
		`1e9`:                  0,
		`1.8E9`:                0,
		`1800000000.0`:         0,
		`1800000000.5`:         0,
		`0`:                    0,
		`-0`:                   0,
		`-1`:                   0,
		`"1800000000"`:         0,
		`01`:                   0,
		`1_000`:                0,
	} {
		object := openObject([]byte(`{"exp":` + value + `}`))
		object.next()
		if got, whole := object.seconds(), object.whole(); whole != (want > 0) || whole && got != want {
			t.Errorf("%s: got %d, accepted %v; want %d", value, got, whole, want)
		}
		object.close()
	}
}

func TestAnAudienceIsOneOrMany(t *testing.T) {
	t.Parallel()
	for value, want := range map[string][]string{
		``:                      nil,
		`"a"`:                   {"a"},
		`[]`:                    {},
		`["a"]`:                 {"a"},
		` [ "a" , "b" , "a" ] `: {"a", "b", "a"},
	} {
		var c claims
		if refusal := c.parse([]byte(plainMembers(members{"aud": value}).String())); refusal != nil {
			t.Errorf("aud %s: %v", value, refusal)
		}
		if !reflect.DeepEqual(c.audience, want) {
			t.Errorf("aud %s: got %#v, want %#v", value, c.audience, want)
		}
	}
	for _, value := range []string{`null`, `1`, `{}`, `[null]`, `["a",1]`, `[["a"]]`, `["a",{}]`} {
		var c claims
		refusal := c.parse([]byte(plainMembers(members{"aud": value}).String()))
		if reasonOf(refusal) != ReasonTokenMalformed {
			t.Errorf("aud %s: reason: got %q, want %q", value, reasonOf(refusal), ReasonTokenMalformed)
		}
	}
}

func TestTheUserIsTheSubjectOrThatOfTheContext(t *testing.T) {
	t.Parallel()
	const inContext = `{"license":{"active":true},"user":{"userKey":"u","accountId":"from context","displayName":"D"},"jira":{}}`
	for _, test := range []struct{ rule, subject, context, want string }{
		{"nobody", ``, ``, ""},
		{"the subject", `"from sub"`, ``, "from sub"},
		{"the subject before the context", `"from sub"`, inContext, "from sub"},
		{"the context without a subject", ``, inContext, "from context"},
		{"the context with a subject of null", `null`, inContext, "from context"},
		{"the context with an empty subject", `""`, inContext, "from context"},
		{"an empty context", ``, `{}`, ""},
		{"a context of another type", ``, `["user"]`, ""},
		{"a context of null", ``, `null`, ""},
		{"a context without a user", ``, `{"accountId":"elsewhere"}`, ""},
		{"a user of null", ``, `{"user":null}`, ""},
		{"a user of another type", ``, `{"user":"u"}`, ""},
		{"a user without an account", ``, `{"user":{"userKey":"u"}}`, ""},
		{"an account of null", ``, `{"user":{"accountId":null}}`, ""},
		{"an account of another type", ``, `{"user":{"accountId":{"accountId":"deeper"}}}`, ""},
		{"an account in another case", ``, `{"user":{"AccountId":"elsewhere"}}`, ""},
		{"a user in another place", ``, `{"jira":{"user":{"accountId":"elsewhere"}}}`, ""},
	} {
		var c claims
		if refusal := c.parse([]byte(plainMembers(members{"sub": test.subject, "context": test.context}).String())); refusal != nil {
			t.Errorf("%s: %v", test.rule, refusal)
		}
		if c.accountID != test.want {
			t.Errorf("%s: got %q, want %q", test.rule, c.accountID, test.want)
		}
	}
	for _, context := range []string{
		`{"user":{"accountId":"a","accountId":"b"}}`, `{"user":{},"user":{}}`, `{"user":{"accountId":"\ud800"}}`, `{"user":{`,
		`{"user":{"new":` + strings.Repeat("[", 32) + strings.Repeat("]", 32) + `}}`,
	} {
		var c claims
		refusal := c.parse([]byte(plainMembers(members{"context": context}).String()))
		if reasonOf(refusal) != ReasonTokenMalformed {
			t.Errorf("context %s: reason: got %q, want %q", context, reasonOf(refusal), ReasonTokenMalformed)
		}
	}
}

func TestClientKeys(t *testing.T) {
	t.Parallel()
	for key, want := range map[string]bool{
		"0b1c7b70-6f0e-4cde-9a6c-2f1f7a4d3f55": true,
		"jira:1234-5678-9000":                  true,
		"Confluence:1234567890":                true,
		"example.atlassian.net":                true,
		"~!@#$%^&*()[]{}<>/\\|'\"`;,":          true,
		strings.Repeat("k", 255):               true,

		"":                       false,
		strings.Repeat("k", 256): false,
		" key":                   false,
		"key ":                   false,
		"a key":                  false,
		"key\n":                  false,
		"key\x00":                false,
		"key\x7f":                false,
		"\u043aey":               false, // a Cyrillic k
		"key\ufffd":              false,
		"key\xff":                false,
	} {
		if got := validClientKey(key); got != want {
			t.Errorf("%q: got %v, want %v", key, got, want)
		}
	}
}

func TestLeewayIsGrantedOnceToEachTime(t *testing.T) {
	t.Parallel()
	const leeway = 30 * time.Second
	at := func(second int64, offset time.Duration) time.Time { return time.Unix(second, 0).Add(offset) }
	plain := claims{issuedAt: 1000, expiresAt: 2000}
	later := claims{issuedAt: 1000, expiresAt: 2000, notBefore: 1500}
	for _, test := range []struct {
		rule   string
		claims claims
		now    time.Time
		leeway time.Duration
		reason ReasonCode
	}{
		{"at iat", plain, at(1000, 0), leeway, ""},
		{"the last moment before exp with leeway", plain, at(2000, leeway-1), leeway, ""},
		{"at exp with leeway", plain, at(2000, leeway), leeway, ReasonExpired},
		{"the first moment of iat with leeway", plain, at(1000, -leeway), leeway, ""},
		{"a moment before it", plain, at(1000, -leeway-1), leeway, ReasonNotYetValid},
		{"the first moment of nbf with leeway", later, at(1500, -leeway), leeway, ""},
		{"a moment before that", later, at(1500, -leeway-1), leeway, ReasonNotYetValid},
		{"the last moment before exp", plain, at(2000, -1), 0, ""},
		{"at exp", plain, at(2000, 0), 0, ReasonExpired},
		{"at iat without leeway", plain, at(1000, 0), 0, ""},
		{"a moment before iat", plain, at(1000, -1), 0, ReasonNotYetValid},
		{"at nbf", later, at(1500, 0), 0, ""},
		{"a moment before nbf", later, at(1500, -1), 0, ReasonNotYetValid},
		{"the same moment elsewhere", plain, at(2000, leeway).In(time.FixedZone("", 14*3600)), leeway, ReasonExpired},
		{"the latest exp there is", claims{issuedAt: 1, expiresAt: 1 << 53}, at(1<<53, leeway-1), leeway, ""},
		{"the latest exp there is, with leeway", claims{issuedAt: 1, expiresAt: 1 << 53}, at(1<<53, leeway), leeway, ReasonExpired},
		{"the latest iat there is", claims{issuedAt: 1 << 53, expiresAt: 1<<53 + 1}, at(1000, 0), leeway, ReasonNotYetValid},
		{"a clock that was never set", plain, time.Time{}, leeway, ReasonNotYetValid},
	} {
		if got := reasonOf(test.claims.checkTime(test.now, test.leeway)); got != test.reason {
			t.Errorf("%s: got %q, want %q", test.rule, got, test.reason)
		}
	}
}

func TestLifeIsBounded(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		rule           string
		issued, expire int64
		most           time.Duration
		reason         ReasonCode
	}{
		{"just as long", 1000, 1000 + 3600, time.Hour, ""},
		{"a second more", 1000, 1000 + 3601, time.Hour, ReasonTokenLife},
		{"a fraction of a second is none", 1000, 1002, 1999 * time.Millisecond, ReasonTokenLife},
		{"the longest life there is", 1, 1 << 53, 24 * time.Hour, ReasonTokenLife},
		{"a life that overflows a duration to an hour", 1, 1 + 18_446_744_073 + 3600, time.Hour, ReasonTokenLife},
	} {
		c := claims{issuedAt: test.issued, expiresAt: test.expire}
		if got := reasonOf(c.checkLife(test.most)); got != test.reason {
			t.Errorf("%s: got %q, want %q", test.rule, got, test.reason)
		}
	}
}
