package qsh

import (
	"slices"
	"strings"
)

// param is a parameter of a query as it was sent. It is decoded an octet at a time, where it is compared or written, so
// that no decoded copy is made.
type param struct{ name, value string }

// appendQuery appends the canonical form of a query.
func appendQuery(dst []byte, query string) []byte {
	var stack [stackParams]param
	params := appendParams(stack[:0], query)
	slices.SortFunc(params, canonicalOrder)
	return appendSorted(dst, params)
}

// appendParams appends the parameters of a query in the order of the query, all but "jwt". It parses by hand, since
// [net/url.ParseQuery] drops what it takes for malformed, and what is dropped would not be covered by the hash.
func appendParams(params []param, query string) []param {
	for query != "" {
		var pair string
		pair, query, _ = strings.Cut(query, "&")
		if pair == "" {
			continue
		}
		name, value, _ := strings.Cut(pair, "=")
		if sameText(name, "jwt") {
			continue
		}
		params = append(params, param{name, value})
	}
	return params
}

// canonicalOrder sorts by encoded name and, where a name repeats, by decoded value.
func canonicalOrder(a, b param) int { return orderBy(a, b, encodedRank, utf16Rank) }

func orderBy(a, b param, nameRank, valueRank func(octet byte) int) int {
	if order := compare(a.name, b.name, nameRank); order != 0 {
		return order
	}
	return compare(a.value, b.value, valueRank)
}

// appendSorted appends parameters, of which those with the same name are next to each other.
func appendSorted(dst []byte, params []param) []byte {
	for i, p := range params {
		if i > 0 && sameText(params[i-1].name, p.name) {
			dst = append(dst, ',')
		} else {
			if i > 0 {
				dst = append(dst, '&')
			}
			dst = append(appendEncoded(dst, p.name), '=')
		}
		dst = appendEncoded(dst, p.value)
	}
	return dst
}

// sameText reports whether two texts decode to the same.
func sameText(a, b string) bool { return compare(a, b, encodedRank) == 0 }

// compare orders two texts by what they decode to. Where they differ first, rank says which octet comes first.
func compare(a, b string, rank func(octet byte) int) int {
	i, j := 0, 0
	for i < len(a) && j < len(b) {
		if a[i] == b[j] && a[i] != '%' { // the usual case, spared the decoding
			i++
			j++
			continue
		}
		var x, y byte
		x, i = octet(a, i)
		y, j = octet(b, j)
		if x != y {
			return rank(x) - rank(y)
		}
	}
	return (len(a) - i) - (len(b) - j) // at least one of the two is at its end: a beginning comes before the whole
}

// encodedRank orders octets as their encoded forms sort: the "%" of an escape comes before every unreserved character,
// and upper-case hex sorts as numbers do.
func encodedRank(octet byte) int {
	if unreserved[octet] {
		return 0x100 + int(octet)
	}
	return int(octet)
}

// utf16Rank orders octets of UTF-8 as UTF-16 code units sort. The two orders differ in one thing: the characters of
// F0 to F4, which are surrogates D800 to DFFF in UTF-16, come before U+E000 to U+FFFF, which begin with EE and EF.
func utf16Rank(octet byte) int {
	if octet == 0xEE || octet == 0xEF {
		return 0x100 + int(octet)
	}
	return int(octet)
}

// appendEncoded appends a text decoded and encoded anew.
func appendEncoded(dst []byte, text string) []byte {
	for i := 0; i < len(text); {
		if unreserved[text[i]] { // the usual case, spared the decoding
			dst = append(dst, text[i])
			i++
			continue
		}
		var b byte
		if b, i = octet(text, i); unreserved[b] {
			dst = append(dst, b)
		} else {
			dst = append(dst, '%', upperHex[b>>4], upperHex[b&0xF])
		}
	}
	return dst
}

// octet decodes the octet at i as forms do, and returns the index of the next one. An escape that is none is literal.
func octet(text string, i int) (b byte, next int) {
	switch text[i] {
	case '+':
		return ' ', i + 1
	case '%':
		if b, ok := escape(text, i); ok {
			return b, i + escapeLen
		}
	}
	return text[i], i + 1
}

const (
	upperHex  = "0123456789ABCDEF"
	escapeLen = len("%XX")
)

// escape returns the octet that the percent escape at i stands for, and whether there is one.
func escape(text string, i int) (b byte, ok bool) {
	if len(text)-i < escapeLen || text[i] != '%' {
		return 0, false
	}
	high, low := hexDigit[text[i+1]], hexDigit[text[i+2]]
	return high<<4 | low, high|low < 16
}

// unreserved holds the characters that stand for themselves (RFC 3986 2.3).
var unreserved = func() (is [256]bool) {
	for _, c := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~") {
		is[c] = true
	}
	return is
}()

// hexDigit holds the value of each hex digit, and 16 or more for whatever is none.
var hexDigit = func() (value [256]byte) {
	for c := range value {
		value[c] = 0xFF
	}
	for i := range byte(16) {
		value["0123456789abcdef"[i]], value[upperHex[i]] = i, i
	}
	return value
}()
