package admin

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"log/slog"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/hostbond/hostbond/core"
)

// exchange is a request with its answer, which is in JSON and may be long in coming.
type exchange struct {
	http.ResponseWriter
	request   *http.Request
	ctx       context.Context
	log       *slog.Logger
	deadlines *http.ResponseController
	begun     bool // a part of the answer is written
	streamed  bool // and has left, perhaps
}

// writeTime is how long the caller may take to read what is written at once.
const writeTime = 30 * time.Second

func newExchange(w http.ResponseWriter, r *http.Request, log *slog.Logger) *exchange {
	x := &exchange{
		ResponseWriter: w,
		request:        r,
		log:            log.With("remote", r.RemoteAddr),
		deadlines:      http.NewResponseController(w),
	}
	x.ctx, x.streamed = contextOf(r)
	// The server's time-out is made for pages; to go through all installations may take longer.
	_ = x.deadlines.SetWriteDeadline(time.Time{}) // not every server has one
	header := x.Header()
	header.Set("Content-Type", "application/json")
	header.Set("Cache-Control", "no-store")
	header.Set("X-Content-Type-Options", "nosniff")
	return x
}

// contextOf returns the context of a request that the server of net/http serves. That of an adaptor such as Fiber's may
// belong to another request as soon as this one is answered, and hooks of the app hold it for longer, so they never see it.
func contextOf(r *http.Request) (ctx context.Context, netHTTP bool) {
	if r.Context().Value(http.ServerContextKey) != nil {
		return r.Context(), true
	}
	return context.Background(), false
}

func (x *exchange) write(parts ...[]byte) error {
	x.begun = true
	_ = x.deadlines.SetWriteDeadline(time.Now().Add(writeTime))
	for _, part := range parts {
		if _, err := x.Write(part); err != nil {
			return err
		}
	}
	return nil
}

// answer answers with one value.
func (x *exchange) answer(value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return err
	}
	return x.write(text, []byte("\n"))
}

// stream answers with an array, and keeps no more of it than the row at hand. The bracket at the end says that it is whole.
func stream[T any](x *exchange, rows iter.Seq2[T, error]) error {
	before := []byte("[\n")
	for row, err := range rows {
		if err != nil {
			return err
		}
		text, err := json.Marshal(row)
		if err != nil {
			return err
		}
		if err := x.write(before, text); err != nil {
			return err
		}
		before = []byte(",\n")
	}
	if !x.begun {
		return x.write([]byte("[]\n"))
	}
	return x.write([]byte("\n]\n"))
}

// fault is what the caller did wrong, in words for the caller.
type fault struct {
	status int
	text   string
}

func (f *fault) Error() string { return f.text }

func bad(text string) error { return &fault{http.StatusBadRequest, text} }

// unfinished is what stopped a call, with what was done until then.
type unfinished struct {
	error
	done any
}

func (u *unfinished) Unwrap() error { return u.error }

// result answers with what a call has done, or keeps it for the answer to its error.
func (x *exchange) result(done any, err error) error {
	if err != nil {
		return &unfinished{err, done}
	}
	return x.answer(done)
}

// fail answers a call that could not be served, or not to its end.
func (x *exchange) fail(err error) {
	if x.begun {
		x.log.WarnContext(x.ctx, "an admin answer broke off", "error", err)
		x.abort()
		return
	}
	f := faultOf(err)
	switch {
	case x.ctx.Err() != nil:
		x.log.InfoContext(x.ctx, "the caller of an admin call has gone", "error", err)
	case f.status == http.StatusServiceUnavailable:
		x.log.ErrorContext(x.ctx, "an admin call failed", "error", err)
	}
	var done any
	if u, ok := errors.AsType[*unfinished](err); ok {
		done = u.done
	}
	x.refuse(f.status, f.text, done)
}

// faultOf says of an error what may be told to the caller.
func faultOf(err error) *fault {
	if f, ok := errors.AsType[*fault](err); ok {
		return f
	}
	switch {
	case errors.Is(err, core.ErrNotFound):
		return &fault{http.StatusNotFound, "there is no installation with this client key"}
	case errors.Is(err, core.ErrAlive):
		return &fault{http.StatusConflict, err.Error()} // what it says is for the operator
	case errors.Is(err, core.ErrAppSecrets):
		return &fault{http.StatusServiceUnavailable, "the app-wide secrets are not configured, or cannot be read; the log says more"}
	default:
		return &fault{http.StatusServiceUnavailable, "the call was not finished, and may be made again; the log says why"}
	}
}

// refuse answers with an error and with what was done all the same, if that is not nil.
func (x *exchange) refuse(status int, text string, done any) {
	x.WriteHeader(status)
	_ = x.answer(struct { // it fails only if the caller has gone
		Error string `json:"error"`
		Done  any    `json:"done,omitempty"`
	}{text, done})
}

// abort shows the caller that the answer is not whole.
func (x *exchange) abort() {
	if x.streamed {
		panic(http.ErrAbortHandler) // closes the connection without the end of the body
	}
	x.WriteHeader(http.StatusServiceUnavailable) // an adaptor sends it with what is written
}

// recovered keeps a panic, of the guard say, from ending a process whose server would not survive it. The value is not
// logged: it may hold a token.
func (x *exchange) recovered() {
	switch v := recover(); v {
	case nil:
	case http.ErrAbortHandler:
		panic(v)
	default:
		x.log.ErrorContext(x.ctx, "panic in an admin call", "stack", string(debug.Stack()))
		if x.begun {
			x.abort()
			return
		}
		x.refuse(http.StatusInternalServerError, "the call failed; the log says where", nil)
	}
}
