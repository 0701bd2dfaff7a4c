package requirements

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/hostbond/hostbond/core"
)

const document = "../../../docs/requirements.md"

var (
	rowOfTable = regexp.MustCompile(`(?m)^\| R(\d+) \| (.+) \| (.+) \|$`)
	testName   = regexp.MustCompile("`(Test\\w+)`")
	link       = regexp.MustCompile(`\]\(([^)]+)\)`)
	numbered   = regexp.MustCompile(`^TestR(\d\d)`)
)

func TestTheDocumentNamesEachRequirementAndItsTest(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	tests := testsOfThisPackage(t)
	var numbers []string
	named := map[string]bool{}
	for _, row := range rowOfTable.FindAllStringSubmatch(string(text), -1) {
		number, shown := row[1], row[3]
		numbers = append(numbers, number)
		names := testName.FindAllStringSubmatch(shown, -1)
		for _, name := range names {
			named[name[1]] = true
			if want := fmt.Sprintf("TestR%02s", number); !strings.HasPrefix(name[1], want) {
				t.Errorf("R%s names %s, want a test whose name begins with %s", number, name[1], want)
			}
		}
		if len(names) == 0 && !strings.Contains(shown, "Not yet") && !link.MatchString(shown) {
			t.Errorf("R%s names no test, nor where it is documented, nor that it is not met yet", number)
		}
	}
	var want []string
	for n := 1; n <= 51; n++ {
		if n <= 31 || n >= 38 {
			want = append(want, fmt.Sprint(n))
		}
	}
	if !slices.Equal(numbers, want) {
		t.Errorf("the document has the requirements %q, want each of %q once, in this order", numbers, want)
	}
	for _, name := range testName.FindAllStringSubmatch(string(text), -1) {
		if !slices.Contains(tests, name[1]) {
			t.Errorf("the document names %s, which is not there", name[1])
		}
	}
	for _, test := range tests {
		if numbered.MatchString(test) && !named[test] {
			t.Errorf("%s is not in the document", test)
		}
	}
}

// testsOfThisPackage returns the names of the tests in this directory.
func testsOfThisPackage(t *testing.T) (names []string) {
	t.Helper()
	files, err := filepath.Glob("*_test.go")
	if err != nil || len(files) == 0 {
		t.Fatalf("got %d files, %v, want those of this package", len(files), err)
	}
	for _, file := range files {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, declaration := range parsed.Decls {
			f, ok := declaration.(*ast.FuncDecl)
			if ok && f.Recv == nil && strings.HasPrefix(f.Name.Name, "Test") {
				names = append(names, f.Name.Name)
			}
		}
	}
	return names
}

func TestWhatTheDocumentPointsToIsThere(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	for _, found := range link.FindAllStringSubmatch(string(text), -1) {
		if _, err := os.Stat(filepath.Join(filepath.Dir(document), found[1])); err != nil {
			t.Errorf("a link leads nowhere: %v", err)
		}
	}
	types := map[string]reflect.Type{
		"App": reflect.TypeFor[*core.App](), "Config": reflect.TypeFor[core.Config](),
		"Installation": reflect.TypeFor[core.Installation](), "Principal": reflect.TypeFor[core.Principal](),
	}
	names := regexp.MustCompile("`(App|Config|Installation|Principal)\\.(\\w+)`").FindAllStringSubmatch(string(text), -1)
	if len(names) == 0 {
		t.Error("the document names nothing of core")
	}
	for _, name := range names {
		of := types[name[1]]
		_, there := of.MethodByName(name[2])
		if of.Kind() == reflect.Struct && !there {
			_, there = of.FieldByName(name[2])
		}
		if !there {
			t.Errorf("the document names %s.%s, which core does not have", name[1], name[2])
		}
	}
}
