package vectors

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

type corpus struct {
	Source string   `json:"source"`
	Tests  []vector `json:"tests"`
}

type vector struct {
	Name   string   `json:"name"`
	Values []string `json:"values"`
}

func TestDecodeTakesACorpus(t *testing.T) {
	t.Parallel()
	got, err := decode[corpus]([]byte(`{"source": "s", "tests": [{"name": "a", "values": []}]}`))
	if err != nil || len(got.Tests) != 1 || got.Tests[0].Name != "a" {
		t.Errorf("got %+v, %v, want the one vector a", got, err)
	}
	lines, err := decodeLines[vector]([]byte("{\"name\": \"a\"}\n{\"name\": \"b\"}\n"))
	if err != nil || len(lines) != 2 || lines[1].Name != "b" {
		t.Errorf("got %+v, %v, want the vectors a and b", lines, err)
	}
}

func TestDecodeRefuses(t *testing.T) {
	t.Parallel()
	for name, data := range map[string]string{
		"an unknown member":           `{"tests": [{"name": "a"}], "more": 1}`,
		"an unknown member of a test": `{"tests": [{"name": "a", "more": 1}]}`,
		"a second value":              `{"tests": [{"name": "a"}]} {}`,
		"no value":                    ``,
		"another type":                `{"tests": {}}`,
	} {
		if got, err := decode[corpus]([]byte(data)); err == nil {
			t.Errorf("%s: got %+v, want an error", name, got)
		}
	}
	if _, err := decodeLines[vector]([]byte("{\"name\": \"a\"}\nno JSON\n")); err == nil ||
		!strings.HasPrefix(err.Error(), "line 2: ") {
		t.Errorf("got %v, want an error that names line 2", err)
	}
}

func TestDecodeRefusesAnEmptyCorpus(t *testing.T) {
	t.Parallel()
	for _, data := range []string{`{}`, `{"tests": []}`, `{"tests": null}`} {
		if _, err := decode[corpus]([]byte(data)); !errors.Is(err, errEmpty) {
			t.Errorf("%s: got %v, want %v", data, err, errEmpty)
		}
	}
	if _, err := decode[[]vector]([]byte(`[]`)); !errors.Is(err, errEmpty) {
		t.Errorf("empty list: got %v, want %v", err, errEmpty)
	}
	if _, err := decodeLines[vector](nil); !errors.Is(err, errEmpty) {
		t.Errorf("no lines: got %v, want %v", err, errEmpty)
	}
}

// report is a test whose end can be looked at.
type report struct {
	testing.TB
	skipped, failed bool
}

func (r *report) Helper()               {}
func (r *report) Skip(...any)           { r.skipped = true; panic(r) }
func (r *report) Fatal(...any)          { r.failed = true; panic(r) }
func (r *report) Fatalf(string, ...any) { r.failed = true; panic(r) }

func reportOf(load func(testing.TB)) *report {
	r := &report{}
	func() {
		defer func() { _ = recover() }()
		load(r)
	}()
	return r
}

func TestTheVariableNamesTheDirectory(t *testing.T) {
	dir := t.TempDir()
	t.Setenv(directory, dir)
	data := []byte(`{"source": "s", "tests": [{"name": "a"}]}`)
	if err := os.WriteFile(filepath.Join(dir, "one.json"), data, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := Load[corpus](t, "one.json"); got.Source != "s" {
		t.Errorf("got source %q, want %q", got.Source, "s")
	}
	if r := reportOf(func(tb testing.TB) { Read(tb, "two.json") }); !r.failed {
		t.Errorf("missing file: got %+v, want a failure, even outside CI", r)
	}
}

func TestVectorsBesideTheCheckoutAreFound(t *testing.T) {
	root := t.TempDir()
	want := filepath.Join(root, "shared", "vectors")
	below := filepath.Join(root, "checkout", "core", "qsh")
	for _, dir := range []string{want, below} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv(directory, "")
	t.Chdir(below)
	if got, err := find(); got != want || err != nil {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
}

func TestWithoutVectorsATestSkipsButFailsInCI(t *testing.T) {
	t.Setenv(directory, "")
	t.Chdir(t.TempDir())
	if dir, err := find(); err == nil {
		t.Skipf("the temporary directory has vectors beside it: %s", dir)
	}
	read := func(tb testing.TB) { Read(tb, "one.json") }

	t.Setenv("CI", "")
	if r := reportOf(read); !r.skipped || r.failed {
		t.Errorf("outside CI: got %+v, want a skip", r)
	}
	t.Setenv("CI", "true")
	if r := reportOf(read); r.skipped || !r.failed {
		t.Errorf("in CI: got %+v, want a failure", r)
	}
}
