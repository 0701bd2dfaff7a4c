package bench

import (
	"net/http"

	ginjwt "github.com/appleboy/gin-jwt/v2"
	"github.com/gin-gonic/gin"
	fiberjwt "github.com/gofiber/contrib/jwt"
	"github.com/gofiber/fiber/v2"
	echojwt "github.com/labstack/echo-jwt/v4"
	"github.com/labstack/echo/v4"

	"github.com/hostbond/hostbond/core/httpconnect"
	"github.com/hostbond/hostbond/echoconnect"
	"github.com/hostbond/hostbond/fiberconnect"
	"github.com/hostbond/hostbond/ginconnect"
)

// Gin compares with appleboy/gin-jwt. It puts Gin into release mode.
func Gin(t *Traffic) (Comparison, error) {
	gin.SetMode(gin.ReleaseMode)
	program := func(name string, middleware ...gin.HandlerFunc) Program {
		router := gin.New()
		router.Use(middleware...)
		router.GET("/panel", func(c *gin.Context) { c.Status(http.StatusOK) })
		return Program{name, t, overNetHTTP(router)}
	}
	rival, err := ginjwt.New(&ginjwt.GinJWTMiddleware{
		Realm:         "bench",
		Key:           []byte(secret),
		IdentityKey:   "sub",
		TokenHeadName: "JWT",
	})
	if err != nil {
		return Comparison{}, err
	}
	return Comparison{"Gin", []Program{
		program("bare"),
		program("hostbond", ginconnect.Authenticate(t.App)),
		program("gin-jwt", rival.MiddlewareFunc()),
	}}, nil
}

// Echo compares with labstack/echo-jwt.
func Echo(t *Traffic) (Comparison, error) {
	program := func(name string, middleware ...echo.MiddlewareFunc) Program {
		router := echo.New()
		router.GET("/panel", func(c echo.Context) error { return c.NoContent(http.StatusOK) }, middleware...)
		return Program{name, t, overNetHTTP(router)}
	}
	rival, err := echojwt.Config{
		SigningKey:  []byte(secret),
		TokenLookup: "header:Authorization:JWT ",
	}.ToMiddleware()
	if err != nil {
		return Comparison{}, err
	}
	return Comparison{"Echo", []Program{
		program("bare"),
		program("hostbond", echoconnect.Authenticate(t.App)),
		program("echo-jwt", rival),
	}}, nil
}

// Fiber compares with gofiber/contrib/jwt.
func Fiber(t *Traffic) (Comparison, error) {
	program := func(name string, middleware ...fiber.Handler) Program {
		app := fiber.New()
		app.Get("/panel", append(middleware, func(c *fiber.Ctx) error {
			c.Status(http.StatusOK)
			return nil
		})...)
		return Program{name, t, overFastHTTP(app.Handler())}
	}
	rival := fiberjwt.New(fiberjwt.Config{
		SigningKey:  fiberjwt.SigningKey{JWTAlg: fiberjwt.HS256, Key: []byte(secret)},
		TokenLookup: "header:Authorization",
		AuthScheme:  "JWT",
	})
	return Comparison{"Fiber", []Program{
		program("bare"),
		program("hostbond", fiberconnect.Authenticate(t.App)),
		program("contrib-jwt", rival),
	}}, nil
}

// NetHTTP has no rival: net/http brings no middleware for tokens.
func NetHTTP(t *Traffic) (Comparison, error) {
	handler := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
	program := func(name string, handler http.Handler) Program {
		mux := http.NewServeMux()
		mux.Handle("GET /panel", handler)
		return Program{name, t, overNetHTTP(mux)}
	}
	return Comparison{"net/http", []Program{
		program("bare", handler),
		program("hostbond", httpconnect.Authenticate(t.App)(handler)),
	}}, nil
}
