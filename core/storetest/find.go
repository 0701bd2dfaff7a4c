package storetest

import (
	"strings"

	"github.com/hostbond/hostbond/core"
)

var findRules = []rule{
	{
		name:  "base URL",
		text:  stated("Find by base URL returns the keys of the installations at that base URL, of no other property."),
		check: findBaseURL,
	},
	{
		name:  "installation id",
		text:  stated("Find by installation id returns the keys of the installations with that id, of no other property."),
		check: findInstallationID,
	},
	{
		name:  "byte order",
		text:  stated("Find returns every key with the value, in ascending byte order of the client key."),
		check: findByteOrder,
	},
	{
		name:  "exact bytes",
		text:  stated("Find compares values byte by byte: no case, accent, trailing space or wildcard makes two equal."),
		check: findExactBytes,
	},
	{
		name:  "long values",
		text:  stated("Find compares values whole: two of 2,000 characters that differ in the last one are different."),
		check: findLongValues,
	},
	{
		name:  "empty value",
		text:  stated("Find of an empty value finds nothing, though some installations have none."),
		check: findEmptyValue,
	},
	{
		name:  "changes",
		text:  stated("Find follows every Put: an installation is found by its present value only."),
		check: findChanges,
	},
	{
		name:  "own rows only",
		text:  stated("Find returns no key of another app."),
		check: findOwnRows,
	},
	{
		name:  "none",
		text:  stated("Find of a value that no installation has returns an empty list and no error."),
		check: findNone,
	},
}

// putAt puts an ordinary installation with the given base URL and installation id.
func (t *trial) putAt(clientKey, baseURL, installationID string) *core.Installation {
	t.Helper()
	i := t.installation(clientKey)
	i.Site.BaseURL, i.Site.InstallationID = baseURL, installationID
	return t.put(i)
}

func findBaseURL(t *trial) {
	t.putAt("a", "https://a.example", "id of a")
	t.putAt("b", "https://b.example", "https://a.example")
	t.wantFound(t.app, core.ByBaseURL, "https://a.example", "a")
	t.wantFound(t.app, core.ByBaseURL, "https://b.example", "b")
	t.wantFound(t.app, core.ByBaseURL, "id of a")
}

func findInstallationID(t *trial) {
	t.putAt("a", "https://a.example", "id of a")
	t.putAt("b", "id of a", "id of b")
	t.wantFound(t.app, core.ByInstallationID, "id of a", "a")
	t.wantFound(t.app, core.ByInstallationID, "id of b", "b")
	t.wantFound(t.app, core.ByInstallationID, "https://a.example")
}

func findByteOrder(t *trial) {
	for n, clientKey := range disordered {
		i := t.putAt(clientKey, "https://a.example", "id of all")
		if n%2 == 0 { // the state of an installation makes no difference
			i.State = core.Uninstalled
			t.put(i)
		}
	}
	t.putAt("c", "https://c.example", "id of c")
	t.wantFound(t.app, core.ByBaseURL, "https://a.example", sorted(disordered)...)
	t.wantFound(t.app, core.ByInstallationID, "id of all", sorted(disordered)...)
}

func findExactBytes(t *trial) {
	for _, spelling := range spellings {
		value := "https://site.example/" + spelling
		t.wantFound(t.app, core.ByBaseURL, value)
		t.wantFound(t.app, core.ByInstallationID, spelling)
		t.putAt(spelling, value, spelling)
	}
	for _, spelling := range spellings {
		t.wantFound(t.app, core.ByBaseURL, "https://site.example/"+spelling, spelling)
		t.wantFound(t.app, core.ByInstallationID, spelling, spelling)
	}
	t.wantFound(t.app, core.ByBaseURL, "https://site.example/")
	t.wantFound(t.app, core.ByBaseURL, "%")
}

func findLongValues(t *trial) {
	long := "https://site.example/" + strings.Repeat("p", 2000)
	t.putAt("a", long+"1", long+"3")
	t.putAt("b", long+"2", long+"4")
	t.wantFound(t.app, core.ByBaseURL, long+"1", "a")
	t.wantFound(t.app, core.ByBaseURL, long+"2", "b")
	t.wantFound(t.app, core.ByInstallationID, long+"3", "a")
	t.wantFound(t.app, core.ByInstallationID, long+"4", "b")
	t.wantFound(t.app, core.ByBaseURL, long)
}

func findEmptyValue(t *trial) {
	t.putAt("a", "", "")
	t.putAt("b", "https://b.example", "id of b")
	t.wantFound(t.app, core.ByBaseURL, "")
	t.wantFound(t.app, core.ByInstallationID, "")
}

func findChanges(t *trial) {
	row := t.putAt("a", "https://old.example", "old id")
	row.Site.BaseURL, row.Site.InstallationID = "https://new.example", "new id"
	row = t.put(row)
	t.wantFound(t.app, core.ByBaseURL, "https://new.example", "a")
	t.wantFound(t.app, core.ByBaseURL, "https://old.example")
	t.wantFound(t.app, core.ByInstallationID, "new id", "a")
	t.wantFound(t.app, core.ByInstallationID, "old id")

	row.Site.BaseURL, row.Site.InstallationID = "", ""
	t.put(row)
	t.wantFound(t.app, core.ByBaseURL, "https://new.example")
	t.wantFound(t.app, core.ByInstallationID, "new id")
}

func findOwnRows(t *trial) {
	for _, app := range []string{t.app, t.app + "x", "a" + t.app} {
		i := t.installation("a client of " + app)
		i.Key.AppKey, i.Site.InstallationID = app, "the id"
		t.put(i)
	}
	t.wantFound(t.app, core.ByBaseURL, "https://site.example", "a client of "+t.app)
	t.wantFound(t.app, core.ByInstallationID, "the id", "a client of "+t.app)
}

func findNone(t *trial) {
	t.wantFound(t.app, core.ByBaseURL, "https://a.example")
	t.putAt("a", "https://a.example", "id of a")
	t.wantFound(t.app, core.ByBaseURL, "https://b.example")
	t.wantFound(t.app, core.ByInstallationID, "id of b")
}
