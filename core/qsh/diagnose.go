package qsh

import (
	"fmt"
	"slices"
	"strings"
)

// Mismatch tells an operator why [Match] refused a claim. It holds no token, since the parameter "jwt" is no part of a
// canonical request, but it holds the other parameters and what an escape in the path may hide, line breaks included:
// print it with %q, and never to the caller.
type Mismatch struct {
	Canonical string // the canonical request with the path as it stands, as of [Canonical]
	Decoded   string // the one with the path decoded; "" if it is the same
	NearMiss  string // what the signer hashed instead, such as "would match without the prefix /app"; "" if unknown
}

// Bounds of the search for a near miss, so that a refused request costs no more than some hundred accepted ones.
const (
	maxDiagnosedBytes  = 8 << 10 // of the target; a longer one is not searched
	maxDiagnosedParams = 32      // of which each is left out in turn
	maxPrefixSegments  = 4       // of the path
)

// Diagnose explains why a claim does not match a request. The parameters are those of [Match].
//
// A near miss is for the operator to act on, by mending a base path, a proxy or a signer. The request is still refused:
// a token that is accepted for two requests is bound to neither. No near miss is searched for when the target is longer
// than 8 KiB.
func Diagnose(claim, method, target, basePath string) Mismatch {
	path, query := split(target)
	raw := appendCanonical(nil, method, relative(path, basePath), query)
	decoded := appendCanonical(nil, method, relativeDecoded(path, basePath), query)

	m := Mismatch{Canonical: string(raw)}
	if !slices.Equal(raw, decoded) {
		m.Decoded = string(decoded)
	}
	if len(target) <= maxDiagnosedBytes && !Match(claim, method, target, basePath) {
		m.NearMiss = nearMiss(claim, request{method, path, query, strings.TrimSuffix(basePath, "/")})
	}
	return m
}

// request is a request that the claim may have been made for.
type request struct{ method, path, query, basePath string }

func (r request) matches(claim string) bool {
	return Match(claim, r.method, r.path+"?"+r.query, r.basePath)
}

// nearMiss tries one deviation at a time, the likeliest first.
func nearMiss(claim string, r request) string {
	for _, deviation := range []func(string, request) string{
		otherBase, otherMethod, otherPath, otherQuery, missingParam, otherOrder, otherCase,
	} {
		if found := deviation(claim, r); found != "" {
			return "would match " + found
		}
	}
	return ""
}

// otherBase covers a wrong base path and a proxy that adds or strips a prefix.
func otherBase(claim string, r request) string {
	whole := r
	whole.basePath = ""
	if whole.matches(claim) {
		return "with the base path " + r.basePath + " left in place"
	}
	whole.path = r.basePath + r.path
	if whole.matches(claim) {
		return "with the base path " + r.basePath + " in front"
	}
	segments := 0
	for i := 1; i <= len(r.path) && segments < maxPrefixSegments; i++ {
		if i < len(r.path) && r.path[i] != '/' {
			continue
		}
		segments++
		stripped := r
		stripped.basePath = r.path[:i]
		if stripped.matches(claim) {
			return "without the prefix " + stripped.basePath
		}
	}
	return ""
}

func otherMethod(claim string, r request) string {
	for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"} {
		other := r
		other.method = method
		if other.matches(claim) {
			return "with the method " + method + " instead of " + string(appendMethod(nil, r.method))
		}
	}
	return ""
}

// otherPath covers signers that keep the slash at the end, and proxies that drop it.
func otherPath(claim string, r request) string {
	other := r
	// The canonical form removes one slash of the two.
	if other.path = strings.TrimSuffix(r.path, "/") + "//"; other.matches(claim) {
		return "with a slash at the end of the path"
	}
	return ""
}

// otherQuery covers what signers and proxies do to a query as a whole.
func otherQuery(claim string, r request) string {
	other := r
	if other.query = ""; other.matches(claim) {
		return "without the query"
	}
	if other.query = strings.ReplaceAll(r.query, "+", "%2B"); other.matches(claim) {
		return `with "+" in the query as a plus sign, not as a space`
	}
	other.path, other.query = strings.ReplaceAll(r.path, "%25", "%"), strings.ReplaceAll(r.query, "%25", "%")
	if other.matches(claim) {
		return "with the target percent-encoded once, not twice"
	}
	return ""
}

// missingParam covers a parameter that somebody added after the signer.
func missingParam(claim string, r request) string {
	pairs := strings.SplitN(r.query, "&", maxDiagnosedParams+1)
	if len(pairs) > maxDiagnosedParams {
		return ""
	}
	for i, pair := range pairs {
		other := r
		other.query = strings.Join(slices.Delete(slices.Clone(pairs), i, i+1), "&")
		if other.matches(claim) {
			name, _, _ := strings.Cut(pair, "=")
			return fmt.Sprintf("without the parameter %q", name)
		}
	}
	return ""
}

// otherOrder covers signers that follow another description of the order of parameters.
func otherOrder(claim string, r request) string {
	for _, signer := range []struct {
		order func(a, b param) int
		how   string
	}{
		{
			// As libraries for JavaScript do.
			func(a, b param) int { return orderBy(a, b, utf16Rank, utf16Rank) },
			"with the parameters sorted by their decoded names",
		},
		{
			// As the documentation has it.
			func(a, b param) int { return orderBy(a, b, encodedRank, encodedRank) },
			"with the values of a repeated parameter sorted by their encoded form",
		},
		{
			func(a, b param) int { return compare(a.name, b.name, encodedRank) },
			"with the values of a repeated parameter in the order of the query",
		},
	} {
		params := appendParams(nil, r.query)
		slices.SortStableFunc(params, signer.order)
		for _, path := range []string{relativeDecoded(r.path, r.basePath), relative(r.path, r.basePath)} {
			if equal(claim, hashText(appendSorted(appendResource(nil, r.method, path), params))) {
				return signer.how
			}
		}
	}
	return ""
}

func otherCase(claim string, r request) string {
	if r.matches(strings.ToLower(claim)) {
		return "with the claim in lower case"
	}
	return ""
}
