package storetest

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/hostbond/hostbond/core"
)

// pager lists the installations of one app.
type pager = func(after string, limit int) ([]*core.Installation, error)

// wrongPager lists in a way of its own, with the right one to draw from.
type wrongPager = func(right pager, after string, limit int) ([]*core.Installation, error)

type pages struct {
	core.Store
	list wrongPager
}

func (s pages) List(ctx context.Context, appKey, after string, limit int) ([]*core.Installation, error) {
	right := func(after string, limit int) ([]*core.Installation, error) {
		return s.Store.List(ctx, appKey, after, limit)
	}
	return s.list(right, after, limit)
}

func listing(list wrongPager) func(core.Store) core.Store {
	return func(right core.Store) core.Store { return pages{right, list} }
}

// listed alters the installations that List returns, and those only.
func listed(alter func(*core.Installation)) func(core.Store) core.Store {
	return listing(func(right pager, after string, limit int) ([]*core.Installation, error) {
		page, err := right(after, limit)
		for _, i := range page {
			alter(i)
		}
		return page, err
	})
}

// prefixesApps takes every app for the one that its key begins with.
type prefixesApps struct {
	core.Store
	apps map[string]bool
}

func (s prefixesApps) Put(ctx context.Context, installation *core.Installation) (int64, error) {
	s.apps[installation.Key.AppKey] = true
	return s.Store.Put(ctx, installation)
}

func (s prefixesApps) List(ctx context.Context, appKey, after string, limit int) ([]*core.Installation, error) {
	return collect(s.apps, appKey, func(app string) ([]*core.Installation, error) {
		return s.Store.List(ctx, app, after, limit)
	})
}

func (s prefixesApps) Find(ctx context.Context, appKey string, by core.By, value string) ([]core.Key, error) {
	return collect(s.apps, appKey, func(app string) ([]core.Key, error) {
		return s.Store.Find(ctx, app, by, value)
	})
}

func collect[T any](apps map[string]bool, prefix string, ask func(app string) ([]T, error)) (all []T, err error) {
	for app := range apps {
		if strings.HasPrefix(app, prefix) {
			some, someErr := ask(app)
			all, err = append(all, some...), cmp.Or(err, someErr)
		}
	}
	return all, err
}

var listFaults = []fault{
	{
		name: "a list in the order of a dictionary",
		wrap: listing(func(right pager, after string, limit int) ([]*core.Installation, error) {
			page, err := right(after, limit)
			slices.SortStableFunc(page, func(a, b *core.Installation) int {
				return strings.Compare(strings.ToLower(a.Key.ClientKey), strings.ToLower(b.Key.ClientKey))
			})
			return page, err
		}),
		breaks: []string{"List/byte order", "List/pages"},
	},
	{
		name: "a list without a limit",
		wrap: listing(func(right pager, after string, _ int) ([]*core.Installation, error) {
			return right(after, 1000)
		}),
		breaks: []string{"List/limit"},
	},
	{
		name: "a list that begins at the given key",
		wrap: listing(func(right pager, after string, limit int) ([]*core.Installation, error) {
			page, err := right("", 1000)
			page = slices.DeleteFunc(page, func(i *core.Installation) bool { return i.Key.ClientKey < after })
			return page[:min(limit, len(page))], err
		}),
		breaks: []string{"List/limit", "List/pages", "List/no more"},
	},
	{
		name: "a list that skips the first row of each further page",
		wrap: listing(func(right pager, after string, limit int) ([]*core.Installation, error) {
			page, err := right(after, limit)
			if after != "" && len(page) > 0 {
				page = page[1:]
			}
			return page, err
		}),
		breaks: []string{"List/limit", "List/pages"},
	},
	{
		name: "a list that goes on only after a row that is there",
		wrap: listing(func(right pager, after string, limit int) ([]*core.Installation, error) {
			all, err := right("", 1000)
			there := func(i *core.Installation) bool { return i.Key.ClientKey == after }
			if after != "" && !slices.ContainsFunc(all, there) {
				return nil, err
			}
			return right(after, limit)
		}),
		breaks: []string{"List/after a key that is gone"},
	},
	{
		name:   "apps are found by the prefix of their key",
		wrap:   func(right core.Store) core.Store { return prefixesApps{right, map[string]bool{}} },
		breaks: []string{"List/own rows only", "Find/own rows only"},
	},
	{
		name: "an empty list is an error",
		wrap: listing(func(right pager, after string, limit int) ([]*core.Installation, error) {
			page, err := right(after, limit)
			if err == nil && len(page) == 0 {
				return nil, core.ErrNotFound
			}
			return page, err
		}),
		breaks: []string{"List/pages", "List/no more"},
	},
	{
		name:   "a list without activity",
		wrap:   listed(func(i *core.Installation) { i.Activity = core.Activity{} }),
		breaks: []string{"List/whole rows"},
	},
	{
		name:   "a list without revisions",
		wrap:   listed(func(i *core.Installation) { i.Revision = 0 }),
		breaks: []string{"List/whole rows"},
	},
}
