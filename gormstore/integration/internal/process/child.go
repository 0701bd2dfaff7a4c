package process

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hostbond/hostbond/core"
)

// listening is what a child prints before its address.
const listening = "listening "

// patience is how long a child may take to stop.
const patience = 15 * time.Second

// Child is an app in a process of its own. It is an [http.RoundTripper], which sends every request to that app.
type Child struct {
	command   *exec.Cmd
	stdin     io.Closer
	stopped   bool          // asked to stop; only the test's goroutine asks
	listening chan struct{} // closed when address is set
	address   string
	ended     chan struct{} // closed when the process is no more
	output    output
	transport *http.Transport
}

// Start starts a child, and does not wait for it: the first request does. It ends with the test, and fails it if it has
// ended by itself.
func Start(t testing.TB, config Config) *Child {
	t.Helper()
	c, err := newChild(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Kill()
		if code := c.command.ProcessState.ExitCode(); !c.stopped && code != killed {
			t.Errorf("an app has ended by itself, with exit code %d:\n%s", code, c.Output())
		}
	})
	return c
}

func newChild(ctx context.Context, config Config) (*Child, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(config)
	if err != nil {
		return nil, err
	}
	c := &Child{
		command:   exec.CommandContext(ctx, program),
		listening: make(chan struct{}),
		ended:     make(chan struct{}),
		transport: &http.Transport{MaxIdleConnsPerHost: 64},
	}
	c.command.Env = append(os.Environ(), environment+"="+string(text), "GORACE=halt_on_error=1")
	c.command.Stderr = &c.output
	if c.stdin, err = c.command.StdinPipe(); err != nil {
		return nil, err
	}
	stdout, err := c.command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := c.command.Start(); err != nil {
		return nil, err
	}
	go c.wait(stdout)
	return c, nil
}

// wait follows the process to its end.
func (c *Child) wait(stdout io.Reader) {
	defer close(c.ended)
	for lines := bufio.NewScanner(stdout); lines.Scan(); {
		if address, found := strings.CutPrefix(lines.Text(), listening); found {
			c.address = address
			close(c.listening)
		}
	}
	_ = c.command.Wait() // the exit code says it
	c.transport.CloseIdleConnections()
}

// killed is the exit code of a process that did not exit.
const killed = -1

// Ended is closed when the process is no more.
func (c *Child) Ended() <-chan struct{} { return c.ended }

// Kill ends the process at once, as kill -9 does, and waits until it is no more.
func (c *Child) Kill() {
	_ = c.command.Process.Kill() // it may have ended
	<-c.ended
}

// Stop asks the app to stop, and waits until it has. No request may be under way.
func (c *Child) Stop() error {
	c.stopped = true
	_ = c.stdin.Close()
	select {
	case <-c.ended:
	case <-time.After(patience):
		c.Kill()
	}
	if code := c.command.ProcessState.ExitCode(); code != 0 {
		return fmt.Errorf("process: the app was asked to stop and ended with exit code %d:\n%s", code, c.Output())
	}
	return nil
}

// Output returns what the app has logged.
func (c *Child) Output() string { return c.output.String() }

// RoundTrip sends the request to the app, whatever host it is meant for.
func (c *Child) RoundTrip(r *http.Request) (*http.Response, error) {
	select {
	case <-c.listening:
	case <-c.ended:
		return nil, errors.New("process: the app has ended before it could listen")
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
	request := r.Clone(r.Context())
	request.URL.Scheme, request.URL.Host = "http", c.address
	return c.transport.RoundTrip(request)
}

// SetAhead sets by how much the app's clock is ahead of the real one.
func (c *Child) SetAhead(ctx context.Context, ahead time.Duration) error {
	return c.tell(ctx, http.MethodPost, clockPath, ahead, nil)
}

// SetFuse makes the app kill itself at a statement to come.
func (c *Child) SetFuse(ctx context.Context, fuse Fuse) error {
	return c.tell(ctx, http.MethodPost, fusePath, fuse, nil)
}

// Statements returns how often the app has made each statement to its database: see [Fuse] for their names.
func (c *Child) Statements(ctx context.Context) (made map[string]int, err error) {
	return made, c.tell(ctx, http.MethodGet, statementsPath, nil, &made)
}

// Adopt has the app adopt all stored copies of its app-wide secrets, and waits for the end.
func (c *Child) Adopt(ctx context.Context) (moved core.Moved, err error) {
	return moved, c.tell(ctx, http.MethodPost, adoptPath, nil, &moved)
}

// tell sends a value to the child, and reads one where there is an answer.
func (c *Child) tell(ctx context.Context, method, path string, value, answer any) error {
	body, err := json.Marshal(value)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, method, BaseURL+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	response, err := (&http.Client{Transport: c}).Do(request)
	if err != nil {
		return fmt.Errorf("%w:\n%s", err, c.Output())
	}
	defer func() { _ = response.Body.Close() }()
	switch {
	case response.StatusCode >= http.StatusMultipleChoices:
		return fmt.Errorf("process: %s: status %d", path, response.StatusCode)
	case answer == nil:
		return nil
	default:
		return json.NewDecoder(response.Body).Decode(answer)
	}
}

// output is what a process prints while others read it.
type output struct {
	mu   sync.Mutex
	text strings.Builder
}

func (o *output) Write(text []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(text)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}
