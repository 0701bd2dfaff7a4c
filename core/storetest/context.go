package storetest

import (
	"context"
	"time"

	"github.com/hostbond/hostbond/core"
)

var contextRules = []rule{
	{
		name:  "cancelled read",
		text:  stated("Get, List, Find, Bindings and Revocations under a cancelled context fail with context.Canceled."),
		check: contextRead,
	},
	{
		name:  "cancelled write",
		text:  stated("Put, Delete, Touch, Claim and Revoke under a cancelled context do so too, and change nothing."),
		check: contextWrite,
	},
}

func (t *trial) cancelled() context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}

func contextRead(t *trial) {
	ctx := t.cancelled()
	row := t.put(t.installation("a"))

	_, err := t.store.Get(ctx, row.Key)
	t.wantError(err, context.Canceled, "Get under a cancelled context")
	_, err = t.store.Get(ctx, t.key("never there"))
	t.wantError(err, context.Canceled, "Get of a missing row under a cancelled context")
	_, err = t.store.List(ctx, t.app, "", 10)
	t.wantError(err, context.Canceled, "List under a cancelled context")
	_, err = t.store.Find(ctx, t.app, core.ByBaseURL, row.Site.BaseURL)
	t.wantError(err, context.Canceled, "Find under a cancelled context")
	_, err = t.store.Bindings(ctx, t.app)
	t.wantError(err, context.Canceled, "Bindings under a cancelled context")
	_, err = t.store.Revocations(ctx, t.app)
	t.wantError(err, context.Canceled, "Revocations under a cancelled context")
}

func contextWrite(t *trial) {
	ctx := t.cancelled()
	row := t.put(t.installation("a"))

	changed := row.Clone()
	changed.SecretVersion++
	_, err := t.store.Put(ctx, changed)
	t.wantError(err, context.Canceled, "Put under a cancelled context")
	_, err = t.store.Put(ctx, t.installation("b"))
	t.wantError(err, context.Canceled, "Put of a new row under a cancelled context")
	err = t.store.Touch(ctx, row.Key, core.Activity{SeenAt: noon})
	t.wantError(err, context.Canceled, "Touch under a cancelled context")
	err = t.store.Delete(ctx, row.Key, row.Revision)
	t.wantError(err, context.Canceled, "Delete under a cancelled context")
	t.wantStored(row)
	t.wantMissing(t.key("b"))

	given, free := t.sampleClaim(1, 1), t.sampleClaim(1, 2)
	_, err = t.store.Claim(ctx, given)
	t.wantError(err, context.Canceled, "Claim under a cancelled context")
	free.At = noon.Add(time.Minute)
	t.wantEqual("the first claim after a cancelled one", t.claim(free), free)

	err = t.store.Revoke(ctx, t.sampleRevocation("a", "the secret that leaked"))
	t.wantError(err, context.Canceled, "Revoke under a cancelled context")
	t.wantRevocations(t.app)
}
