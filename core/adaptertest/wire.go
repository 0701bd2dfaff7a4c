package adaptertest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hostbond/hostbond/core"
)

// host is where the app believes to be. Nobody looks it up.
const host = "app.example"

// patience is how long an answer may take. Only an app that never answers makes anybody wait so long.
const patience = 10 * time.Second

// request is a request before it is written, byte by byte.
type request struct {
	method        string
	target        string
	authorization []string // the values of as many fields
	fields        []string // further fields of the header, each a line
	body          string
	chunked       bool // in place of a Content-Length
}

// head returns the request line and the header, with the empty line.
func (r request) head() string {
	lines := []string{r.method + " " + r.target + " HTTP/1.1", "Host: " + host}
	for _, value := range r.authorization {
		lines = append(lines, "Authorization: "+value)
	}
	lines = append(lines, r.fields...)
	switch {
	case r.chunked:
		lines = append(lines, "Transfer-Encoding: chunked")
	case r.body != "" || r.method == http.MethodPost:
		lines = append(lines, "Content-Length: "+strconv.Itoa(len(r.body)))
	}
	return strings.Join(lines, "\r\n") + "\r\n\r\n"
}

// framed returns the body as it is written.
func (r request) framed() string {
	if !r.chunked {
		return r.body
	}
	const size = 4 << 10
	var b strings.Builder
	for rest := r.body; rest != ""; {
		chunk := rest[:min(size, len(rest))]
		rest = rest[len(chunk):]
		fmt.Fprintf(&b, "%x\r\n%s\r\n", len(chunk), chunk)
	}
	return b.String() + "0\r\n\r\n"
}

// core returns what an adapter must hand to the core.
func (r request) core() core.Request {
	return core.Request{
		Method: r.method, Target: r.target, Authorization: r.authorization, Body: strings.NewReader(r.body),
	}
}

// String describes the request in a failure, without its token.
func (r request) String() string {
	return fmt.Sprintf("%s %+q", r.method, core.HideToken(r.target))
}

// answer is what the app answered.
type answer struct {
	status int
	header http.Header
	body   string
	closed bool // the connection cannot be used again
}

// turnsAway reports whether a framework may answer so by itself. It knows nothing of tokens, so 401 is not its to say.
func (a answer) turnsAway() bool {
	return a.status >= 300 && a.status < 500 && a.status != http.StatusUnauthorized || a.status == http.StatusNotImplemented
}

// conn is the client's end of a connection. What it sends are the bytes that it is given.
type conn struct {
	net.Conn
	reader *bufio.Reader
}

func (c *conn) send(text string) error {
	_, err := io.WriteString(c, text)
	return err
}

// receive reads the answer to a request of that method.
func (c *conn) receive(method string) (answer, error) {
	response, err := http.ReadResponse(c.reader, &http.Request{Method: method})
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	return answer{response.StatusCode, response.Header, string(body), response.Close}, err
}

func (c *conn) exchange(r request) (answer, error) {
	if err := c.send(r.head() + r.framed()); err != nil {
		return answer{}, err
	}
	return c.receive(r.method)
}

// server is the app under test on a listener that knows each of its connections.
type server struct {
	net.Listener
	done chan struct{} // closed when the app no longer serves
	err  error         // why; read it after done

	beforeWrite atomic.Pointer[func()] // called before the app writes

	mu   sync.Mutex
	ends map[string]*end // by the address of the client
}

// end is the app's end of a connection.
type end struct {
	*net.TCPConn
	server   *server
	accepted chan struct{} // closed when TCPConn is set
	closed   chan struct{}
	once     sync.Once
	read     atomic.Int64 // bytes that the app has taken
}

func serve(work func(net.Listener) error) (*server, error) {
	listener, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &server{Listener: listener, done: make(chan struct{}), ends: map[string]*end{}}
	go func() {
		if s.err = work(s); s.err == nil {
			s.err = errors.New("its serve function returned")
		}
		close(s.done)
		_ = s.Listener.Close() // so that nobody waits for an app that serves no more
	}()
	return s, nil
}

func (s *server) dial(ctx context.Context) (*conn, error) {
	c, err := new(net.Dialer).DialContext(ctx, "tcp", s.Addr().String())
	if err != nil {
		return nil, err
	}
	return &conn{c, bufio.NewReader(c)}, c.SetDeadline(time.Now().Add(patience))
}

// why adds to the error of a client why the app no longer serves, if so.
func (s *server) why(err error) error {
	select {
	case <-s.done:
		return fmt.Errorf("%w; the app has stopped serving: %w", err, s.err)
	default:
		return err
	}
}

// Accept is for the app.
func (s *server) Accept() (net.Conn, error) {
	c, err := s.Listener.Accept()
	if err != nil {
		return nil, err
	}
	tcp, ok := c.(*net.TCPConn)
	if !ok {
		return nil, errors.New("adaptertest: not a TCP connection")
	}
	e := s.end(tcp.RemoteAddr())
	e.TCPConn = tcp
	close(e.accepted)
	return e, nil
}

// end returns the app's end of the connection of a client, which the app may not have accepted yet.
func (s *server) end(client net.Addr) *end {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, ok := s.ends[client.String()]
	if !ok {
		e = &end{server: s, accepted: make(chan struct{}), closed: make(chan struct{})}
		s.ends[client.String()] = e
	}
	return e
}

// close ends the listener and every connection, and waits for the app to notice.
func (s *server) close() error {
	_ = s.Listener.Close()
	select {
	case <-s.done:
	case <-time.After(patience):
		return errors.New("it still serves though its listener is closed")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.ends {
		select {
		case <-e.accepted:
			_ = e.Close()
		default:
		}
	}
	return nil
}

// Read counts.
func (e *end) Read(p []byte) (int, error) {
	n, err := e.TCPConn.Read(p)
	e.read.Add(int64(n))
	return n, err
}

// Write lets a rule look at the state of things before the answer leaves.
func (e *end) Write(p []byte) (int, error) {
	if look := e.server.beforeWrite.Load(); look != nil {
		(*look)()
	}
	return e.TCPConn.Write(p)
}

// Close tells those who wait that the app is done with the connection.
func (e *end) Close() error {
	e.once.Do(func() { close(e.closed) })
	return e.TCPConn.Close()
}
