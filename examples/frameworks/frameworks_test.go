// Package frameworks_test holds docs/frameworks.md against what the frameworks do.
package frameworks_test

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/gin-gonic/gin"
	"github.com/gofiber/fiber/v2"
	"github.com/labstack/echo/v4"

	"github.com/hostbond/hostbond/core"
	"github.com/hostbond/hostbond/core/adaptertest"
	"github.com/hostbond/hostbond/core/httpconnect"
	"github.com/hostbond/hostbond/core/qsh"
	"github.com/hostbond/hostbond/echoconnect"
	"github.com/hostbond/hostbond/fiberconnect"
	"github.com/hostbond/hostbond/ginconnect"
)

var update = flag.Bool("update", false, "write what the frameworks do to odd targets into docs/frameworks.md")

// frameworks are apps that differ in nothing but the framework, which has its defaults.
var frameworks = []struct {
	name  string
	mount adaptertest.Mount
}{
	{"net/http", mountNetHTTP},
	{"Gin", mountGin},
	{"Echo", mountEcho},
	{"Fiber", mountFiber},
}

func mountNetHTTP(s *adaptertest.Setup) func(net.Listener) error {
	authenticate := httpconnect.Authenticate(s.App)
	handler := authenticate(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, s.Report(r.Context(), adaptertest.Seen{
			Request: httpconnect.Request(r), Principal: httpconnect.Principal(r),
		}))
	}))
	mux, root := http.NewServeMux(), http.NewServeMux()
	mux.Handle("/echo/", handler)
	mux.Handle("GET /nested", handler)
	root.Handle(s.Prefix+"/", http.StripPrefix(s.Prefix, mux))
	return (&http.Server{Handler: root}).Serve
}

func mountGin(s *adaptertest.Setup) func(net.Listener) error {
	gin.SetMode(gin.ReleaseMode)
	engine := gin.New()
	group := engine.Group(s.Prefix, ginconnect.Authenticate(s.App))
	handler := func(c *gin.Context) {
		c.String(http.StatusOK, s.Report(c.Request.Context(), adaptertest.Seen{
			Request: httpconnect.Request(c.Request), Principal: ginconnect.Principal(c),
		}))
	}
	group.Any("/echo/*rest", handler)
	group.GET("/nested", handler)
	return (&http.Server{Handler: engine}).Serve
}

func mountEcho(s *adaptertest.Setup) func(net.Listener) error {
	e := echo.New()
	authenticate := echoconnect.Authenticate(s.App)
	handler := func(c echo.Context) error {
		return c.String(http.StatusOK, s.Report(c.Request().Context(), adaptertest.Seen{
			Request: httpconnect.Request(c.Request()), Principal: echoconnect.Principal(c),
		}))
	}
	group := e.Group(s.Prefix)
	group.Any("/echo/*", handler, authenticate)
	group.GET("/nested", handler, authenticate)
	return (&http.Server{Handler: e}).Serve
}

func mountFiber(s *adaptertest.Setup) func(net.Listener) error {
	app := fiber.New(fiber.Config{DisableStartupMessage: true})
	authenticate := fiberconnect.Authenticate(s.App)
	handler := func(c *fiber.Ctx) error {
		header := &c.Request().Header
		return c.SendString(s.Report(c.UserContext(), adaptertest.Seen{
			Request:   core.Request{Method: string(header.Method()), Target: string(header.RequestURI())},
			Principal: fiberconnect.Principal(c),
		}))
	}
	group := app.Group(s.Prefix)
	group.All("/echo/*", authenticate, handler)
	group.Get("/nested", authenticate, handler)
	return app.Listener
}

const frameworksPage = "../../docs/frameworks.md"

// The table is between these lines.
const (
	tableBegins = "<!-- The table is made by: go test ./examples/frameworks -update -->\n"
	tableEnds   = "<!-- The table ends. -->\n"
)

func TestFrameworksPageSaysWhatBecomesOfOddTargets(t *testing.T) {
	page, err := os.ReadFile(frameworksPage)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, begins := strings.Cut(string(page), tableBegins)
	_, after, ends := strings.Cut(rest, tableEnds)
	if !begins || !ends {
		t.Fatalf("%s has no place for the table, between %q and %q", frameworksPage, tableBegins, tableEnds)
	}
	want := before + tableBegins + oddTargets(t) + tableEnds + after
	if *update {
		if err := os.WriteFile(frameworksPage, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if string(page) != want {
		t.Errorf("%s says something else than the frameworks do; mend it with -update. Want:\n%s", frameworksPage, want)
	}
}

// oddTargets returns, in Markdown, which odd targets reach every adapter and what is stopped before.
func oddTargets(t *testing.T) string {
	t.Helper()
	var columns [][]adaptertest.Target
	head, rule := "| what is odd | request |", "| --- | --- |"
	for _, framework := range frameworks {
		columns = append(columns, adaptertest.Targets(t, framework.mount))
		head += " " + framework.name + " |"
		rule += " --- |"
	}
	rows := []string{head, rule}
	var reached []string
	for n, target := range columns[0] {
		request := code(target.Method + " " + target.Target)
		stopped := false
		row := "| " + target.Name + " | " + request + " |"
		for _, column := range columns {
			outcome := column[n].Outcome
			if outcome == adaptertest.Reached {
				row += " yes |"
				continue
			}
			stopped = true
			if status, location, redirects := strings.Cut(outcome, " to "); redirects {
				outcome = status + " to " + code(location)
			}
			row += " " + outcome + " |"
		}
		if stopped {
			rows = append(rows, row)
		} else {
			reached = append(reached, "- "+target.Name+": "+request)
		}
	}
	return "\nNot everywhere do these reach the adapter. A status is how the framework answers by itself:\n\n" +
		strings.Join(rows, "\n") + "\n\nThese reach the adapter in all four:\n\n" + strings.Join(reached, "\n") + "\n\n"
}

// code returns text as Markdown code.
func code(text string) string {
	if !utf8.ValidString(text) {
		text = strings.Trim(strconv.Quote(text), `"`)
	}
	if long := strings.Repeat("a", 100); strings.Contains(text, long) {
		text = text[:strings.Index(text, long)] + "aaa…"
	}
	fence := "`"
	if strings.Contains(text, fence) {
		fence = "``"
	}
	return fence + strings.ReplaceAll(text, "|", `\|`) + fence
}

// vector is a request with what Atlassian's own implementation made of it.
type vector struct {
	ID          int    `json:"id"`
	Kind        string `json:"kind"`
	Method      string `json:"method"`
	Path        string `json:"path"`
	ContextPath string `json:"contextPath"`
	RawQuery    string `json:"rawQuery"`
	Canonical   string `json:"canonical"`
	QSH         string `json:"qsh"`
}

// TestAtlassiansVectorsPassEachFramework sends them to a catch-all route, each with a token for its hash.
func TestAtlassiansVectorsPassEachFramework(t *testing.T) {
	t.Parallel()
	var targets []adaptertest.Target
	for _, v := range readVectors(t) {
		path := strings.TrimPrefix(strings.TrimPrefix(v.Path, v.ContextPath), "/")
		target := "/connect/echo/" + path + "?" + withoutToken(v.RawQuery)
		// The vector's canonical request, below the catch-all route.
		parts := strings.SplitN(v.Canonical, "&", 3)
		sum := sha256.Sum256([]byte(parts[0] + "&" + strings.TrimSuffix("/echo"+parts[1], "/") + "&" + parts[2]))
		if got, want := qsh.Hash(v.Method, target, "/connect"), hex.EncodeToString(sum[:]); got != want {
			t.Errorf("vector %d: got the hash %s, want %s", v.ID, got, want)
		}
		targets = append(targets, adaptertest.Target{Name: "vector " + strconv.Itoa(v.ID), Method: v.Method, Target: target})
	}
	for _, framework := range frameworks {
		t.Run(framework.name, func(t *testing.T) {
			t.Parallel()
			all := adaptertest.Targets(t, framework.mount, targets...)
			for _, target := range all[len(all)-len(targets):] {
				// Some frameworks know no method in lower case.
				if target.Outcome != adaptertest.Reached && target.Method == strings.ToUpper(target.Method) {
					t.Errorf("%s: %s %q: got %s, want %s",
						target.Name, target.Method, target.Target, target.Outcome, adaptertest.Reached)
				}
			}
		})
	}
}

// withoutToken returns the query without the parameter that is no part of the hash.
func withoutToken(query string) string {
	return strings.Join(slices.DeleteFunc(strings.Split(query, "&"), func(pair string) bool {
		return strings.HasPrefix(pair, "jwt=")
	}), "&")
}

// readVectors reads the vectors, which are no part of this repository. They are in the directory HOSTBOND_VECTORS, or
// beside the checkout. Without either it skips the test, but fails it when CI=true.
func readVectors(t *testing.T) (vectors []vector) {
	t.Helper()
	dir := os.Getenv("HOSTBOND_VECTORS")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared", "vectors")
		if _, err := os.Stat(dir); err != nil && os.Getenv("CI") != "true" {
			t.Skip("vectors: none beside the checkout, and HOSTBOND_VECTORS is not set")
		}
	}
	data, err := os.ReadFile(filepath.Join(dir, "qsh-random.jsonl"))
	if err != nil {
		t.Fatalf("vectors: %v", err)
	}
	for lines := bufio.NewScanner(bytes.NewReader(data)); lines.Scan(); {
		decoder := json.NewDecoder(bytes.NewReader(lines.Bytes()))
		decoder.DisallowUnknownFields()
		var v vector
		if err := decoder.Decode(&v); err != nil {
			t.Fatalf("vectors: %v", err)
		}
		vectors = append(vectors, v)
	}
	if len(vectors) == 0 {
		t.Fatal("vectors: the file is empty")
	}
	return vectors
}
