package admin_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hostbond/hostbond/core"
	"github.com/hostbond/hostbond/core/admin"
	"github.com/hostbond/hostbond/core/memstore"
)

// manyRows is a store with so many installations that they do not fit anywhere.
type manyRows struct {
	core.Store
	rows   int
	took   time.Duration // a page of them takes
	breaks int           // the first row that cannot be read; 0 for none
	listed int           // so far
}

func (s *manyRows) List(ctx context.Context, appKey, after string, limit int) (page []*core.Installation, err error) {
	if s.took > 0 {
		select {
		case <-time.After(s.took):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	first := 1
	if after != "" {
		if _, err := fmt.Sscanf(after, "site-%d", &first); err != nil {
			return nil, err
		}
		first++
	}
	for n := first; n <= s.rows && len(page) < limit; n++ {
		if n == s.breaks {
			return nil, errDown
		}
		page = append(page, &core.Installation{
			Key: core.Key{AppKey: appKey, ClientKey: fmt.Sprintf("site-%09d", n)}, State: core.Installed, Signing: core.SignedRS256,
		})
	}
	s.listed += len(page)
	return page, nil
}

// handlerOn returns the handler of an app on the store, without a guard that would be in the way.
func handlerOn(t *testing.T, store core.Store, log io.Writer) http.Handler {
	t.Helper()
	app := newApp(t, core.Config{
		AppKey: appKey, BaseURL: "https://app.example.com", Store: store, Logger: slog.New(slog.NewTextHandler(log, nil)),
	})
	return admin.Handler(app, func(*http.Request) bool { return true })
}

// taker takes an answer, and remembers no more of it than the last few bytes.
type taker struct {
	header http.Header
	taken  func(rows int) // is told after each write how many there are so far
	rows   int
	end    []byte
}

func (w *taker) Header() http.Header { return w.header }
func (w *taker) WriteHeader(int)     {}
func (w *taker) Write(text []byte) (int, error) {
	w.rows += bytes.Count(text, []byte(`"clientKey":"site-`))
	w.end = append(w.end, text...)
	w.end = bytes.Clone(w.end[max(0, len(w.end)-10):])
	w.taken(w.rows)
	return len(text), nil
}

func TestTheListIsSentWhileItIsRead(t *testing.T) {
	t.Parallel()
	const rows, page = 100_000, 200
	store := &manyRows{Store: memstore.New(), rows: rows}
	ahead := 0
	w := &taker{header: http.Header{}, taken: func(taken int) { ahead = max(ahead, store.listed-taken) }}
	handlerOn(t, store, io.Discard).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/admin/installations", nil))

	if w.rows != rows || !strings.HasSuffix(string(w.end), "}\n]\n") {
		t.Errorf("got %d installations and the end %q, want %d in an array that is closed", w.rows, w.end, rows)
	}
	if ahead > page {
		t.Errorf("%d installations were read and not sent, want a page of %d at most", ahead, page)
	}
}

func TestAnArrayThatBreaksOffIsSeenToByTheCaller(t *testing.T) {
	t.Parallel()
	log := new(journal)
	server := httptest.NewServer(handlerOn(t, &manyRows{Store: memstore.New(), rows: 2000, breaks: 1001}, log))
	t.Cleanup(server.Close)
	response, err := http.Get(server.URL + "/admin/installations")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("got %v at the end of the body, want the connection cut", err)
	}
	if got := bytes.Count(text, []byte("clientKey")); got == 0 || got > 1000 {
		t.Errorf("got %d installations, want some of the thousand before the fault", got)
	}
	if json.Valid(text) {
		t.Error("the broken array is JSON, and could be taken for a whole one")
	}
	if lines := log.lines("broke off", "call=installations"); len(lines) != 1 {
		t.Errorf("got %q in the log, want one line that says it", lines)
	}
}

// An adaptor sends nothing before the end, and a panic would end the process of Fiber.
func TestAnArrayThatBreaksOffHasAnotherStatusBehindAnAdaptor(t *testing.T) {
	t.Parallel()
	status := http.StatusOK
	w := &adaptor{header: http.Header{}, status: &status}
	handlerOn(t, &manyRows{Store: memstore.New(), rows: 2000, breaks: 1001}, io.Discard).
		ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/admin/installations", nil))
	if status != http.StatusServiceUnavailable || json.Valid(w.body.Bytes()) {
		t.Errorf("got %d and a body of %d bytes, valid: %v; want 503 and an array that is not closed",
			status, w.body.Len(), json.Valid(w.body.Bytes()))
	}
}

// adaptor collects an answer as fasthttpadaptor does: the last status wins.
type adaptor struct {
	header http.Header
	status *int
	body   bytes.Buffer
}

func (w *adaptor) Header() http.Header            { return w.header }
func (w *adaptor) WriteHeader(status int)         { *w.status = status }
func (w *adaptor) Write(text []byte) (int, error) { return w.body.Write(text) }

func TestAListThatCannotBeReadAtAllIsAnError(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(handlerOn(t, &manyRows{Store: memstore.New(), rows: 2000, breaks: 1}, io.Discard))
	t.Cleanup(server.Close)
	w := &world{url: server.URL}
	w.get(t, "/admin/installations").wantError(t, http.StatusServiceUnavailable, "not finished")
}

// inPipes serves the handler as a program would, with time-outs, on connections that hold nothing back, by HTTP/1 or HTTP/2.
// It returns a client.
func inPipes(t *testing.T, handler http.Handler, http2 bool) *http.Client {
	t.Helper()
	protocols := new(http.Protocols)
	protocols.SetHTTP1(!http2)
	protocols.SetUnencryptedHTTP2(http2)
	listener := &pipes{calls: make(chan net.Conn), closed: make(chan struct{})}
	server := &http.Server{
		Handler: handler, Protocols: protocols, ReadTimeout: 10 * time.Second, WriteTimeout: 15 * time.Second,
	}
	go func() { _ = server.Serve(listener) }()
	transport := &http.Transport{Protocols: protocols, DialContext: func(context.Context, string, string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		listener.calls <- theirs
		return ours, nil
	}}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		_ = server.Close()
	})
	return &http.Client{Transport: transport}
}

type pipes struct {
	calls  chan net.Conn
	closed chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case conn := <-p.calls:
		return conn, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}
func (p *pipes) Close() error   { close(p.closed); return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

func TestALongAnswerOutlastsTheTimeoutsOfTheServer(t *testing.T) {
	t.Parallel()
	const rows = 20_000 // 100 pages, and so 90 seconds
	for _, http2 := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			store := &manyRows{Store: memstore.New(), rows: rows, took: 900 * time.Millisecond}
			client := inPipes(t, handlerOn(t, store, io.Discard), http2)
			read := func(target string, value any) {
				t.Helper()
				response, err := client.Get("http://app" + target)
				if err != nil {
					t.Fatalf("HTTP/2 %v: %s: %v", http2, target, err)
				}
				defer response.Body.Close()
				if err := json.NewDecoder(response.Body).Decode(value); err != nil {
					t.Fatalf("HTTP/2 %v: %s: %v", http2, target, err)
				}
			}
			var all []core.TenantStatus
			if read("/admin/installations", &all); len(all) != rows {
				t.Errorf("got %d installations, want %d", len(all), rows)
			}
			var report core.Report
			if read("/admin/progress", &report); report.Total != rows {
				t.Errorf("got a report of %d installations, want %d", report.Total, rows)
			}
		})
	}
}

func TestACallerWhoStopsReadingStopsTheList(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := &manyRows{Store: memstore.New(), rows: 1_000_000}
		log := new(journal)
		response, err := inPipes(t, handlerOn(t, store, log), false).Get("http://app/admin/installations")
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		<-time.After(time.Minute)
		synctest.Wait()
		if store.listed > 1000 {
			t.Errorf("%d installations were read for a caller who reads nothing", store.listed)
		}
		if lines := log.lines("broke off"); len(lines) != 1 {
			t.Errorf("got %q in the log, want that the list broke off after a while", lines)
		}
	})
}
