// Package exampleapp is what the example apps have in common: all but the framework. [Main] reads the environment, opens
// the database, and runs what an example builds with its own framework.
//
// # Environment
//
// Every variable has a default, so that an example runs as it is.
//
//	PORT          to listen on; 0 for any that is free (8080)
//	DATABASE_URL  a SQLite file, or postgres://… or mysql://… (hostbond.db)
//	SEAL_KEYS     the keys that seal the shared secrets in the database, as id:base64, a comma list, newest first;
//	              without it a development key beside the database, only while BASE_URL is on this machine
//	BASE_URL      where sites reach the app (http://localhost: and the port)
//	APP_KEY       (com.example.hostbond)
//	ADMIN_TOKEN   what an operator sends to /admin/, of 16 bytes at least: see package admin (none: there is no /admin/)
//
// [core.ConfigFromEnv] lists the others, such as APP_SECRETS and APP_SECRETS_FILE, the secrets that all sites have alike.
package exampleapp

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/hostbond/hostbond/core"
	"github.com/hostbond/hostbond/core/admin"
	"github.com/hostbond/hostbond/core/memstore"
)

// grace is what requests under way get when the app stops. A site waits no longer for the answer to a callback.
const grace = 10 * time.Second

// Build builds an example with its framework, below each of the paths: that of the base URL, if it has one, and "", in
// case a proxy has taken the path off. Without an admin token there is nothing for an operator.
type Build func(app *core.App, paths []string, adminToken string) Server

// Server is what serves an example: an http.Server, or what a framework has in its place.
type Server struct {
	Serve    func(net.Listener) error    // until Shutdown
	Shutdown func(context.Context) error // waits for the requests under way, as long as the context lasts
}

// HTTP serves a handler, within limits of time and of size.
func HTTP(handler http.Handler) Server {
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      15 * time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    64 << 10,
	}
	return Server{Serve: server.Serve, Shutdown: server.Shutdown}
}

// Main runs an example app until the process is asked to stop. If it cannot run, it says why in one line and ends the
// process with exit code 1.
func Main(build Build) {
	if err := runFromEnv(build); err != nil {
		fmt.Fprintln(os.Stderr, oneLine(err))
		os.Exit(1)
	}
}

// oneLine returns the text of an error in which several faults are one to a line, or a list below a line with a colon.
func oneLine(err error) string {
	var faults []string
	for fault := range strings.Lines(err.Error()) {
		faults = append(faults, strings.TrimSpace(fault))
	}
	return strings.ReplaceAll(strings.Join(faults, "; "), ":; ", ": ")
}

func runFromEnv(build Build) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends the process at once

	settings, err := SettingsFromEnv()
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", ":"+settings.Port)
	if err != nil {
		return fmt.Errorf("PORT: %w", err)
	}
	return Run(ctx, listener, settings, build)
}

// Settings are what the environment says.
type Settings struct {
	Port     string      // PORT
	Database string      // DATABASE_URL
	SealKeys string      // SEAL_KEYS
	Admin    string      // ADMIN_TOKEN
	Config   core.Config // all others; without a store
}

// SettingsFromEnv reads the environment. An error names each variable that is wrong.
func SettingsFromEnv() (Settings, error) {
	config, err := core.ConfigFromEnv()
	config.AppKey = cmp.Or(config.AppKey, "com.example.hostbond")
	s := Settings{
		Port:     cmp.Or(os.Getenv("PORT"), "8080"),
		Database: cmp.Or(os.Getenv("DATABASE_URL"), "hostbond.db"),
		SealKeys: os.Getenv("SEAL_KEYS"),
		Admin:    os.Getenv("ADMIN_TOKEN"),
		Config:   config,
	}
	if _, notPort := strconv.ParseUint(s.Port, 10, 16); notPort != nil {
		err = errors.Join(err, errors.New("PORT is not a number from 0 to 65535"))
	}
	if _, unknown := parseDatabaseURL(s.Database); unknown != nil {
		err = errors.Join(err, unknown)
	}
	if unfit := admin.CheckToken(s.Admin); s.Admin != "" && unfit != nil {
		err = errors.Join(err, fmt.Errorf("ADMIN_TOKEN: %w", unfit))
	}
	return s, err
}

// Run runs an example app on a listener, which it closes, until ctx ends and the requests under way are answered.
func Run(ctx context.Context, listener net.Listener, s Settings, build Build) (err error) {
	defer func() { _ = listener.Close() }()
	config := s.Config
	config.Descriptor = descriptor
	config.Logger = cmp.Or(config.Logger, slog.Default())
	if config.BaseURL == "" {
		config.BaseURL = "http://localhost:" + strconv.Itoa(listener.Addr().(*net.TCPAddr).Port)
	}
	if err := check(config); err != nil {
		return err
	}
	sealer, err := s.sealer(config.BaseURL, config.Logger)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	store, closeStore, err := OpenStore(ctx, s.Database, sealer)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeStore()) }()

	config.Store = store
	app, err := core.New(config)
	if err != nil {
		return err
	}
	var daily sync.WaitGroup
	daily.Go(func() { maintain(ctx, app, config.Logger) })
	config.Logger.Info("listening", "address", listener.Addr().String(), "url", config.BaseURL)
	err = serve(ctx, listener, build(app, paths(config.BaseURL), s.Admin))

	// Only now, since requests leave work behind.
	stop()
	daily.Wait()
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	return errors.Join(err, app.Close(drain))
}

// check names what is wrong with a configuration that has no store yet. Only of a right one can be said which seal keys
// it needs, and only for a right one a key is made.
func check(config core.Config) error {
	config.Store = memstore.New()
	app, err := core.New(config)
	if err != nil {
		return err
	}
	return app.Close(context.Background())
}

// maintain does the app's housekeeping now and once a day.
func maintain(ctx context.Context, app *core.App, log *slog.Logger) {
	for {
		switch found, err := app.Maintain(ctx); {
		case ctx.Err() != nil:
			return
		case err != nil:
			log.Error("maintenance failed", "error", err)
		default:
			log.Info("maintained", "installed", found.Installed, "unsettled", found.Unsettled, "contested", found.Contested)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(24 * time.Hour):
		}
	}
}

// descriptor is what the examples say of themselves. A page in Jira's navigation bar shows the panel.
var descriptor = core.Descriptor{
	Name:        "Hostbond example",
	Description: "Shows to which site, which user and which shared secret a page belongs.",
	Vendor:      core.Vendor{Name: "Example", URL: "https://example.com"},
	Scopes:      []string{"READ"},
	Modules: map[string]any{
		"generalPages": []map[string]any{{
			"key":      "panel",
			"name":     map[string]string{"value": "Hostbond"},
			"url":      "/panel",
			"location": "system.top.navigation.bar",
		}},
	},
}

// serve serves until ctx ends, and then as long as requests under way need, but no longer than grace.
func serve(ctx context.Context, listener net.Listener, server Server) error {
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	return server.Shutdown(drain)
}

// paths returns where the app is served. The request target, which tokens are made for, is the same in any case.
func paths(baseURL string) []string {
	u, err := url.Parse(baseURL)
	if err != nil {
		return []string{""}
	}
	return slices.Compact([]string{"", strings.TrimRight(u.Path, "/")})
}
