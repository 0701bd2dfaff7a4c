package examples_test

import (
	"bufio"
	"fmt"
	"io"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/hostbond/hostbond/core/fakehost"

	// What the programs are built of, so that go test keeps no result for longer than that stays as it is.
	_ "github.com/hostbond/hostbond/core/httpconnect"
	_ "github.com/hostbond/hostbond/echoconnect"
	_ "github.com/hostbond/hostbond/examples/internal/exampleapp"
	_ "github.com/hostbond/hostbond/fiberconnect"
	_ "github.com/hostbond/hostbond/ginconnect"
)

// frameworks are the directories of the same app. The first is what the others are compared with.
var frameworks = []string{"nethttp", "gin", "echo", "fiber"}

// programs is where TestMain puts what build builds.
var programs string

func TestMain(m *testing.M) {
	var err error
	if programs, err = os.MkdirTemp("", "hostbond-examples-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	_ = os.RemoveAll(programs)
	os.Exit(code)
}

// build builds the examples, with the race detector if the test has it.
var build = sync.OnceValue(func() error {
	arguments := []string{"build", "-o", programs + "/"}
	if info, ok := debug.ReadBuildInfo(); ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"}) {
		arguments = append(arguments, "-race")
	}
	for _, framework := range frameworks {
		arguments = append(arguments, "./"+framework)
	}
	if output, err := exec.Command("go", arguments...).CombinedOutput(); err != nil {
		return fmt.Errorf("go %s: %w\n%s", strings.Join(arguments, " "), err, output)
	}
	return nil
})

// inEach runs a test for each of the frameworks.
func inEach(t *testing.T, test func(t *testing.T, framework string)) {
	for _, framework := range frameworks {
		t.Run(framework, func(t *testing.T) {
			t.Parallel()
			test(t, framework)
		})
	}
}

// program is an example that runs.
type program struct {
	port string // that it says it listens on, or "" if it has ended before
	url  string // where it is on this machine

	command *exec.Cmd
	output  strings.Builder
	ended   chan struct{} // closed when output is complete
}

// start starts an example with these variables as its whole environment.
func start(t *testing.T, framework string, environment ...string) *program {
	t.Helper()
	if err := build(); err != nil {
		t.Fatal(err)
	}
	p := &program{command: exec.Command(filepath.Join(programs, framework)), ended: make(chan struct{})}
	p.command.Env = slices.Concat([]string{"PORT=0"}, environment)
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	p.command.Stdout, p.command.Stderr = writer, writer
	if err := p.command.Start(); err != nil {
		t.Fatal(err)
	}
	_ = writer.Close()
	t.Cleanup(func() { p.kill() })

	listening := make(chan string, 1)
	go p.read(reader, listening)
	select {
	case p.port = <-listening:
		p.url = "http://127.0.0.1:" + p.port
	case <-p.ended:
	}
	return p
}

// read reads what the program prints, to its end, and sends the port that it listens on.
func (p *program) read(reader io.ReadCloser, listening chan<- string) {
	defer close(p.ended)
	defer func() { _ = reader.Close() }()
	for lines := bufio.NewScanner(reader); lines.Scan(); {
		p.output.WriteString(lines.Text() + "\n")
		if _, address, found := strings.Cut(lines.Text(), "listening address="); found {
			address, _, _ = strings.Cut(address, " ")
			listening <- address[strings.LastIndex(address, ":")+1:]
		}
	}
}

// wait waits for the end of the program, and returns its exit code and all that it has printed.
func (p *program) wait() (code int, output string) {
	<-p.ended
	_ = p.command.Wait() // the exit code says it
	return p.command.ProcessState.ExitCode(), p.output.String()
}

// kill ends the program at once.
func (p *program) kill() {
	_ = p.command.Process.Kill() // it may have ended
	p.wait()
}

// stop asks the program to stop, and returns what it has printed.
func (p *program) stop(t *testing.T) (output string) {
	t.Helper()
	if err := p.command.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	code, output := p.wait()
	if code != 0 { // 66 after a race
		t.Errorf("after SIGTERM: got exit code %d, want 0:\n%s", code, output)
	}
	return output
}

// keyHost returns what signs installs, and the variable that tells a program where its public keys are.
func keyHost(t *testing.T) (*fakehost.Keys, string) {
	t.Helper()
	keys := new(fakehost.Keys)
	server := httptest.NewServer(keys)
	t.Cleanup(server.Close)
	return keys, "INSTALL_KEYS_URL=" + server.URL
}

// newSite returns a site that may install the program, which it reaches below the path.
func newSite(t *testing.T, p *program, path string, keys *fakehost.Keys) *fakehost.Site {
	t.Helper()
	if p.port == "" {
		_, output := p.wait()
		t.Fatalf("the program does not listen:\n%s", output)
	}
	app, err := fakehost.ReadDescriptor(t.Context(), nil, p.url+path+"/atlassian-connect.json")
	if err != nil {
		t.Fatal(err)
	}
	// With a seed, so that the same site, with the same secrets, may install each of the programs.
	site, err := fakehost.New(fakehost.Config{
		AppURL: p.url + path, App: app, Keys: keys, AccountID: "an-account", Seed: "the site",
	})
	if err != nil {
		t.Fatal(err)
	}
	return site
}
