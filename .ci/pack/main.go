// Pack knows what a release consists of. It checks that the go.mod files of the repository fit together, and packs the
// modules that are tagged as a module proxy would serve them:
//
//	go run . REPOSITORY           only checks
//	go run . REPOSITORY PROXY     checks, packs the commit HEAD into the directory PROXY, and prints what it packed
package main

import (
	"errors"
	"fmt"
	"os"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) < 1 || len(args) > 2 {
		return errors.New("usage: pack REPOSITORY [PROXY]")
	}
	if err := next.check(args[0]); err != nil {
		return err
	}
	if len(args) == 1 {
		return nil
	}
	for _, m := range next.published {
		if err := pack(args[0], m.dir, next.version, args[1]); err != nil {
			return err
		}
		fmt.Printf("%s/%s@%s\n", prefix, m.dir, next.version)
	}
	return nil
}
