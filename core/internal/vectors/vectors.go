// Package vectors reads test vectors of the outside world, which are not part of this repository. It is for tests only.
package vectors

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"testing"
)

// directory names the environment variable that says where the vectors are. Without it they are looked for beside the
// checkout, in ../shared/vectors from its root.
const directory = "HOSTBOND_VECTORS"

// Read returns a file of the vectors. Where there are no vectors it skips the test, but fails it when CI=true, so that
// nobody takes a run without them for a full one.
func Read(tb testing.TB, name string) []byte {
	tb.Helper()
	dir, err := find()
	switch {
	case err != nil && os.Getenv("CI") == "true":
		tb.Fatal(err)
	case err != nil:
		tb.Skip(err)
	}
	data, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(name)))
	if err != nil {
		tb.Fatalf("vectors: %v", err)
	}
	return data
}

// Load reads a JSON file into a T. A member that T does not know fails the test, and so does an empty list in T: tests
// that no longer test anything must not pass.
func Load[T any](tb testing.TB, name string) T {
	tb.Helper()
	corpus, err := decode[T](Read(tb, name))
	if err != nil {
		tb.Fatalf("vectors: %s: %v", name, err)
	}
	return corpus
}

// Lines is [Load] for a file of one JSON value a line.
func Lines[T any](tb testing.TB, name string) []T {
	tb.Helper()
	corpus, err := decodeLines[T](Read(tb, name))
	if err != nil {
		tb.Fatalf("vectors: %s: %v", name, err)
	}
	return corpus
}

func find() (dir string, err error) {
	if dir = os.Getenv(directory); dir != "" {
		return dir, nil
	}
	// A test runs in the directory of its package, somewhere below the root.
	root, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		parent := filepath.Dir(root)
		if parent == root {
			return "", fmt.Errorf("vectors: none beside the checkout, and %s is not set", directory)
		}
		dir = filepath.Join(parent, "shared", "vectors")
		if info, err := os.Stat(dir); err == nil && info.IsDir() {
			return dir, nil
		}
		root = parent
	}
}

var errEmpty = errors.New("empty corpus")

func decode[T any](data []byte) (corpus T, err error) {
	corpus, err = strict[T](data)
	if err == nil && hasEmptyList(reflect.ValueOf(corpus)) {
		err = errEmpty
	}
	return corpus, err
}

func decodeLines[T any](data []byte) (corpus []T, err error) {
	for line := range bytes.Lines(data) {
		value, err := strict[T](line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", len(corpus)+1, err)
		}
		corpus = append(corpus, value)
	}
	if len(corpus) == 0 {
		return nil, errEmpty
	}
	return corpus, nil
}

func strict[T any](data []byte) (value T, err error) {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&value); err != nil {
		return value, err
	}
	if _, err := decoder.Token(); err != io.EOF {
		return value, errors.New("more than one JSON value")
	}
	return value, nil
}

// hasEmptyList looks at the corpus and its fields, not deeper: a vector may well hold an empty list.
func hasEmptyList(corpus reflect.Value) bool {
	switch corpus.Kind() {
	case reflect.Slice, reflect.Map:
		return corpus.Len() == 0
	case reflect.Struct:
		for _, field := range corpus.Fields() {
			if field.Kind() == reflect.Slice && field.Len() == 0 {
				return true
			}
		}
	}
	return false
}
