// Command quickstart is the app of the README.
package main

import (
	"context"
	"log"
	"net/http"
	"os"

	"github.com/gin-gonic/gin"
	"github.com/glebarez/sqlite"
	"gorm.io/gorm"

	"github.com/hostbond/hostbond/core"
	"github.com/hostbond/hostbond/ginconnect"
	"github.com/hostbond/hostbond/gormstore"
)

func main() {
	db := must(gorm.Open(sqlite.Open("app.db?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)" +
		"&_pragma=busy_timeout(5000)&_txlock=immediate")))
	store := must(gormstore.New(db, must(gormstore.ParseKeyring(os.Getenv("SEAL_KEYS")))))
	check(store.AutoMigrate(context.Background()))

	config := must(core.ConfigFromEnv()) // APP_KEY and BASE_URL, at least
	config.Store = store
	app := must(core.New(config))

	router := gin.New()
	router.RedirectTrailingSlash = false                         // its redirects repeat the token, and print it
	router.Use(gin.LoggerWithFormatter(ginconnect.LogFormatter)) // Gin's own prints tokens
	ginconnect.Mount(router, app)                                // the descriptor and the lifecycle callbacks
	router.GET("/panel", ginconnect.Authenticate(app), func(c *gin.Context) {
		c.String(http.StatusOK, "Hello, %s", ginconnect.Principal(c).AccountID)
	})
	check(router.Run())
}

func must[T any](value T, err error) T {
	check(err)
	return value
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
