// Package process runs apps in processes of their own, which can be killed and which share nothing but their database.
//
// A child is the test's own program, started again. So TestMain calls [Main] first, which does not return in a child.
package process

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/hostbond/hostbond/core"
	"github.com/hostbond/hostbond/core/httpconnect"
	"github.com/hostbond/hostbond/gormstore"
	"github.com/hostbond/hostbond/gormstore/integration/internal/databases"
)

// What every app here is called, and where sites take it to be. Nothing listens there: see [Child.RoundTrip].
const (
	AppKey  = "com.example.app"
	BaseURL = "https://app.example"
)

// environment is the variable that makes the test's program a child. It holds a Config as JSON.
const environment = "HOSTBOND_TEST_CHILD"

// Config is what a child is told.
type Config struct {
	Database   databases.Database // with its tables
	KeyHost    string             // the URL of Atlassian's public keys
	Ahead      time.Duration      // of the child's clock before the real one, until SetAhead
	AppSecrets []string           // the newest first; none if empty
}

// The routes of a child beside those of the app, for its parent.
const (
	panelPath      = "/panel" // for sites: URL-bound, answers the client key
	clockPath      = "/clock"
	statementsPath = "/statements"
	fusePath       = "/fuse"
	adoptPath      = "/adopt"
)

// Main runs the app, and ends the process, if that was started by [Start]. Otherwise it does nothing.
func Main() {
	text, child := os.LookupEnv(environment)
	if !child {
		return
	}
	if err := run(text); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// run serves the app until the parent closes the standard input, which it also does by dying.
func run(text string) error {
	var config Config
	if err := json.Unmarshal([]byte(text), &config); err != nil {
		return err
	}
	db, disconnect, err := config.Database.Connect()
	if err != nil {
		return err
	}
	said := &statements{counts: map[string]int{}}
	if err := said.watch(db); err != nil {
		return err
	}
	store, err := gormstore.New(db, databases.Keyring())
	if err != nil {
		return err
	}
	secrets, err := appSecrets(config)
	if err != nil {
		return err
	}
	var clock Clock
	clock.SetAhead(config.Ahead)
	app, err := core.New(core.Config{
		AppKey: AppKey, BaseURL: BaseURL, Store: store,
		KeyHosts:   []string{config.KeyHost},
		AppSecrets: secrets,
		Logger:     slog.New(slog.NewTextHandler(os.Stderr, nil)),
		Now:        clock.Now,
	})
	if err != nil {
		return err
	}

	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{Handler: routes(app, &clock, said), ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = server.Serve(listener) }()
	fmt.Fprintln(os.Stdout, listening+listener.Addr().String())

	_, _ = io.Copy(io.Discard, os.Stdin)
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	// Not Shutdown, which would wait for connections that have not been used yet: the parent has all its answers.
	return errors.Join(server.Close(), app.Close(ctx), disconnect())
}

func appSecrets(config Config) (secrets core.StaticSecrets, err error) {
	for _, text := range config.AppSecrets {
		secret, err := core.NewSecret(text)
		if err != nil {
			return nil, err
		}
		secrets = append(secrets, secret)
	}
	return secrets, nil
}

func routes(app *core.App, clock *Clock, said *statements) http.Handler {
	mux := http.NewServeMux()
	httpconnect.Mount(mux, app)
	mux.Handle("GET "+panelPath, httpconnect.Authenticate(app)(http.HandlerFunc(
		func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, httpconnect.Principal(r).ClientKey) },
	)))
	mux.HandleFunc("POST "+clockPath, told(func(ahead time.Duration) { clock.SetAhead(ahead) }))
	mux.HandleFunc("POST "+fusePath, told(said.set))
	mux.HandleFunc("POST "+adoptPath, func(w http.ResponseWriter, r *http.Request) {
		moved, err := app.AdoptAppSecret(r.Context(), core.Batch{})
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		_ = json.NewEncoder(w).Encode(moved)
	})
	mux.HandleFunc("GET "+statementsPath, func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(said.made())
	})
	return mux
}

// told handles what the parent tells the child, as JSON.
func told[T any](heed func(T)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var value T
		if err := json.NewDecoder(r.Body).Decode(&value); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		heed(value)
		w.WriteHeader(http.StatusNoContent)
	}
}
