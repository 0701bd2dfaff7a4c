package installkeys

import (
	"context"
	"crypto/rsa"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"
)

const (
	hostTimeout  = 2 * time.Second // from the dial to the last byte of the body
	maxBodyBytes = 16 << 10        // a key of 8192 bits has less than 2 KiB
)

// errNoKey marks the answer of a host that could be asked and has no usable key under the id.
var errNoKey = errors.New("has no such key")

// parseHost checks the base URL of a key host. Its errors name scheme and host only: the rest may hold a password.
func parseHost(raw string) (*url.URL, error) {
	host, err := url.Parse(raw)
	if err != nil || host.Hostname() == "" {
		return nil, errors.New("not an absolute URL")
	}
	name := host.Scheme + "://" + host.Host
	switch {
	case host.Scheme != "https" && (host.Scheme != "http" || !isLoopback(host.Hostname())):
		return nil, fmt.Errorf("%s is neither https, nor http on a loopback address", name)
	case host.User != nil:
		return nil, fmt.Errorf("%s has userinfo", name)
	case strings.ContainsAny(raw, "?#"):
		return nil, fmt.Errorf("%s has a query or a fragment", name)
	}
	return host, nil
}

// isLoopback is strict, since the host is called: a resolver may answer anything for a name below localhost.
func isLoopback(hostname string) bool {
	addr, err := netip.ParseAddr(hostname)
	return strings.EqualFold(hostname, "localhost") || err == nil && addr.IsLoopback()
}

// defaultTransport suits a few requests in the life of a process: a connection that is kept is a goroutine that is
// kept. Without compression the body limit counts what is sent.
func defaultTransport() *http.Transport {
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		ForceAttemptHTTP2:      true,
		DisableKeepAlives:      true,
		DisableCompression:     true,
		MaxResponseHeaderBytes: maxBodyBytes,
	}
}

// ask gets the key from one host. The error is errNoKey if the host has none, and any other if it could not be asked.
func ask(client *http.Client, host *url.URL, kid string) (*rsa.PublicKey, error) {
	// Not the context of a caller: one that leaves must not fail the fetch for the others.
	ctx, cancel := context.WithTimeout(context.Background(), hostTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, host.JoinPath(kid).String(), nil)
	if err != nil {
		return nil, errors.New("cannot be asked")
	}
	request.Header.Set("User-Agent", "hostbond")

	response, err := client.Do(request)
	if err != nil {
		return nil, failure(err)
	}
	defer response.Body.Close()
	switch response.StatusCode {
	case http.StatusOK:
	case http.StatusForbidden, http.StatusNotFound: // Atlassian's first host says 403, with a page of HTML
		return nil, fmt.Errorf("%w: status %d", errNoKey, response.StatusCode)
	default: // a redirect, too
		return nil, fmt.Errorf("answered with status %d", response.StatusCode)
	}

	body, err := io.ReadAll(io.LimitReader(response.Body, maxBodyBytes+1))
	if err != nil {
		return nil, failure(err)
	}
	if len(body) > maxBodyBytes {
		return nil, fmt.Errorf("%w: over %d bytes", errNoKey, maxBodyBytes)
	}
	// What is no key now will be none in a second, so it counts as an answer. It is also how some hosts say 404.
	key, err := parseKey(string(body))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errNoKey, err)
	}
	return key, nil
}

// failure says why a request got no answer, in words of our own side: the other errors of net/http quote the host's.
func failure(err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("did not answer within %v", hostTimeout)
	}
	if network, ok := errors.AsType[*net.OpError](err); ok {
		return fmt.Errorf("failed: %w", network)
	}
	if certificate, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return fmt.Errorf("failed: %w", certificate)
	}
	return errors.New("failed")
}
