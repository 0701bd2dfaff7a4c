// Package inprocess runs an app, the key host and sites in one process, with the app's real handler and without sockets.
package inprocess

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"

	"github.com/hostbond/hostbond/core"
	"github.com/hostbond/hostbond/core/fakehost"
	"github.com/hostbond/hostbond/core/httpconnect"
)

// What every app here is called, and where it is. Nothing listens at either.
const (
	AppKey  = "com.example.app"
	BaseURL = "https://app.example"
	keyHost = "https://keys.example"
)

// Keys are Atlassian's. They are made once: that takes longer than most tests.
var Keys = new(fakehost.Keys)

// App is an app with the lifecycle routes and the page /panel. Each one stands for a replica.
type App struct {
	*core.App
	http.Handler
}

// NewApp returns an app on the store that logs nothing. Whoever calls it closes it. configure may change its
// configuration first.
func NewApp(store core.Store, configure ...func(*core.Config)) (*App, error) {
	config := core.Config{
		AppKey: AppKey, BaseURL: BaseURL, Store: store,
		KeyHosts: []string{keyHost}, KeyTransport: Transport(Keys),
		Logger: slog.New(slog.DiscardHandler),
	}
	for _, change := range configure {
		change(&config)
	}
	app, err := core.New(config)
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	httpconnect.Mount(mux, app)
	mux.Handle("/panel", httpconnect.Authenticate(app)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, httpconnect.Principal(r).ClientKey)
	})))
	return &App{app, mux}, nil
}

// NewSite returns a site that calls an app by way of transport.
func NewSite(transport http.RoundTripper, config fakehost.Config) (*fakehost.Site, error) {
	config.App.Key, config.App.BaseURL = AppKey, BaseURL
	config.Keys, config.Client = Keys, &http.Client{Transport: transport}
	return fakehost.New(config)
}

// Transport returns a way to the handler as a network is one: the handler goes on though the caller has given up, and
// a panic in it is an answer that never comes.
func Transport(handler http.Handler) http.RoundTripper { return transport{handler} }

type transport struct{ handler http.Handler }

func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx, hangUp := context.WithCancel(r.Context())
	request := r.Clone(ctx)
	request.RequestURI = r.URL.RequestURI()
	if request.Host == "" {
		request.Host = r.URL.Host
	}
	if request.Body == nil {
		request.Body = http.NoBody
	}
	answer, broken := make(chan *http.Response, 1), make(chan error, 1)
	go func() {
		defer hangUp()
		defer func() {
			if v := recover(); v != nil {
				broken <- fmt.Errorf("inprocess: panic in the handler: %v", v)
			}
		}()
		recorder := httptest.NewRecorder()
		t.handler.ServeHTTP(recorder, request)
		answer <- recorder.Result()
	}()
	select {
	case response := <-answer:
		return response, nil
	case err := <-broken:
		return nil, err
	case <-r.Context().Done():
		return nil, errors.Join(errors.New("inprocess: the caller has given up"), r.Context().Err())
	}
}
