package storetest

import (
	"context"
	"slices"
	"strings"

	"github.com/hostbond/hostbond/core"
)

// finds decides by match which installations are found.
type finds struct {
	core.Store
	match func(by core.By, site core.Site, value string) bool
}

func (s finds) Find(ctx context.Context, appKey string, by core.By, value string) ([]core.Key, error) {
	page, err := s.List(ctx, appKey, "", 1000)
	var keys []core.Key
	for _, i := range page {
		if s.match(by, i.Site, value) {
			keys = append(keys, i.Key)
		}
	}
	return keys, err
}

// finding compares the right property of each installation, but in a way of its own.
func finding(equal func(stored, wanted string) bool) func(core.Store) core.Store {
	return func(right core.Store) core.Store {
		return finds{right, func(by core.By, site core.Site, value string) bool {
			if by == core.ByBaseURL {
				return equal(site.BaseURL, value)
			}
			return equal(site.InstallationID, value)
		}}
	}
}

// foundKeys alters what Find answers.
type foundKeys struct {
	core.Store
	alter func([]core.Key) ([]core.Key, error)
}

func (s foundKeys) Find(ctx context.Context, appKey string, by core.By, value string) ([]core.Key, error) {
	keys, err := s.Store.Find(ctx, appKey, by, value)
	if err != nil {
		return nil, err
	}
	return s.alter(keys)
}

// staleIndex never takes a value out of its index.
type staleIndex struct {
	core.Store
	index map[core.Site][]core.Key
}

func (s staleIndex) Put(ctx context.Context, installation *core.Installation) (int64, error) {
	revision, err := s.Store.Put(ctx, installation)
	if err == nil {
		for _, value := range []core.Site{
			{BaseURL: installation.Site.BaseURL}, {InstallationID: installation.Site.InstallationID},
		} {
			if !slices.Contains(s.index[value], installation.Key) {
				s.index[value] = append(s.index[value], installation.Key)
			}
		}
	}
	return revision, err
}

func (s staleIndex) Find(_ context.Context, _ string, by core.By, value string) ([]core.Key, error) {
	if by == core.ByBaseURL {
		return s.index[core.Site{BaseURL: value}], nil
	}
	return s.index[core.Site{InstallationID: value}], nil
}

var findFaults = []fault{
	{
		name: "Find looks at every property",
		wrap: func(right core.Store) core.Store {
			return finds{right, func(_ core.By, site core.Site, value string) bool {
				return value != "" && (site.BaseURL == value || site.InstallationID == value)
			}}
		},
		breaks: []string{"Find/base URL", "Find/installation id"},
	},
	{
		name: "Find returns the first key only",
		wrap: func(right core.Store) core.Store {
			return foundKeys{right, func(keys []core.Key) ([]core.Key, error) { return keys[:min(1, len(keys))], nil }}
		},
		breaks: []string{"Find/byte order"},
	},
	{
		name: "Find returns the newest key first",
		wrap: func(right core.Store) core.Store {
			return foundKeys{right, func(keys []core.Key) ([]core.Key, error) { slices.Reverse(keys); return keys, nil }}
		},
		breaks: []string{"Find/byte order"},
	},
	{
		name:   "Find takes a prefix for the whole",
		wrap:   finding(func(stored, wanted string) bool { return wanted != "" && strings.HasPrefix(stored, wanted) }),
		breaks: []string{"Find/exact bytes", "Find/long values"},
	},
	{
		name:   "Find knows no case",
		wrap:   finding(func(stored, wanted string) bool { return wanted != "" && strings.EqualFold(stored, wanted) }),
		breaks: []string{"Find/exact bytes"},
	},
	{
		name: "Find compares 255 bytes",
		wrap: finding(func(stored, wanted string) bool {
			return wanted != "" && cutTo(255)(stored) == cutTo(255)(wanted)
		}),
		breaks: []string{"Find/long values"},
	},
	{
		name:   "Find takes nothing for a value",
		wrap:   finding(func(stored, wanted string) bool { return stored == wanted }),
		breaks: []string{"Find/empty value"},
	},
	{
		name:   "Find keeps old values",
		wrap:   func(right core.Store) core.Store { return staleIndex{right, map[core.Site][]core.Key{}} },
		breaks: []string{"Find/changes", "Delete/removes"},
	},
	{
		name: "Find of nothing is an error",
		wrap: func(right core.Store) core.Store {
			return foundKeys{right, func(keys []core.Key) ([]core.Key, error) {
				if len(keys) == 0 {
					return nil, core.ErrNotFound
				}
				return keys, nil
			}}
		},
		breaks: []string{"Find/none"},
	},
}
