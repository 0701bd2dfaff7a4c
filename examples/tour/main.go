// Command tour plays a Jira site against an app on Gin and SQLite, and takes the two through the life of a shared
// secret: offered, rotated, half rotated, forged, retired. It needs no account and no network:
//
//	go run ./examples/tour
//
// It ends with exit code 0 only if every step went as it should.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/hostbond/hostbond/core"
	"github.com/hostbond/hostbond/core/fakehost"
	"github.com/hostbond/hostbond/examples/internal/exampleapp"
	"github.com/hostbond/hostbond/ginconnect"
	"github.com/hostbond/hostbond/gormstore"
)

func main() {
	gin.SetMode(gin.ReleaseMode)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Stdout, story); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// build builds the app. That of examples/gin has a few routes more.
func build(app *core.App, _ []string, _ string) exampleapp.Server {
	router := gin.New()
	ginconnect.Mount(router, app)
	router.GET("/panel", ginconnect.Authenticate(app), func(c *gin.Context) {
		c.Data(http.StatusOK, "text/html; charset=utf-8", exampleapp.Panel(ginconnect.Principal(c), c.Header))
	})
	return exampleapp.HTTP(router)
}

// run starts an app with a new database and takes a site through the story with it. It leaves nothing behind.
func run(ctx context.Context, out io.Writer, story func(*fakehost.Site) []step) (err error) {
	dir, err := os.MkdirTemp("", "hostbond-tour-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()

	keys := new(fakehost.Keys) // Atlassian's part: it signs installs, and serves the public key
	keyHost, err := listen()
	if err != nil {
		return err
	}
	keyServer := &http.Server{Handler: keys, ReadHeaderTimeout: time.Second}
	go func() { _ = keyServer.Serve(keyHost) }()
	defer func() { err = errors.Join(err, keyServer.Close()) }()

	listener, err := listen()
	if err != nil {
		return err
	}
	clock, journal := new(clock), newJournal()
	settings := exampleapp.Settings{
		Database: filepath.Join(dir, "tour.db"),
		SealKeys: gormstore.GenerateKey(),
		Config: core.Config{
			AppKey:   "com.example.tour",
			BaseURL:  "http://" + listener.Addr().String(),
			KeyHosts: []string{"http://" + keyHost.Addr().String()},
			Logger:   slog.New(journal),
			Now:      clock.now,
		},
	}
	appCtx, stopApp := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- exampleapp.Run(appCtx, listener, settings, build) }()
	defer func() {
		stopApp()
		err = errors.Join(err, <-ended)
	}()

	app, err := fakehost.ReadDescriptor(ctx, nil, settings.Config.BaseURL+"/atlassian-connect.json")
	if err != nil {
		return err
	}
	site, err := fakehost.New(fakehost.Config{App: app, Keys: keys, Now: clock.now})
	if err != nil {
		return err
	}
	// The app's database, as another replica would open it.
	sealer, err := gormstore.ParseKeyring(settings.SealKeys)
	if err != nil {
		return err
	}
	store, closeStore, err := exampleapp.OpenStore(ctx, settings.Database, sealer)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeStore()) }()

	t := &tour{out: out, site: site, store: store, appKey: app.Key, clock: clock, journal: journal}
	return t.play(ctx, story(site))
}

func listen() (net.Listener, error) { return net.Listen("tcp", "127.0.0.1:0") }

// clock is what site and app go by. It can be moved on, so that nobody has to wait for a quarter of an hour.
type clock struct{ ahead atomic.Int64 }

func (c *clock) now() time.Time        { return time.Now().Add(c.moved()) }
func (c *clock) move(by time.Duration) { c.ahead.Add(int64(by)) }
func (c *clock) moved() time.Duration  { return time.Duration(c.ahead.Load()) }

// String returns how far it was moved, as hours, minutes and seconds.
func (c *clock) String() string { return time.Time{}.Add(c.moved()).Format(time.TimeOnly) }
