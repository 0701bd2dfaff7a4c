package crowds

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/hostbond/hostbond/core"
	"github.com/hostbond/hostbond/gormstore/integration/internal/databases"
	"github.com/hostbond/hostbond/gormstore/integration/internal/inprocess"
	"github.com/hostbond/hostbond/gormstore/integration/internal/runs"
)

const (
	clients    = 64
	operations = 10_240
	rows       = 8
)

// A store whose replies could not have come from doing one thing after another would, for one, let two replicas write
// over each other's secrets.
func TestAStoreDoesOneThingAfterAnother(t *testing.T) {
	seed := runs.Seed(t)
	everywhere(t, unhurried, func(t *testing.T, where string, stores [2]core.Store) {
		history := record(t, stores, seed, runs.Scaled(operations))
		result, info := porcupine.CheckOperationsVerbose(model, history, time.Minute)
		if result != porcupine.Ok {
			path := filepath.Join(t.ArtifactDir(), "history.html")
			if err := porcupine.VisualizePath(model, info, path); err != nil {
				t.Error(err)
			}
			t.Errorf("got a history that is %s, want one that is linearizable; with -artifacts it is kept in %s", result, path)
		}
		t.Logf("%d operations: %s", len(history), tally(history))
		runs.Documented(t, "operations of a linearizable register", where, len(history))
	})
}

// unhurried opens a store for each replica that waits for others as long as it takes. An operation that was given up may or
// may not have happened.
func unhurried(t *testing.T, database databases.Database) [2]core.Store {
	t.Helper()
	database.DSN = strings.Replace(database.DSN, "busy_timeout(5000)", "busy_timeout(60000)", 1)
	return replicated(t, database)
}

// tally counts the operations by what came of them.
func tally(history []porcupine.Operation) string {
	counts := map[string]int{}
	for _, operation := range history {
		counts[fmt.Sprintf("%s %s", operation.Input.(request).action, operation.Output.(reply).word)]++
	}
	var text []string
	for what, n := range counts {
		text = append(text, fmt.Sprintf("%s %d", what, n))
	}
	slices.Sort(text)
	return fmt.Sprint(text)
}

// record lets clients work on the same rows and claims at once, n operations in all, and returns what happened when.
//
// An operation that may or may not have happened fails the test, so that there is none to be judged.
func record(t *testing.T, stores [2]core.Store, seed uint64, n int) []porcupine.Operation {
	t.Helper()
	histories := make([][]porcupine.Operation, clients)
	start := time.Now()
	atOnce(clients, func(id int) {
		client := newClient(id, seed)
		for range (n + clients - 1) / clients {
			asked := client.next()
			called := time.Since(start)
			got, err := ask(t.Context(), stores[client.random.IntN(len(stores))], asked)
			if err != nil {
				t.Errorf("%+v: got %v, want an answer", asked, err)
				return
			}
			histories[id] = append(histories[id], porcupine.Operation{
				ClientId: id, Input: asked, Call: int64(called), Output: got, Return: int64(time.Since(start)),
			})
			client.learn(asked, got)
		}
	})
	return slices.Concat(histories...)
}

// client chooses what to ask for next.
type client struct {
	id, calls, claims int
	random            *rand.Rand
	believed          map[string]int64 // the revision of each row, as last heard; 0 for none
	read              string           // the row that was read just now, and may be written next
}

func newClient(id int, seed uint64) *client {
	return &client{id: id, random: rand.New(rand.NewPCG(seed, uint64(id))), believed: map[string]int64{}}
}

func (c *client) next() request {
	c.calls++
	row, value := fmt.Sprintf("row %d", c.random.IntN(rows)), fmt.Sprintf("%d of client %d", c.calls, c.id)
	kind := c.random.IntN(16)
	if c.read != "" && kind < 10 { // as an app does, which decides on what it has read
		row, kind = c.read, c.random.IntN(5)
	}
	switch kind {
	case 0:
		return request{action: erase, key: row, revision: c.believed[row]}
	case 1, 2, 3, 4:
		return request{action: put, key: row, revision: c.believed[row], value: value}
	case 5: // as if there were no row, whether there is one or not
		return request{action: put, key: row, value: value}
	case 6, 7: // all claim the same tokens in the same order, as replicas that get the same callbacks do
		c.claims++
		return request{action: claim, key: fmt.Sprintf("claim %d", c.claims), value: value}
	default:
		return request{action: get, key: row}
	}
}

// learn remembers what the reply says of the row. A client that met a conflict goes on with what it believed.
func (c *client) learn(asked request, got reply) {
	c.read = ""
	if asked.action == claim || got.word == conflict {
		return
	}
	c.believed[asked.key] = got.revision
	if asked.action == get {
		c.read = asked.key
	}
}

// ask puts a request to a store. The error is one that is no part of the contract.
func ask(ctx context.Context, store core.Store, asked request) (got reply, err error) {
	key := core.Key{AppKey: inprocess.AppKey, ClientKey: asked.key}
	got.word = done
	switch asked.action {
	case get:
		var row *core.Installation
		if row, err = store.Get(ctx, key); err == nil {
			got.revision, got.value = row.Revision, row.Site.Description
		}
	case put:
		row := &core.Installation{Key: key, Revision: asked.revision, State: core.Installed}
		row.Site.Description = asked.value
		got.revision, err = store.Put(ctx, row)
	case erase:
		err = store.Delete(ctx, key, asked.revision)
	case claim:
		var first core.Claim
		if first, err = store.Claim(ctx, newClaim(asked)); err == nil {
			got.value = string(first.Body[1 : 1+first.Body[0]])
		}
	}
	switch {
	case errors.Is(err, core.ErrConflict):
		return reply{word: conflict}, nil
	case errors.Is(err, core.ErrNotFound):
		return reply{word: notFound}, nil
	default:
		return got, err
	}
}

// newClaim puts key and value where a claim has digests.
func newClaim(asked request) core.Claim {
	c := core.Claim{AppKey: inprocess.AppKey, At: time.Unix(1700000000, 0), ExpiresAt: time.Unix(1700001000, 0)}
	copy(c.ID[:], asked.key)
	c.Body[0] = byte(len(asked.value))
	if copy(c.Body[1:], asked.value) < len(asked.value) {
		panic("a digest has no room for " + asked.value)
	}
	return c
}
