package admin_test

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/hostbond/hostbond/core"
	"github.com/hostbond/hostbond/core/admin"
	"github.com/hostbond/hostbond/core/memstore"
)

// A secret was seen where it does not belong. The operator looks for whom it verifies, and then revokes it.
func Example() {
	app, err := core.New(core.Config{
		AppKey: "com.example.app", BaseURL: "https://app.example.com", Store: memstore.New(),
		Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	mux := http.NewServeMux()
	mux.Handle("/admin/", admin.Handler(app, admin.BearerToken("what-openssl-rand-has-made")))

	const leaked = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
	for _, body := range []string{
		`{"fingerprint":"` + leaked + `","dryRun":true}`,
		`{"fingerprint":"` + leaked + `","reason":"in a screenshot","dryrun":true}`,
		`{"fingerprint":"` + leaked + `","reason":"in a screenshot"}`,
	} {
		request := httptest.NewRequest(http.MethodPost, "/admin/revoke", strings.NewReader(body))
		request.Header.Set("Authorization", "Bearer what-openssl-rand-has-made")
		request.Header.Set("Content-Type", "application/json")
		answer := httptest.NewRecorder()
		mux.ServeHTTP(answer, request)
		text, _ := io.ReadAll(answer.Body)
		fmt.Print(answer.Code, " ", string(text))
	}
	// Output:
	// 200 []
	// 400 {"error":"\"dryrun\" is no member of what this call takes"}
	// 200 {"installations":0}
}
