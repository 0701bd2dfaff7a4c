// Package runs says how often the tests of reliability run, from which seed, and holds docs/reliability.md to it.
package runs

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
)

// Scaled returns n, or a twentieth of it with -short and under the race detector, which makes everything so much slower.
func Scaled(n int) int {
	if few() {
		return max(1, n/20)
	}
	return n
}

func few() bool { return raceDetector || testing.Short() }

// Seed returns what the random choices of a test begin from: HOSTBOND_SEED, or else 1, so that a change is not blamed
// for what an unlucky number has found. It is logged.
func Seed(t testing.TB) uint64 {
	t.Helper()
	text := os.Getenv("HOSTBOND_SEED")
	if text == "" {
		text = "1"
	}
	seed, err := strconv.ParseUint(text, 10, 63)
	if err != nil || seed == 0 {
		t.Fatalf("HOSTBOND_SEED: %q is no positive number", text)
	}
	t.Logf("HOSTBOND_SEED=%d", seed)
	return seed
}

// documentation is seen from the packages beside internal.
const documentation = "../../../docs/reliability.md"

// Documented fails the test unless docs/reliability.md has a table with the row what and the column where, and promises
// no more there than the n runs that were made.
func Documented(t testing.TB, what, where string, n int) {
	t.Helper()
	if few() || t.Failed() {
		return
	}
	text, err := os.ReadFile(documentation)
	if err != nil {
		t.Fatal(err)
	}
	promised, err := cell(string(text), what, where)
	if err != nil {
		t.Fatalf("docs/reliability.md: %v", err)
	}
	if n < promised {
		t.Errorf("docs/reliability.md: %s, %s: %d are promised, but %d were run", what, where, promised, n)
	}
}

// cell returns the number in the row and column of the first table that has them.
func cell(document, row, column string) (int, error) {
	index := -1
	for line := range strings.Lines(document) {
		cells := cells(line)
		switch {
		case cells == nil:
			index = -1
		case index < 0:
			for n, heading := range cells {
				if heading == column {
					index = n
				}
			}
		case cells[0] == row && index < len(cells):
			number := strings.ReplaceAll(cells[index], ",", "")
			return strconv.Atoi(number)
		}
	}
	return 0, fmt.Errorf("there is no table with the row %q and the column %q", row, column)
}

// cells returns the cells of a line of a table, or nil.
func cells(line string) []string {
	line = strings.TrimSpace(line)
	if !strings.HasPrefix(line, "|") {
		return nil
	}
	cells := strings.Split(strings.Trim(line, "|"), "|")
	for n := range cells {
		cells[n] = strings.TrimSpace(cells[n])
	}
	return cells
}
