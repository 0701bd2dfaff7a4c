package storetest

import (
	"time"

	"github.com/hostbond/hostbond/core"
)

var memoryRules = []rule{
	{
		name:  "of Put",
		text:  stated("A store keeps no memory that it was handed: what its caller does to it after Put changes nothing."),
		check: memoryOfPut,
	},
	{
		name:  "of Get",
		text:  stated("What Get returns is the caller's: changing it changes nothing stored, nor what others got."),
		check: memoryOfGet,
	},
	{
		name:  "of List",
		text:  stated("What List returns is the caller's: changing it changes nothing stored, nor what others got."),
		check: memoryOfList,
	},
	{
		name:  "of Find",
		text:  stated("The keys that Find returns are the caller's: changing them changes nothing stored."),
		check: memoryOfFind,
	},
	{
		name:  "of Bindings",
		text:  stated("The counts that Bindings returns are the caller's: changing them changes nothing stored."),
		check: memoryOfBindings,
	},
	{
		name:  "of Revocations",
		text:  stated("The revocations that a store returns are the caller's: changing them changes nothing stored."),
		check: memoryOfRevocations,
	},
}

// scribble overwrites all that can be reached through i, in place: the elements of its slices too.
func scribble(i *core.Installation) { fill(i, 1000, time.UTC) }

func memoryOfPut(t *trial) {
	mine := full(t.key("a"), 1, time.UTC)
	want := mine.Clone()
	revision, err := t.store.Put(t.Context(), mine)
	if err != nil {
		t.Fatalf("Put: got error %v, want none", err)
	}
	want.Revision = revision
	scribble(mine)
	t.wantStored(want)
}

func memoryOfGet(t *trial) {
	row := t.put(full(t.key("a"), 1, time.UTC))
	kept := t.get(row.Key)
	scribble(t.get(row.Key))
	t.wantStored(row)
	t.wantEqual("what an earlier Get returned", kept, row)
}

func memoryOfList(t *trial) {
	row := t.put(full(t.key("a"), 1, time.UTC))
	kept := t.list(t.app, "", 1)
	for _, i := range t.list(t.app, "", 1) {
		scribble(i)
	}
	t.wantStored(row)
	t.wantListed(kept, "a")
	for _, i := range kept {
		t.wantEqual("what an earlier List returned", i, row)
	}
}

func memoryOfFind(t *trial) {
	row := t.put(t.installation("a"))
	keys, err := t.store.Find(t.Context(), t.app, core.ByBaseURL, row.Site.BaseURL)
	if err != nil {
		t.Fatalf("Find: got error %v, want none", err)
	}
	clear(keys)
	t.wantFound(t.app, core.ByBaseURL, row.Site.BaseURL, "a")
}

func memoryOfBindings(t *trial) {
	t.put(t.bound("a", newerAppSecret))
	counts := t.bindings(t.app)
	clear(counts)
	counts[t.secret(olderAppSecret).Fingerprint()] = 1
	t.wantBindings(t.app, map[string]int{newerAppSecret: 1})
}

func memoryOfRevocations(t *trial) {
	r := t.sampleRevocation("a", "the secret that leaked")
	t.revoke(r)
	clear(t.revocations(t.app))
	t.wantRevocations(t.app, r)
}
