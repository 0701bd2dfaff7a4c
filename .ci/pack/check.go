package main

import (
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/mod/modfile"
)

// check reports every rule that the go.mod files of the workspace in root break.
func (r release) check(root string) error {
	data, err := os.ReadFile(filepath.Join(root, "go.work"))
	if err != nil {
		return err
	}
	work, err := modfile.ParseWork("go.work", data, nil)
	if err != nil {
		return err
	}
	var errs []error
	var used []string
	for _, use := range work.Use {
		dir := path.Clean(use.Path)
		used = append(used, dir)
		if !slices.Contains(r.dirs(), dir) {
			errs = append(errs, fmt.Errorf("go.work: %s is listed neither as published nor as unpublished", dir))
		}
	}
	for _, dir := range r.dirs() {
		if !slices.Contains(used, dir) {
			errs = append(errs, fmt.Errorf("go.work: %s is not used", dir))
			continue
		}
		errs = append(errs, r.checkModule(root, dir, work.Go.Version))
	}
	return errors.Join(errs...)
}

// checkModule reports every rule that the go.mod file in one directory breaks.
func (r release) checkModule(root, dir, goVersion string) error {
	name := path.Join(dir, "go.mod")
	data, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
	if err != nil {
		return err
	}
	mod, err := modfile.Parse(name, data, nil)
	if err != nil {
		return err
	}
	var errs []error
	fault := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf(name+": "+format, args...))
	}
	if want := path.Join(prefix, dir); mod.Module.Mod.Path != want {
		fault("the module is %s, want %s", mod.Module.Mod.Path, want)
	}
	if mod.Go == nil || mod.Go.Version != goVersion {
		fault("does not say go %s, as go.work does", goVersion)
	}
	// With the directory of each sibling in its place, a module builds without the workspace too. Nothing else is
	// replaced, since whoever requires the module builds without its replacements.
	replaced := map[string]bool{}
	for _, replace := range mod.Replace {
		replaced[replace.Old.Path] = true
		if replace.New.Version != "" || path.Join(prefix, dir, replace.New.Path) != replace.Old.Path {
			fault("replaces %s by something else than its directory here", replace.Old.Path)
		}
	}
	at := slices.IndexFunc(r.published, func(m module) bool { return m.dir == dir })
	for _, require := range mod.Require {
		sibling, isSibling := strings.CutPrefix(require.Mod.Path, prefix+"/")
		switch {
		case !isSibling:
			if at >= 0 && !require.Indirect && !slices.Contains(r.published[at].requires, require.Mod.Path) {
				fault("requires %s, which is not listed for it", require.Mod.Path)
			}
		case dir == "core":
			// A module with a replacement cannot be run by `go run …@version`.
			fault("requires a sibling: %s", require.Mod.Path)
		case at >= 0 && slices.Contains(r.unpublished, sibling):
			fault("requires %s, which is never published", require.Mod.Path)
		case require.Mod.Version != r.version:
			fault("requires %s %s, want %s", require.Mod.Path, require.Mod.Version, r.version)
		case !replaced[require.Mod.Path]:
			fault("does not replace %s by its directory here", require.Mod.Path)
		}
	}
	return errors.Join(errs...)
}
