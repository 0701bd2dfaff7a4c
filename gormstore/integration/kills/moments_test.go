package kills

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/hostbond/hostbond/gormstore/integration/internal/process"
)

// moments are the gaps between the statements that a callback makes: before and after each of them.
var moments = func() (moments []process.Fuse) {
	for _, statement := range []string{
		"insert hostbond_claims",        // the claim
		"select hostbond_claims",        // who was first
		"select hostbond_installations", // the row as it is now
		"insert hostbond_installations", // the place of a first one
		"update hostbond_installations", // the commit
	} {
		moments = append(moments, process.Fuse{Statement: statement}, process.Fuse{Statement: statement, After: true})
	}
	return moments
}()

// needsFirstInstall reports whether nothing but a first install makes the statement.
func needsFirstInstall(fuse process.Fuse) bool {
	return fuse.Statement == "insert hostbond_installations"
}

// patience is longer than any machine needs to do what is waited for.
const patience = 30 * time.Second

// killAtStatement has the app kill itself at the statement, or soon after at its like.
func killAtStatement(t *testing.T, app *process.Child, fuse process.Fuse, random *rand.Rand) (wait func(), moment string) {
	t.Helper()
	fuse.Count = 1 + random.IntN(24)
	if needsFirstInstall(fuse) {
		fuse.Count = 1
	}
	if err := app.SetFuse(t.Context(), fuse); err != nil {
		t.Fatal(err)
	}
	return func() {
		select {
		case <-app.Ended():
		case <-time.After(patience):
			app.Kill()
			t.Errorf("the app has not come to the moment %s, so nothing is shown of it", describe(fuse))
		}
	}, describe(fuse)
}

// killAfterABeginning kills the app a random while, from 200 µs to 200 ms, after a callback was begun.
func killAfterABeginning(app *process.Child, begun <-chan struct{}, random *rand.Rand) (wait func(), moment string) {
	while := 200 * time.Microsecond << random.IntN(10)
	while += time.Duration(random.Int64N(int64(while)))
	return func() {
		select {
		case <-begun:
			<-time.After(while)
		case <-app.Ended():
		}
		app.Kill()
	}, fmt.Sprint(while, " after the beginning of a callback")
}

func describe(fuse process.Fuse) string {
	if fuse.After {
		return fmt.Sprintf("after %s no. %d", fuse.Statement, fuse.Count)
	}
	return fmt.Sprintf("before %s no. %d", fuse.Statement, fuse.Count)
}
