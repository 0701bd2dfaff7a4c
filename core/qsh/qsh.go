// Package qsh computes the query string hash of Atlassian Connect: the claim "qsh" of a token, which binds the token to
// one method, one path and one set of query parameters.
//
// A verifier calls [Match] with the claim and the request as it came. A signer calls [Hash]. [Canonical] shows what is
// hashed, and [Diagnose] tells an operator why a claim does not match.
//
// # The canonical request
//
// The hash is the SHA-256, in lower-case hex, of METHOD&PATH&QUERY (Connect documentation, "Creating a query string
// hash"):
//
//   - The method is in upper case.
//   - The path is relative to the base path and starts with a slash. One slash at its end is removed, unless it is the
//     only one. Every "&" becomes "%26". Nothing else changes: no "//" is collapsed, no dot segment resolved.
//   - The parameters are decoded as a form is, and encoded anew with upper-case hex, where only the unreserved
//     characters of RFC 3986 2.3 stand for themselves. They are sorted by their encoded names and joined with "&". The
//     values of a repeated name follow each other in one parameter, sorted and joined with a literal comma. A parameter
//     without "=" has the empty value. The parameter "jwt", which carries the token itself, is left out.
//
// The body is not covered, and neither is the host.
//
// # Where descriptions differ
//
// This package follows the implementation of the sites, which signs, and Atlassian's interoperability vectors:
//
//   - The values of a repeated name are sorted as they are before encoding, not by their encoded form as the
//     documentation has it, and by UTF-16 code units, as Java compares strings.
//   - A site signs the decoded path. Most others sign the path as it stands in the URL. [Match] accepts both;
//     [Canonical] and [Hash] take the path as it stands.
//
// Where neither says anything, nothing is dropped and nothing replaced, so that all that an app may read is covered: an
// escape that is none, such as "%zz", is literal text; octets that are no UTF-8 stay what they are; ";" is a character
// like others; a parameter may have an empty name, and only empty text between two "&" counts as none.
//
// # Cost
//
// For n octets with p parameters time is O(n log p) and memory O(n), whatever the request holds. A request of ordinary
// size is matched without an allocation, or with one where its path holds an escape.
package qsh

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
)

// Canonical returns the canonical request, which [Hash] hashes. It takes the path as it stands in the target, with its
// escapes.
//
// The target is the request target as the client sent it, neither decoded nor cleaned: "/path?query" or
// "https://host/path?query". A request target has no fragment, so "#" is a character like others.
//
// The base path is the path of the app's base URL, or of the site's for a call to a site, as it is written there: "",
// "/connect" or "/connect/". It is stripped from the target where it ends at a slash or at the end. A target that
// lacks it is used whole, since a proxy may have stripped it before.
func Canonical(method, target, basePath string) string {
	path, query := split(target)
	var stack [stackBytes]byte
	return string(appendCanonical(stack[:0], method, relative(path, basePath), query))
}

// Hash returns the query string hash of a request, as a signer puts it into the claim "qsh": the SHA-256 of its
// [Canonical] form in lower-case hex.
func Hash(method, target, basePath string) string {
	path, query := split(target)
	sum := hash(method, relative(path, basePath), query)
	return string(sum[:])
}

// Match reports whether claim is the query string hash of a request, with the path either decoded, as a site signs it,
// or as it stands in the target, as others do. It accepts no other deviation. The parameters are those of [Canonical].
func Match(claim, method, target, basePath string) bool {
	// No hash has another length. The fixed "context-qsh" of a context token ends here.
	if len(claim) != hashLen {
		return false
	}
	path, query := split(target)
	raw, decoded := relative(path, basePath), relativeDecoded(path, basePath)
	// The decoded path first, since most tokens come from sites. Without an escape the two are the same.
	return equal(claim, hash(method, decoded, query)) ||
		raw != decoded && equal(claim, hash(method, raw, query))
}

// appendCanonical appends METHOD&PATH&QUERY. The path is relative to the base path.
func appendCanonical(dst []byte, method, path, query string) []byte {
	return appendQuery(appendResource(dst, method, path), query)
}

// appendResource appends METHOD&PATH&, the part of a canonical request before its query.
func appendResource(dst []byte, method, path string) []byte {
	dst = append(appendMethod(dst, method), '&')
	return append(appendPath(dst, path), '&')
}

// appendMethod appends the method in upper case. A method is ASCII (RFC 9110 9.1), so Unicode has no say: it would make
// an "S" of U+017F.
func appendMethod(dst []byte, method string) []byte {
	for i := range len(method) {
		c := method[i]
		if 'a' <= c && c <= 'z' {
			c -= 'a' - 'A'
		}
		dst = append(dst, c)
	}
	return dst
}

// What fits into these bounds stays on the stack: the canonical form of an ordinary request, and its parameters.
const (
	stackBytes  = 1024
	stackParams = 16
)

const hashLen = 2 * sha256.Size

// hash returns the hash of a request as the text that a claim has.
func hash(method, path, query string) [hashLen]byte {
	var stack [stackBytes]byte
	return hashText(appendCanonical(stack[:0], method, path, query))
}

func hashText(canonical []byte) (text [hashLen]byte) {
	sum := sha256.Sum256(canonical)
	hex.Encode(text[:], sum[:])
	return text
}

// equal compares in constant time, out of habit: a hash is no secret, but the habit costs nothing.
func equal(claim string, hash [hashLen]byte) bool {
	return subtle.ConstantTimeCompare([]byte(claim), hash[:]) == 1
}
