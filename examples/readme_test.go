package examples_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func readme(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// blocks returns the fenced code of the README in the language.
func blocks(t *testing.T, language string) (code []string) {
	t.Helper()
	for _, match := range regexp.MustCompile("(?ms)^```"+language+"\n(.*?)^```$").FindAllStringSubmatch(readme(t), -1) {
		code = append(code, match[1])
	}
	if len(code) == 0 {
		t.Fatalf("the README has no %s code", language)
	}
	return code
}

// TestTheGoCodeOfTheREADMECompiles finds each piece of it, byte by byte, in a file of this module, which compiles.
func TestTheGoCodeOfTheREADMECompiles(t *testing.T) {
	t.Parallel()
	var sources []string
	err := filepath.WalkDir(".", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
			return err
		}
		source, err := os.ReadFile(path)
		sources = append(sources, string(source))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, code := range blocks(t, "go") {
		if !slices.ContainsFunc(sources, func(source string) bool { return strings.Contains(source, code) }) {
			t.Errorf("no file of the examples has this code of the README:\n%s", code)
		}
	}
}

func TestTheREADMENamesTheTwoCommands(t *testing.T) {
	t.Parallel()
	if want := "go run ./examples/tour\ngo test work\n"; !slices.Contains(blocks(t, "sh"), want) {
		t.Errorf("the README has no code that is just\n%s", want)
	}
}

func TestTheLinksOfTheREADMELeadSomewhere(t *testing.T) {
	t.Parallel()
	links := regexp.MustCompile(`\]\(([^)#]+)`).FindAllStringSubmatch(readme(t), -1)
	if len(links) == 0 {
		t.Fatal("the README has no links")
	}
	for _, link := range links {
		if _, err := os.Stat(filepath.Join("..", link[1])); err != nil {
			t.Errorf("the README links to %s: %v", link[1], err)
		}
	}
}
