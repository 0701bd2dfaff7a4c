package main

import "slices"

// prefix and a directory of the repository make the path of the module there.
const prefix = "github.com/hostbond/hostbond"

// release says which modules of the workspace are tagged next, and with what.
type release struct {
	version     string // of all of them; it is what modules require of their siblings until then, too
	published   []module
	unpublished []string // the directories of the others, which may require what they like
}

// module is one that is tagged.
type module struct {
	dir string

	// requires are the modules that it may require, beside its siblings and what all those bring along. Everyone who
	// uses the module gets them, so each is a decision, written down here once more.
	requires []string
}

var next = release{
	version: "v0.1.0",
	published: []module{
		{"core", []string{
			"github.com/go-json-experiment/json",
			"github.com/golang-jwt/jwt/v5",
			"github.com/hashicorp/golang-lru/v2",
			"golang.org/x/sync",
			"golang.org/x/time",
		}},
		{"ginconnect", []string{"github.com/gin-gonic/gin"}},
		{"echoconnect", []string{"github.com/labstack/echo/v4"}},
		{"fiberconnect", []string{"github.com/gofiber/fiber/v2"}},
		{"gormstore", []string{"gorm.io/gorm"}},
	},
	unpublished: []string{"bench", "examples", "gormstore/integration"},
}

// dirs returns the directories of all modules.
func (r release) dirs() []string {
	dirs := slices.Clone(r.unpublished)
	for _, m := range r.published {
		dirs = append(dirs, m.dir)
	}
	return dirs
}
