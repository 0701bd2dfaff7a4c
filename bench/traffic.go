package bench

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/valyala/fasthttp"

	"github.com/hostbond/hostbond/core"
	"github.com/hostbond/hostbond/core/memstore"
	"github.com/hostbond/hostbond/core/qsh"
)

const (
	appKey    = "com.example.app"
	clientKey = "0b1c7b70-6f0e-4cde-9a6c-2f1f7a4d3f55"
	secret    = "ATCO-0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789abcdef"
	forgers   = "ATCO-a-secret-of-the-forger-s-own-0123456789abcdefghijklmnopqrstuvwxyz0123456789abcdef"
)

// Traffic is an app, and the requests that a site sends it. Their tokens are good for most of an hour.
type Traffic struct {
	App     *core.App
	genuine [1024]request
	forged  request // like the first genuine one, signed with another secret
}

// request is one request, as the server of net/http and that of fasthttp have read it from the same bytes.
type request struct {
	http *http.Request
	fast *fasthttp.RequestCtx
}

// NewTraffic returns an app that the site has installed, and requests that differ in URL and token. The caller closes
// the app.
func NewTraffic(ctx context.Context) (*Traffic, error) {
	store := memstore.New()
	shared, err := core.NewSecret(secret)
	if err != nil {
		return nil, err
	}
	_, err = store.Put(ctx, &core.Installation{
		Key:     core.Key{AppKey: appKey, ClientKey: clientKey},
		State:   core.Installed,
		Signing: core.SignedRS256,
		Secrets: []core.StoredSecret{{Fingerprint: shared.Fingerprint(), State: core.Usable, Value: shared}},
	})
	if err != nil {
		return nil, err
	}
	t := new(Traffic)
	for n := range t.genuine {
		if t.genuine[n], err = newRequest(n, secret); err != nil {
			return nil, err
		}
	}
	if t.forged, err = newRequest(0, forgers); err != nil {
		return nil, err
	}
	t.App, err = core.New(core.Config{
		AppKey: appKey, BaseURL: "https://app.example", Store: store, Logger: slog.New(slog.DiscardHandler),
	})
	return t, err
}

// newRequest returns the n-th request: for a page, with the seven parameters of a site. The token is in the header,
// where all programs find it with the least work.
func newRequest(n int, key string) (r request, err error) {
	target := fmt.Sprintf("/panel?xdm_e=https%%3A%%2F%%2Fexample.atlassian.net&xdm_c=channel-panel-%d&cp=&"+
		"xdm_deprecated_addon_key_do_not_use=com.example.app&lic=active&cv=1001.0.0&issue=HB-%d", n, n)
	issuedAt := time.Now().Add(-time.Duration(n%60) * time.Second)
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{
		"iss":     clientKey,
		"sub":     fmt.Sprintf("5b10a2844c20165700%04d", n),
		"iat":     issuedAt.Unix(),
		"exp":     issuedAt.Add(time.Hour).Unix(),
		"qsh":     qsh.Hash(http.MethodGet, target, ""),
		"context": struct{}{},
	}).SignedString([]byte(key))
	if err != nil {
		return r, err
	}
	wire := "GET " + target + " HTTP/1.1\r\nHost: app.example\r\nAuthorization: JWT " + token + "\r\n\r\n"
	if r.http, err = http.ReadRequest(bufio.NewReader(strings.NewReader(wire))); err != nil {
		return r, err
	}
	r.fast = new(fasthttp.RequestCtx)
	return r, r.fast.Request.Read(bufio.NewReader(strings.NewReader(wire)))
}
