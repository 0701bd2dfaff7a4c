package installkeys_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hostbond/hostbond/core/installkeys"
)

func TestHostMustBeHTTPSOrLoopback(t *testing.T) {
	t.Parallel()
	for _, host := range []string{
		"https://keys.example", "https://keys.example/", "https://keys.example:8443/a/path", "HTTPS://KEYS.EXAMPLE",
		"http://localhost:8080", "http://LOCALHOST", "http://127.0.0.1:8080", "http://127.9.9.9", "http://[::1]:8080/keys",
	} {
		newKeys(t, nil, nil, host)
	}
	for host, reason := range map[string]string{
		"":                                   "not an absolute URL",
		"keys.example":                       "not an absolute URL",
		"/keys":                              "not an absolute URL",
		"https://":                           "not an absolute URL",
		"https:keys.example":                 "not an absolute URL",
		"https://keys.example:port":          "not an absolute URL",
		"https://u:secret@keys.example:port": "not an absolute URL",
		"http://keys.example":                "http://keys.example is neither https",
		"http://10.0.0.1":                    "http://10.0.0.1 is neither https",
		"http://127.0.0.1.keys.example":      "http://127.0.0.1.keys.example is neither https",
		"http://localhost.keys.example":      "http://localhost.keys.example is neither https",
		"http://[fe80::1]":                   "http://[fe80::1] is neither https",
		"ftp://keys.example":                 "ftp://keys.example is neither https",
		"file://localhost/etc/keys":          "file://localhost is neither https",
		"https://u:secret@keys.example":      "https://keys.example has userinfo",
		"https://@keys.example":              "https://keys.example has userinfo",
		"https://keys.example?secret=1":      "https://keys.example has a query or a fragment",
		"https://keys.example/?":             "https://keys.example has a query or a fragment",
		"https://keys.example/#secret":       "https://keys.example has a query or a fragment",
		"https://keys.example#":              "https://keys.example has a query or a fragment",
	} {
		_, err := installkeys.New(installkeys.Config{Hosts: []string{"https://good.example", host}})
		if want := "installkeys: Hosts[1]: " + reason; err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("host %q: got the error %v, want %q", host, err, want)
		} else if strings.Contains(err.Error(), "secret") {
			t.Errorf("host %q: the error %q shows its credentials", host, err)
		}
	}
}

func TestAnswersOfHosts(t *testing.T) {
	t.Parallel()
	key := publicKey(2048, 65537)
	answers := map[string]func() (*http.Response, error){
		"key":     func() (*http.Response, error) { return response(http.StatusOK, pemOf(t, key)) },
		"html":    func() (*http.Response, error) { return response(http.StatusOK, "<html>not found</html>") },
		"refused": func() (*http.Response, error) { return nil, &net.OpError{Op: "dial", Err: errors.New("refused")} },
		"broken": func() (*http.Response, error) {
			body := io.MultiReader(strings.NewReader(pemOf(t, key)), errReader{io.ErrUnexpectedEOF})
			return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(body)}, nil
		},
	}
	for _, status := range []int{201, 204, 206, 301, 302, 304, 307, 400, 401, 403, 404, 410, 429, 500, 502, 503} {
		answers[fmt.Sprint(status)] = func() (*http.Response, error) { return response(status, pemOf(t, key)) }
	}
	for hosts, want := range map[string]error{
		"key": nil, "403 key": nil, "404 key": nil, "html key": nil,
		"500 key": nil, "302 key": nil, "refused key": nil, "broken key": nil, "429 key": nil,

		"403": installkeys.ErrUnknown, "404": installkeys.ErrUnknown, "html": installkeys.ErrUnknown,
		"403 404": installkeys.ErrUnknown, "html 404": installkeys.ErrUnknown, "404 html": installkeys.ErrUnknown,

		"201": installkeys.ErrUnavailable, "204": installkeys.ErrUnavailable, "206": installkeys.ErrUnavailable,
		"301": installkeys.ErrUnavailable, "302": installkeys.ErrUnavailable, "304": installkeys.ErrUnavailable,
		"307": installkeys.ErrUnavailable, "400": installkeys.ErrUnavailable, "401": installkeys.ErrUnavailable,
		"410": installkeys.ErrUnavailable, "429": installkeys.ErrUnavailable, "500": installkeys.ErrUnavailable,
		"502": installkeys.ErrUnavailable, "503": installkeys.ErrUnavailable,
		"refused": installkeys.ErrUnavailable, "broken": installkeys.ErrUnavailable,
		"404 503": installkeys.ErrUnavailable, "503 404": installkeys.ErrUnavailable,
		"refused html": installkeys.ErrUnavailable,
	} {
		t.Run(hosts, func(t *testing.T) {
			t.Parallel()
			var names []string
			for answer := range strings.FieldsSeq(hosts) {
				names = append(names, "https://"+answer+".example")
			}
			tr := &transport{answer: func(r *http.Request) (*http.Response, error) {
				answer, _, _ := strings.Cut(r.URL.Host, ".")
				return answers[answer]()
			}}
			keys := newKeys(t, tr, nil, names...)
			if want == nil {
				wantKey(t, keys, kid, key)
			} else {
				wantError(t, keys, kid, want)
			}
			if got := len(tr.requests()); got != len(names) {
				t.Errorf("%d of %d hosts were asked", got, len(names))
			}
		})
	}
}

type errReader struct{ err error }

func (r errReader) Read([]byte) (int, error) { return 0, r.err }

func TestHTML403IsUnknown(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprint(w, "<html><body>AccessDenied</body></html>")
	}))
	defer server.Close()
	wantError(t, newKeys(t, nil, nil, server.URL), kid, installkeys.ErrUnknown)
}

func TestRequestIsPlain(t *testing.T) {
	t.Parallel()
	key := publicKey(2048, 65537)
	file := pemOf(t, key)
	var requests atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		if r.Method != http.MethodGet || !strings.HasPrefix(r.RequestURI, "/base/key-") || r.UserAgent() != "hostbond" {
			t.Errorf("got %s %s by %q, want GET /base/{kid} by hostbond", r.Method, r.RequestURI, r.UserAgent())
		}
		for _, header := range []string{"Cookie", "Authorization", "Accept-Encoding", "Referer"} {
			if got := r.Header.Get(header); got != "" {
				t.Errorf("the request has the header %s: %s", header, got)
			}
		}
		http.SetCookie(w, &http.Cookie{Name: "session", Value: "1", Path: "/"})
		fmt.Fprint(w, file)
	}))
	defer server.Close()
	keys := newKeys(t, nil, nil, server.URL+"/base/")
	wantKey(t, keys, "key-1", key)
	wantKey(t, keys, "key-2", key)
	if got := requests.Load(); got != 2 {
		t.Errorf("the server saw %d requests, want 2", got)
	}
}

func TestRedirectIsNotFollowed(t *testing.T) {
	t.Parallel()
	key := publicKey(2048, 65537)
	var followed atomic.Bool
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		followed.Store(true)
		fmt.Fprint(w, pemOf(t, key))
	}))
	defer elsewhere.Close()
	server := httptest.NewServer(http.RedirectHandler(elsewhere.URL+"/"+kid, http.StatusFound))
	defer server.Close()
	wantError(t, newKeys(t, nil, nil, server.URL), kid, installkeys.ErrUnavailable)
	if followed.Load() {
		t.Error("the host chose where the key comes from")
	}
}

func TestConnectionIsNotKept(t *testing.T) {
	t.Parallel()
	key := publicKey(2048, 65537)
	file := pemOf(t, key)
	after := make(chan http.ConnState, 2)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, file)
	}))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateIdle || state == http.StateClosed {
			after <- state
		}
	}
	server.Start()
	defer server.Close()
	wantKey(t, newKeys(t, nil, nil, server.URL), kid, key)
	if got := <-after; got != http.StateClosed {
		t.Errorf("after the fetch the connection is %v, and so are the goroutines that serve it", got)
	}
}

func TestBodyIsReadUpToSixteenKiB(t *testing.T) {
	t.Parallel()
	key := publicKey(2048, 65537)
	file := pemOf(t, key)
	for _, test := range []struct {
		name string
		size int
		want error
	}{
		{"just fits", 16 << 10, nil},
		{"one byte over", 16<<10 + 1, installkeys.ErrUnknown},
		{"1 GiB", 1 << 30, installkeys.ErrUnknown},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			padding := io.LimitReader(spaces{}, int64(test.size-len(file)))
			body := &counter{Reader: io.MultiReader(strings.NewReader(file), padding)}
			tr := &transport{answer: func(*http.Request) (*http.Response, error) {
				return &http.Response{StatusCode: http.StatusOK, Body: body}, nil
			}}
			keys := newKeys(t, tr, nil, "https://a.example")
			if test.want == nil {
				wantKey(t, keys, kid, key)
			} else {
				wantError(t, keys, kid, test.want)
			}
			if limit := int64(16<<10 + 1); body.n > limit {
				t.Errorf("%d bytes were read, want at most %d", body.n, limit)
			}
			if !body.closed {
				t.Error("the body was not closed")
			}
		})
	}
}

func TestEndlessBodyIsCutOff(t *testing.T) {
	t.Parallel()
	const size = 1 << 30
	served := make(chan int64, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		n, _ := io.CopyN(w, spaces{}, size)
		served <- n
	}))
	defer server.Close()
	wantError(t, newKeys(t, nil, nil, server.URL), kid, installkeys.ErrUnknown)
	// What is beyond our limit sits in the buffers of the two kernels.
	if n := <-served; n > size/16 {
		t.Errorf("the host could send %d bytes", n)
	}
}

type spaces struct{}

func (spaces) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

type counter struct {
	io.Reader
	n      int64
	closed bool
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n += int64(n)
	return n, err
}

func (c *counter) Close() error {
	c.closed = true
	return nil
}

// stalled answers nothing from the host "slow", and from "trickle" a byte a second.
func stalled(files map[string]string) *transport {
	return &transport{answer: func(r *http.Request) (*http.Response, error) {
		switch r.URL.Host {
		case "slow":
			<-r.Context().Done()
			return nil, r.Context().Err()
		case "trickle":
			return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(trickle{r.Context()})}, nil
		default:
			return response(http.StatusOK, files[r.URL.String()])
		}
	}}
}

type trickle struct{ ctx context.Context }

func (body trickle) Read(p []byte) (int, error) {
	select {
	case <-body.ctx.Done():
		return 0, body.ctx.Err()
	case <-time.After(time.Second):
		p[0] = ' '
		return 1, nil
	}
}

func TestHostHasTwoSeconds(t *testing.T) {
	t.Parallel()
	for _, slow := range []string{"https://slow", "https://trickle"} {
		synctest.Test(t, func(t *testing.T) {
			key := publicKey(2048, 65537)
			tr := stalled(map[string]string{"https://b.example/" + kid: pemOf(t, key)})
			keys := newKeys(t, tr, nil, slow, "https://b.example")
			start := time.Now()
			wantKey(t, keys, kid, key)
			if got := time.Since(start); got != 2*time.Second {
				t.Errorf("%s holds the next host up for %v, want 2s", slow, got)
			}
		})
	}
}

func TestHostTimeoutIsNotTheCallers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		_, err := newKeys(t, stalled(nil), nil, "https://slow", "https://trickle").Key(t.Context(), kid)
		if !errors.Is(err, installkeys.ErrUnavailable) || errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want ErrUnavailable, and no error of a context", err)
		}
		const want = "installkeys: key host unavailable: slow did not answer within 2s; trickle did not answer within 2s"
		if err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
		if got := time.Since(start); got != 4*time.Second {
			t.Errorf("two slow hosts take %v, want 4s", got)
		}
	})
}

func TestErrorsQuoteNothingThatAHostSent(t *testing.T) {
	t.Parallel()
	const marker = "marker-5c9e"
	for name, raw := range map[string]string{
		"HTML":               "HTTP/1.1 200 OK\r\nContent-Length: 24\r\n\r\n<html>" + marker + "</html>",
		"bad base64":         "HTTP/1.1 200 OK\r\n\r\n-----BEGIN PUBLIC KEY-----" + marker + "-----END PUBLIC KEY-----",
		"status text":        "HTTP/1.1 503 " + marker + "\r\n\r\n" + marker,
		"redirect":           "HTTP/1.1 302 Found\r\nLocation: http://" + marker + "/\r\n\r\n",
		"bad redirect":       "HTTP/1.1 302 Found\r\nLocation: ://" + marker + "\r\n\r\n",
		"no HTTP":            marker + "\r\n\r\n",
		"bad header":         "HTTP/1.1 200 OK\r\n" + marker + "\r\n\r\n",
		"bad version":        "HTTP/" + marker + " 200 OK\r\n\r\n",
		"bad content length": "HTTP/1.1 200 OK\r\nContent-Length: " + marker + "\r\n\r\n",
		"bad chunk":          "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + marker + "\r\n",
		"bad coding":         "HTTP/1.1 200 OK\r\nTransfer-Encoding: " + marker + "\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := newKeys(t, nil, nil, "http://"+serveRaw(t, raw)).Key(t.Context(), kid)
			if !errors.Is(err, installkeys.ErrUnknown) && !errors.Is(err, installkeys.ErrUnavailable) {
				t.Errorf("got %v, want ErrUnknown or ErrUnavailable", err)
			} else if strings.Contains(err.Error(), marker) {
				t.Errorf("the error %q quotes the host", err)
			}
		})
	}
}

// serveRaw answers every connection with the same bytes and returns its address.
func serveRaw(t *testing.T, answer string) string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			conn.Read(make([]byte, 4096))
			io.WriteString(conn, answer)
			conn.Close()
		}
	}()
	return listener.Addr().String()
}

func TestErrorTellsTheOperatorWhichHostFailedAndHow(t *testing.T) {
	t.Parallel()
	down := serveRaw(t, "")
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := listener.Addr().String()
	listener.Close()
	untrusted := httptest.NewUnstartedServer(http.NotFoundHandler())
	untrusted.Config.ErrorLog = log.New(io.Discard, "", 0)
	untrusted.StartTLS()
	defer untrusted.Close()

	_, err = newKeys(t, nil, nil, "http://"+down, "http://"+closed, untrusted.URL).Key(t.Context(), kid)
	for _, want := range []string{
		"installkeys: key host unavailable: " + down + " failed; ",
		"; " + closed + " failed: dial tcp",
		"; " + untrusted.Listener.Addr().String() + " failed: tls: failed to verify certificate: x509: ",
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want it to say %q", err, want)
		}
	}
}
