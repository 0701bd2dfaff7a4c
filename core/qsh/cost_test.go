package qsh

import (
	"fmt"
	"math"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// hostile are queries that cost more than their size in a parser that is not careful.
var hostile = map[string]func(size int) string{
	"distinct names in order": func(size int) string {
		return list(size, func(i int) string { return fmt.Sprintf("p%07d=v", i) })
	},
	"distinct names in reverse": func(size int) string {
		return list(size, func(i int) string { return fmt.Sprintf("p%07d=v", size-i) })
	},
	"distinct names in turns": func(size int) string {
		return list(size, func(i int) string { return fmt.Sprintf("p%07d=v", i*(1-i%2*2)+i%2*size) })
	},
	"one name, distinct values": func(size int) string {
		return list(size, func(i int) string { return fmt.Sprintf("name=%07d", size-i) })
	},
	"one name, one value":   func(size int) string { return strings.Repeat("name=value&", size) },
	"nothing but names":     func(size int) string { return strings.Repeat("a&", 5*size) },
	"nothing":               func(size int) string { return strings.Repeat("&", 10*size) },
	"escapes":               func(size int) string { return strings.Repeat("%6e%61=%ff&", size) },
	"escapes that are none": func(size int) string { return strings.Repeat("%%%%%=%%%%&", size) },
	"one long name":         func(size int) string { return strings.Repeat("+", 10*size) },
	"one long value":        func(size int) string { return "x=" + strings.Repeat("%", 10*size) },
	"tokens":                func(size int) string { return strings.Repeat("jwt=token1&", size) },
}

func list(size int, item func(i int) string) string {
	var b strings.Builder
	for i := range size {
		b.WriteString(item(i))
		b.WriteByte('&')
	}
	return b.String()
}

const small, big = 1 << 10, 1 << 13

// exponent is e where cost grows with the e-th power of the size.
func exponent(costOfSmall, costOfBig float64) float64 {
	return math.Log(costOfBig/costOfSmall) / math.Log(big/small)
}

// TestComparisonsGrowAsASortMay counts what decides the time: how often two parameters are compared. Each of them is
// decoded where it is compared and where it is written, so a comparison costs no more than the two texts are long.
func TestComparisonsGrowAsASortMay(t *testing.T) {
	t.Parallel()
	for name, query := range hostile {
		comparisons := func(size int) (n float64) {
			params := appendParams(nil, query(size))
			slices.SortFunc(params, func(a, b param) int {
				n++
				return canonicalOrder(a, b)
			})
			if limit := 3 * float64(len(params)+1) * math.Log2(float64(len(params)+2)); n > limit {
				t.Errorf("%s: got %.0f comparisons of %d parameters, want at most 3 n log n = %.0f", name, n, len(params), limit)
			}
			return n
		}
		few, many := comparisons(small), comparisons(big)
		if few == 0 {
			continue // nothing to sort
		}
		if e := exponent(few, many); e > 1.25 {
			t.Errorf("%s: comparisons grow with the power %.2f of the size, want at most 1.25", name, e)
		}
	}
}

// TestMemoryGrowsLinearly is not parallel, since it counts what the whole process allocates.
func TestMemoryGrowsLinearly(t *testing.T) {
	claim := strings.Repeat("0", hashLen)
	for name, query := range hostile {
		for what, run := range map[string]func(target string){
			"Canonical": func(target string) { Canonical("GET", target, "/app") },
			"Match":     func(target string) { Match(claim, "GET", target, "/app") },
			"Diagnose":  func(target string) { Diagnose(claim, "GET", target, "/app") },
		} {
			for _, target := range []func(size int) string{
				func(size int) string { return "/app/a%20b?" + query(size) },
				func(size int) string { return "/app/" + query(size) + "?a=b" },
			} {
				bytesSmall, allocsSmall := allocated(run, target(small))
				bytesBig, allocsBig := allocated(run, target(big))
				// Not 1 to the digit: a page decides nothing, and the longer a slice the smaller the steps by which it grows.
				if e := exponent(bytesSmall+4096, bytesBig+4096); e > 1.3 {
					t.Errorf("%s of %s: bytes grow with the power %.2f of the size, want 1", what, name, e)
				}
				// Two slices grow, by a quarter at least, for each of the two paths: 4 log(8)/log(5/4) is 37.
				if allocsBig > allocsSmall+45 {
					t.Errorf("%s of %s: got %.0f allocations, %.0f for a %dth, want them to grow with the logarithm",
						what, name, allocsBig, allocsSmall, big/small)
				}
			}
		}
	}
}

func allocated(run func(target string), target string) (bytes, allocs float64) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	run(target)
	runtime.ReadMemStats(&after)
	return float64(after.TotalAlloc - before.TotalAlloc), float64(after.Mallocs - before.Mallocs)
}

func TestOrdinaryRequestsAreMatchedWithoutAllocation(t *testing.T) {
	for name, target := range map[string]string{
		"seven parameters":   "/app/a?tz=Europe%2FBerlin&loc=en-GB&xdm_e=https%3A%2F%2Fa.example&xdm_c=c&cp=&lic=none&jwt=a.b.c",
		"sixteen parameters": "/app/a?p=1&o=1&n=1&m=1&l=1&k=1&j=1&i=1&h=1&g=1&f=1&e=1&d=1&c=1&b=1&a=1",
		"repeated names":     "/app/a?x=3&x=2&x=1&y=b&y=%F0%9F%98%80&y=a",
		"no parameter":       "/app/installed",
		"a long token":       "/app/a?jwt=" + strings.Repeat("a", 4096),
	} {
		claim := Hash("GET", target, "/app")
		if got := testing.AllocsPerRun(100, func() { Match(claim, "GET", target, "/app") }); got != 0 {
			t.Errorf("Match with %s: got %v allocations, want 0", name, got)
		}
		if got := testing.AllocsPerRun(100, func() { Match("context-qsh", "GET", target, "/app") }); got != 0 {
			t.Errorf("Match of no hash with %s: got %v allocations, want 0", name, got)
		}
		if got := testing.AllocsPerRun(100, func() { Hash("GET", target, "/app") }); got != 1 {
			t.Errorf("Hash with %s: got %v allocations, want 1", name, got)
		}
	}
	claim := Hash("GET", "/a b/c d", "")
	if got := testing.AllocsPerRun(100, func() { Match(claim, "GET", "/app/a%20b/c%20d?", "/app") }); got != 1 {
		t.Errorf("Match with an encoded path: got %v allocations, want 1 for the decoded path", got)
	}
}
