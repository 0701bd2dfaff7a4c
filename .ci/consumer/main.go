// Consumer is an app as its authors would write it, outside the workspace and on the modules as they are published, once
// with each adapter and each store. It plays the site as well, which installs the app, loads a page of it, and rotates
// the secret.
package main

import (
	"context"
	"fmt"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/glebarez/sqlite"
	"github.com/gofiber/fiber/v2"
	"github.com/hostbond/hostbond/core"
	"github.com/hostbond/hostbond/core/fakehost"
	"github.com/hostbond/hostbond/core/httpconnect"
	"github.com/hostbond/hostbond/core/memstore"
	"github.com/hostbond/hostbond/core/qsh"
	"github.com/hostbond/hostbond/echoconnect"
	"github.com/hostbond/hostbond/fiberconnect"
	"github.com/hostbond/hostbond/ginconnect"
	"github.com/hostbond/hostbond/gormstore"
	"github.com/labstack/echo/v4"
	"gorm.io/gorm"
)

// server is what an app is started and stopped with.
type server interface {
	Serve(net.Listener) error
	Shutdown(context.Context) error
}

var adapters = []struct {
	name  string
	serve func(*core.App) server
}{
	{"net/http", withHTTP},
	{"Gin", withGin},
	{"Echo", withEcho},
	{"Fiber", withFiber},
}

var stores = []struct {
	name string
	open func(dir string) (core.Store, error)
}{
	{"memstore", func(string) (core.Store, error) { return memstore.New(), nil }},
	{"gormstore", openSQLite},
}

func main() {
	if !qsh.Match(qsh.Hash("GET", "/panel", ""), "GET", "/panel", "") {
		log.Fatal("qsh: a hash does not match its own request")
	}
	for _, adapter := range adapters {
		for _, store := range stores {
			if err := live(context.Background(), adapter.serve, store.open); err != nil {
				log.Fatalf("%s with %s: %v", adapter.name, store.name, err)
			}
			fmt.Printf("ok %s with %s\n", adapter.name, store.name)
		}
	}
}

// live starts the app and leads the life of a site with it.
func live(ctx context.Context, serve func(*core.App) server, open func(dir string) (core.Store, error)) error {
	dir, err := os.MkdirTemp("", "consumer")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	store, err := open(dir)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	keys := new(fakehost.Keys)
	keyHost := httptest.NewServer(keys)
	defer keyHost.Close()
	app, err := core.New(core.Config{
		AppKey:   "com.example.consumer",
		BaseURL:  "http://" + listener.Addr().String(),
		Store:    store,
		KeyHosts: []string{keyHost.URL},
		Logger:   slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return err
	}
	server := serve(app)
	go func() { _ = server.Serve(listener) }()

	if err := visit(ctx, "http://"+listener.Addr().String(), keys); err != nil {
		return err
	}
	if err := server.Shutdown(ctx); err != nil {
		return err
	}
	return app.Close(ctx)
}

// visit installs the app on a site, and loads a page of it before and after the secret is rotated.
func visit(ctx context.Context, url string, keys *fakehost.Keys) error {
	descriptor, err := fakehost.ReadDescriptor(ctx, nil, url+"/atlassian-connect.json")
	if err != nil {
		return err
	}
	site, err := fakehost.New(fakehost.Config{App: descriptor, Keys: keys})
	if err != nil {
		return err
	}
	answer, err := site.Do(ctx, http.MethodGet, "/panel", nil, nil)
	if err != nil {
		return err
	}
	if answer.StatusCode != http.StatusUnauthorized {
		return fmt.Errorf("a page without a token: got status %d, want 401", answer.StatusCode)
	}
	if _, err := site.Install(ctx); err != nil {
		return err
	}
	if err := wantPanel(ctx, site); err != nil {
		return fmt.Errorf("after the install: %w", err)
	}
	if _, err := site.Rotate(ctx); err != nil {
		return err
	}
	if err := wantPanel(ctx, site); err != nil {
		return fmt.Errorf("after the rotation: %w", err)
	}
	return nil
}

// wantPanel loads the panel as a browser does, and expects it to say which tenant it is for.
func wantPanel(ctx context.Context, site *fakehost.Site) error {
	answer, err := site.Get(ctx, "/panel?issue=HB-1")
	if err != nil {
		return err
	}
	if answer.StatusCode != http.StatusOK || string(answer.Body) != site.ClientKey() {
		return fmt.Errorf("got status %d and body %q, want 200 and the client key", answer.StatusCode, answer.Body)
	}
	return nil
}

func withHTTP(app *core.App) server {
	mux := http.NewServeMux()
	httpconnect.Mount(mux, app)
	mux.Handle("GET /panel", httpconnect.Authenticate(app)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, httpconnect.Principal(r).ClientKey)
	})))
	return httpServer(mux)
}

func withGin(app *core.App) server {
	gin.SetMode(gin.ReleaseMode)
	router := gin.New()
	ginconnect.Mount(router, app)
	router.GET("/panel", ginconnect.Authenticate(app), func(c *gin.Context) {
		c.String(http.StatusOK, ginconnect.Principal(c).ClientKey)
	})
	return httpServer(router)
}

func withEcho(app *core.App) server {
	e := echo.New()
	echoconnect.Mount(e, app)
	e.GET("/panel", func(c echo.Context) error {
		return c.String(http.StatusOK, echoconnect.Principal(c).ClientKey)
	}, echoconnect.Authenticate(app))
	return httpServer(e)
}

func httpServer(handler http.Handler) server {
	return &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second}
}

func withFiber(app *core.App) server {
	router := fiber.New(fiber.Config{DisableStartupMessage: true})
	fiberconnect.Mount(router, app)
	router.Get("/panel", fiberconnect.Authenticate(app), func(c *fiber.Ctx) error {
		return c.SendString(fiberconnect.Principal(c).ClientKey)
	})
	return fiberServer{router}
}

// fiberServer gives a Fiber app the methods of an http.Server.
type fiberServer struct{ app *fiber.App }

func (s fiberServer) Serve(listener net.Listener) error { return s.app.Listener(listener) }

func (s fiberServer) Shutdown(ctx context.Context) error { return s.app.ShutdownWithContext(ctx) }

func openSQLite(dir string) (core.Store, error) {
	db, err := gorm.Open(sqlite.Open(filepath.Join(dir, "consumer.db") + "?_pragma=journal_mode(WAL)" +
		"&_pragma=synchronous(FULL)&_pragma=busy_timeout(5000)&_txlock=immediate"))
	if err != nil {
		return nil, err
	}
	keys, err := gormstore.ParseKeyring(gormstore.GenerateKey())
	if err != nil {
		return nil, err
	}
	store, err := gormstore.New(db, keys)
	if err != nil {
		return nil, err
	}
	return store, store.AutoMigrate(context.Background())
}
