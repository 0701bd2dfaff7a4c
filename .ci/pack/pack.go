package main

import (
	"archive/zip"
	"io/fs"
	"os"
	"path/filepath"

	modulepath "golang.org/x/mod/module"
	modulezip "golang.org/x/mod/zip"
)

// pack writes the module in dir of the repository, as of the commit HEAD, to proxy: a directory that GOPROXY can name
// (https://go.dev/ref/mod#goproxy-protocol).
func pack(repository, dir, version, proxy string) error {
	m := modulepath.Version{Path: prefix + "/" + dir, Version: version}
	versions := filepath.Join(proxy, filepath.FromSlash(m.Path), "@v")
	if err := os.MkdirAll(versions, 0o755); err != nil {
		return err
	}
	name := filepath.Join(versions, version)
	if err := writeZip(name+".zip", m, repository, dir); err != nil {
		return err
	}
	mod, err := readMod(name+".zip", m)
	if err != nil {
		return err
	}
	for name, content := range map[string]string{
		name + ".mod":                   string(mod),
		name + ".info":                  `{"Version":"` + version + `"}`,
		filepath.Join(versions, "list"): version + "\n",
	} {
		if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
			return err
		}
	}
	return nil
}

func writeZip(name string, m modulepath.Version, repository, dir string) error {
	file, err := os.Create(name)
	if err != nil {
		return err
	}
	if err := modulezip.CreateFromVCS(file, m, repository, "HEAD", dir); err != nil {
		_ = file.Close()
		return err
	}
	return file.Close()
}

// readMod returns the go.mod file of a packed module.
func readMod(name string, m modulepath.Version) ([]byte, error) {
	archive, err := zip.OpenReader(name)
	if err != nil {
		return nil, err
	}
	defer archive.Close()
	return fs.ReadFile(archive, m.String()+"/go.mod")
}
