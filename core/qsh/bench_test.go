package qsh_test

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/hostbond/hostbond/core/qsh"
)

var benchmarks = []struct{ name, method, target string }{
	{"GET with seven parameters", "GET", "/connect/panel" +
		"?xdm_e=https%3A%2F%2Fexample.atlassian.net&xdm_c=channel-com.example.app__panel5437284839" +
		"&cp=&lic=active&cv=1001.0.0-SNAPSHOT&loc=en-GB&tz=Europe%2FBerlin&jwt=" + strings.Repeat("0123456789", 40)},
	{"POST without parameters", "POST", "/connect/installed"},
	{"GET with an encoded path", "GET", "/connect/hook/http%3A%2F%2Fexample.com?id=1"},
}

func BenchmarkMatch(b *testing.B) {
	for _, bench := range benchmarks {
		b.Run(bench.name, func(b *testing.B) {
			claim := qsh.Hash(bench.method, bench.target, "/connect")
			b.ReportAllocs()
			for b.Loop() {
				if !qsh.Match(claim, bench.method, bench.target, "/connect") {
					b.Fatal("got false, want true")
				}
			}
		})
	}
}

// BenchmarkLowerBound is what the hash function alone costs.
func BenchmarkLowerBound(b *testing.B) {
	for _, bench := range benchmarks {
		b.Run(bench.name, func(b *testing.B) {
			canonical := []byte(qsh.Canonical(bench.method, bench.target, "/connect"))
			b.ReportAllocs()
			for b.Loop() {
				sha256.Sum256(canonical)
			}
		})
	}
}

// BenchmarkPlainWay is the same with net/url and a map, as one writes it first. It is not correct: it drops what
// net/url takes for malformed, and sorts by octets.
func BenchmarkPlainWay(b *testing.B) {
	for _, bench := range benchmarks {
		b.Run(bench.name, func(b *testing.B) {
			claim := qsh.Hash(bench.method, bench.target, "/connect")
			b.ReportAllocs()
			for b.Loop() {
				if plainHash(b, bench.method, bench.target, "/connect") != claim {
					b.Fatal("got another hash")
				}
			}
		})
	}
}

func plainHash(b *testing.B, method, target, basePath string) string {
	u, err := url.ParseRequestURI(target)
	if err != nil {
		b.Fatal(err)
	}
	encode := func(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }
	var pairs []string
	for name, values := range u.Query() {
		if name == "jwt" {
			continue
		}
		slices.Sort(values)
		for i := range values {
			values[i] = encode(values[i])
		}
		pairs = append(pairs, encode(name)+"="+strings.Join(values, ","))
	}
	slices.Sort(pairs)
	path := strings.TrimSuffix(strings.TrimPrefix(u.EscapedPath(), basePath), "/")
	path = strings.ReplaceAll(cmp.Or(path, "/"), "&", "%26")
	sum := sha256.Sum256([]byte(strings.ToUpper(method) + "&" + path + "&" + strings.Join(pairs, "&")))
	return hex.EncodeToString(sum[:])
}

func BenchmarkDiagnose(b *testing.B) {
	claim := strings.Repeat("0", 64)
	for _, bench := range benchmarks {
		b.Run(bench.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if m := qsh.Diagnose(claim, bench.method, bench.target, "/connect"); m.NearMiss != "" {
					b.Fatalf("got near miss %q, want none", m.NearMiss)
				}
			}
		})
	}
}
