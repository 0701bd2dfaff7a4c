package qsh

import "strings"

// split cuts a request target, in origin form or in absolute form (RFC 9112 3.2), into path and query as they stand.
func split(target string) (path, query string) {
	path, query, _ = strings.Cut(target, "?")
	if !strings.HasPrefix(path, "/") {
		path = withoutAuthority(path)
	}
	return path, query
}

// withoutAuthority returns what follows the host in "https://host/path", and any other text as it is.
func withoutAuthority(uri string) string {
	scheme, rest, ok := strings.Cut(uri, "://")
	if scheme = strings.ToLower(scheme); !ok || scheme != "http" && scheme != "https" {
		return uri
	}
	if i := strings.IndexByte(rest, '/'); i >= 0 {
		return rest[i:]
	}
	return "" // the host alone
}

// relative strips the base path where it ends at a segment boundary: "/install" is no base of "/installed".
func relative(path, basePath string) string {
	rest, ok := strings.CutPrefix(path, strings.TrimSuffix(basePath, "/"))
	if !ok || rest != "" && rest[0] != '/' {
		return path
	}
	return rest
}

// relativeDecoded is relative to a signer that decodes the whole path before it strips the base, as sites do.
func relativeDecoded(path, basePath string) string {
	return relative(decodePath(path), decodePath(basePath))
}

// decodePath resolves percent escapes. A "+" is no space in a path, and an escape that is none stays as it is.
func decodePath(path string) string {
	if !strings.Contains(path, "%") {
		return path
	}
	var decoded strings.Builder
	decoded.Grow(len(path))
	for i := 0; i < len(path); {
		b, ok := escape(path, i)
		if ok {
			i += escapeLen
		} else {
			b = path[i]
			i++
		}
		decoded.WriteByte(b)
	}
	return decoded.String()
}

// appendPath appends the canonical form of a relative path.
func appendPath(dst []byte, path string) []byte {
	if !strings.HasPrefix(path, "/") {
		dst = append(dst, '/')
	}
	if len(path) > 1 {
		path = strings.TrimSuffix(path, "/")
	}
	// An "&" left as it is could pass for the one before the query: "/a&b=c?" for "/a?b=c".
	for {
		before, after, found := strings.Cut(path, "&")
		dst = append(dst, before...)
		if !found {
			return dst
		}
		dst = append(dst, "%26"...)
		path = after
	}
}
