package main

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// small is a release of two modules, with examples beside them.
var small = release{
	version: "v0.1.0",
	published: []module{
		{"core", []string{"example.com/jwt"}},
		{"web", []string{"example.com/framework"}},
	},
	unpublished: []string{"examples"},
}

// proper are the files of small, which break no rule.
var proper = map[string]string{
	"go.work": `go 1.26.0
use ./core
use ./web
use ./examples
`,
	"core/go.mod": `module github.com/hostbond/hostbond/core
go 1.26.0
require example.com/jwt v1.0.0
`,
	"web/go.mod": `module github.com/hostbond/hostbond/web
go 1.26.0
require example.com/framework v1.0.0
require example.com/jwt v1.0.0 // indirect
require github.com/hostbond/hostbond/core v0.1.0
replace github.com/hostbond/hostbond/core => ../core
`,
	"examples/go.mod": `module github.com/hostbond/hostbond/examples
go 1.26.0
require example.com/anything v1.0.0
require github.com/hostbond/hostbond/core v0.1.0
replace github.com/hostbond/hostbond/core => ../core
`,
}

func write(t *testing.T, files map[string]string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for name, content := range files {
		name = filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestAProperWorkspacePasses(t *testing.T) {
	t.Parallel()
	if err := small.check(write(t, proper)); err != nil {
		t.Error(err)
	}
}

func TestEachBrokenRuleIsReported(t *testing.T) {
	t.Parallel()
	const path = "github.com/hostbond/hostbond/"
	for _, test := range []struct {
		rule, file, old, new string
		want                 string
	}{
		{
			"every module of the workspace is listed", "go.work",
			"use ./core\n", "use ./core\nuse ./bench\n",
			"go.work: bench is listed neither as published nor as unpublished",
		},
		{
			"every listed module is in the workspace", "go.work",
			"use ./examples\n", "",
			"go.work: examples is not used",
		},
		{
			"a module's path ends in its directory", "web/go.mod",
			"module " + path + "web", "module " + path + "net",
			"web/go.mod: the module is " + path + "net, want " + path + "web",
		},
		{
			"all modules have one go line", "web/go.mod",
			"go 1.26.0", "go 1.25.0",
			"web/go.mod: does not say go 1.26.0, as go.work does",
		},
		{
			"all modules carry one version", "examples/go.mod",
			path + "core v0.1.0", path + "core v0.0.9",
			"examples/go.mod: requires " + path + "core v0.0.9, want v0.1.0",
		},
		{
			"a sibling is replaced by its directory", "web/go.mod",
			"replace " + path + "core => ../core\n", "",
			"web/go.mod: does not replace " + path + "core by its directory here",
		},
		{
			"nothing else is replaced", "web/go.mod",
			"replace ", "replace example.com/framework => ../framework\nreplace ",
			"web/go.mod: replaces example.com/framework by something else than its directory here",
		},
		{
			"a published module requires published ones only", "web/go.mod",
			"replace ", "require " + path + "examples v0.1.0\nreplace " + path + "examples => ../examples\nreplace ",
			"web/go.mod: requires " + path + "examples, which is never published",
		},
		{
			"core requires no sibling", "core/go.mod",
			"require ", "require " + path + "web v0.1.0\nreplace " + path + "web => ../web\nrequire ",
			"core/go.mod: requires a sibling: " + path + "web",
		},
		{
			"every dependency is listed", "web/go.mod",
			"require ", "require example.com/driver v1.0.0\nrequire ",
			"web/go.mod: requires example.com/driver, which is not listed for it",
		},
	} {
		t.Run(test.rule, func(t *testing.T) {
			t.Parallel()
			files := maps.Clone(proper)
			files[test.file] = strings.Replace(files[test.file], test.old, test.new, 1)
			err := small.check(write(t, files))
			if err == nil || err.Error() != test.want {
				t.Errorf("got  %v\nwant %s", err, test.want)
			}
		})
	}
}
