package ginconnect_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"

	"github.com/gin-gonic/gin"

	"github.com/hostbond/hostbond/core"
	"github.com/hostbond/hostbond/core/fakehost"
	"github.com/hostbond/hostbond/core/memstore"
	"github.com/hostbond/hostbond/ginconnect"
)

// An app with a page and with a route that the page calls. A site, which is played, installs it and opens the page.
func Example() {
	keys := new(fakehost.Keys)
	keyHost := httptest.NewServer(keys)
	defer keyHost.Close()

	router := gin.New()
	server := httptest.NewServer(router)
	defer server.Close()

	app, err := core.New(core.Config{
		AppKey:   "com.example.app",
		BaseURL:  server.URL,
		Store:    memstore.New(), // gormstore.New for a real app
		KeyHosts: []string{keyHost.URL},
		Logger:   slog.New(slog.DiscardHandler),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	ginconnect.Mount(router, app)
	router.GET("/panel", ginconnect.Authenticate(app), func(c *gin.Context) {
		c.String(http.StatusOK, "Hello, %s", ginconnect.Principal(c).AccountID)
	})
	router.GET("/api/me", ginconnect.Authenticate(app, core.ContextToken), func(c *gin.Context) {
		c.JSON(http.StatusOK, ginconnect.Principal(c).AccountID)
	})

	ctx := context.Background()
	site, err := fakehost.New(fakehost.Config{
		App:       fakehost.Descriptor{Key: "com.example.app", BaseURL: server.URL},
		Keys:      keys,
		AccountID: "Ada",
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	show := func(answer fakehost.Answer, err error) {
		fmt.Printf("%d %s %v\n", answer.StatusCode, answer.Body, err)
	}
	show(site.Install(ctx))
	show(site.Get(ctx, "/panel"))
	show(site.Do(ctx, http.MethodGet, "/api/me", site.ContextToken(), nil))
	show(site.Do(ctx, http.MethodGet, "/panel", nil, nil))

	// Output:
	// 204  <nil>
	// 200 Hello, Ada <nil>
	// 200 "Ada" <nil>
	// 401  <nil>
}
