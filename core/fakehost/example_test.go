package fakehost_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/hostbond/hostbond/core/fakehost"
)

// tracing is an app that believes everything it is told, and prints it. Do not imitate it.
func tracing(w http.ResponseWriter, r *http.Request) {
	var payload map[string]any
	_ = json.NewDecoder(r.Body).Decode(&payload)
	fmt.Println("app:  ", r.Method, r.URL.Path, payload["clientKey"])
	w.WriteHeader(http.StatusNoContent)
}

// A site installs an app, loads a page of it, and rotates its secret. The answer to the rotation is lost, so the site
// goes back to the secret it had, though the app has accepted the new one.
func Example() {
	app := httptest.NewServer(http.HandlerFunc(tracing))
	defer app.Close()
	ctx := context.Background()

	site, err := fakehost.New(fakehost.Config{
		App:       fakehost.Descriptor{Key: "com.example.app", BaseURL: app.URL},
		Keys:      new(fakehost.Keys),
		ClientKey: "a-client-key",
		Seed:      "example",
	})
	if err != nil {
		fmt.Println(err)
		return
	}

	_, err = site.Install(ctx)
	fmt.Println("site: installed:", site.Installed(), err)
	before := site.Fingerprint()

	page, err := site.Get(ctx, "/panel?issue=HB-1")
	fmt.Println("site: page:", page.StatusCode, err)

	site.LoseNextAnswer()
	_, err = site.Rotate(ctx)
	fmt.Println("site:", err)
	fmt.Println("site: on the old secret:", site.Fingerprint() == before, errors.Is(err, fakehost.ErrNoAnswer))

	_, err = site.Rotate(ctx)
	fmt.Println("site: on the old secret:", site.Fingerprint() == before, err)

	// Output:
	// app:   POST /installed a-client-key
	// site: installed: true <nil>
	// app:   GET /panel <nil>
	// site: page: 204 <nil>
	// app:   POST /installed a-client-key
	// site: fakehost: no answer to installed: the answer was lost
	// site: on the old secret: true true
	// app:   POST /installed a-client-key
	// site: on the old secret: false <nil>
}

// A thief who has read a callback in a log replays its token with a body of his own. The site has no part in it.
func ExampleCallback_Post() {
	app := httptest.NewServer(http.HandlerFunc(tracing))
	defer app.Close()
	ctx := context.Background()

	site, err := fakehost.New(fakehost.Config{
		App:       fakehost.Descriptor{Key: "com.example.app", BaseURL: app.URL},
		Keys:      new(fakehost.Keys),
		ClientKey: "a-client-key",
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	stolen := site.Callback(fakehost.Installed)
	if _, err = stolen.Send(ctx); err != nil {
		fmt.Println(err)
		return
	}
	stolen.Payload["clientKey"] = "another-client-key"
	stolen.Payload["sharedSecret"] = "a secret of the thief's own"

	answer, err := stolen.Post(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	if answer.Accepted() {
		fmt.Println("the app has been robbed")
	}

	// The claims could be forged as well, but not with Atlassian's key.
	stolen.Token.Claims["iss"] = "another-client-key"
	stolen.Token.Header["alg"] = "none"
	if answer, err = stolen.Post(ctx); err == nil && answer.Accepted() {
		fmt.Println("the app has been robbed again")
	}

	// Output:
	// app:   POST /installed a-client-key
	// app:   POST /installed another-client-key
	// the app has been robbed
	// app:   POST /installed another-client-key
	// the app has been robbed again
}

// An app-wide secret is offered to every site, also again and again.
func ExampleCallback_Offer() {
	app := httptest.NewServer(http.HandlerFunc(tracing))
	defer app.Close()

	for _, clientKey := range []string{"site-1", "site-2"} {
		site, err := fakehost.New(fakehost.Config{
			App:       fakehost.Descriptor{Key: "com.example.app", BaseURL: app.URL, Symmetric: true},
			ClientKey: clientKey,
		})
		if err != nil {
			fmt.Println(err)
			return
		}
		if _, err := site.Callback(fakehost.Installed).Offer("one secret for the whole app").Send(context.Background()); err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println("site: ", site.Fingerprint()[:12])
	}
	// Output:
	// app:   POST /installed site-1
	// site:  2ce76381bc2f
	// app:   POST /installed site-2
	// site:  2ce76381bc2f
}
