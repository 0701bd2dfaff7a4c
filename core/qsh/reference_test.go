package qsh_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode/utf16"
)

// reference is the canonical request again: written for itself, from the rules, with maps and strings, and slow. It
// reads values as Java does, as UTF-16, and so knows no order for values that are no UTF-8.
func reference(method, target, basePath string, decodedPath bool) string {
	form := regexp.MustCompile(`(?s)^([hH][tT][tT][pP][sS]?://[^/?]*)?([^?]*)\??(.*)$`)
	parts := form.FindStringSubmatch(target)
	path, query := parts[2], parts[3]

	if decodedPath {
		path, basePath = referenceDecode(path), referenceDecode(basePath)
	}
	basePath = strings.TrimSuffix(basePath, "/")
	if path == basePath || strings.HasPrefix(path, basePath+"/") {
		path = path[len(basePath):]
	}
	if !strings.HasPrefix(path, "/") {
		path = "/" + path
	}
	if path != "/" {
		path = strings.TrimSuffix(path, "/")
	}
	path = strings.ReplaceAll(path, "&", "%26")

	params := map[string][]string{}
	for pair := range strings.SplitSeq(query, "&") {
		if pair == "" {
			continue
		}
		name, value, _ := strings.Cut(strings.ReplaceAll(pair, "+", " "), "=")
		name, value = referenceDecode(name), referenceDecode(value)
		params[name] = append(params[name], value)
	}
	delete(params, "jwt")

	encoded := map[string]string{}
	for name, values := range params {
		slices.SortFunc(values, func(a, b string) int {
			return slices.Compare(utf16.Encode([]rune(a)), utf16.Encode([]rune(b)))
		})
		for i := range values {
			values[i] = referenceEncode(values[i])
		}
		encoded[referenceEncode(name)] = strings.Join(values, ",")
	}
	var pairs []string
	for _, name := range slices.Sorted(maps.Keys(encoded)) {
		pairs = append(pairs, name+"="+encoded[name])
	}
	return upperASCII(method) + "&" + path + "&" + strings.Join(pairs, "&")
}

var (
	escapes  = regexp.MustCompile(`%[0-9A-Fa-f]{2}`)
	reserved = regexp.MustCompile(`[^A-Za-z0-9._~-]`)
)

func referenceDecode(s string) string {
	return escapes.ReplaceAllStringFunc(s, func(escape string) string {
		octet, err := hex.DecodeString(escape[1:])
		if err != nil {
			panic(err)
		}
		return string(octet)
	})
}

func referenceEncode(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if c := s[i : i+1]; reserved.MatchString(c) {
			fmt.Fprintf(&b, "%%%02X", c[0])
		} else {
			b.WriteString(c)
		}
	}
	return b.String()
}

func upperASCII(s string) string {
	return regexp.MustCompile(`[a-z]+`).ReplaceAllStringFunc(s, strings.ToUpper)
}

func sha256Hex(s string) string {
	return fmt.Sprintf("%x", sha256.Sum256([]byte(s)))
}
