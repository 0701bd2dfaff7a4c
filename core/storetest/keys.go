package storetest

import (
	"fmt"
	"strings"
	"time"

	"github.com/hostbond/hostbond/core"
)

var keyRules = []rule{
	{
		name:  "client keys",
		text:  stated("Client keys are compared byte by byte: no case, accent, trailing space or wildcard makes two equal."),
		check: keysOfClients,
	},
	{
		name:  "app keys",
		text:  stated("App keys are compared byte by byte, for installations, bindings, claims and revocations alike."),
		check: keysOfApps,
	},
	{
		name:  "255 bytes",
		text:  stated("A client key has up to 255 bytes, and the last one counts."),
		check: keysOf255Bytes,
	},
}

// spellings look alike to somebody: to a collation that ignores case, accents, trailing or invisible characters or
// whatever is beyond three bytes, to LIKE, to a column that compares numbers, or to SQL put together from strings.
var spellings = []string{
	"a", "A", "á", "a\u0301", "ａ", "ª",
	"a ", "a  ", " a", "a\t", "a\n", "a\u00a0", "a\u200d", "\ufeffa",
	"i", "I", "ı", "İ", "ß", "ss", "SS", "k", "\u212a",
	"%", "_", "a%", "a_", "ab", "*", "?",
	"'", "''", `"`, `\`, `\\`, "a'; --", "`",
	"\U0001F600", "\U0001F601", "\ufffd",
	"1", "01", "1.0", "1e0", "true", "null", "NULL",
}

func keysOfClients(t *trial) {
	for n, spelling := range spellings {
		// Those before it are not it.
		t.wantMissing(t.key(spelling))

		i := t.installation(spelling)
		i.SecretVersion = int64(n)
		t.put(i)
	}
	for n, spelling := range spellings {
		if got := t.get(t.key(spelling)); got.Key != t.key(spelling) || got.SecretVersion != int64(n) {
			t.Errorf("Get(%+q): got row %d with the key %+q, want row %d", spelling, got.SecretVersion, got.Key, n)
		}
	}

	// The same for what writes to a part of a row, or removes one.
	for n, spelling := range spellings {
		t.touch(t.key(spelling), core.Activity{SeenAt: noon.Add(time.Duration(n) * time.Second)})
	}
	for n, spelling := range spellings {
		got := t.get(t.key(spelling))
		if want := noon.Add(time.Duration(n) * time.Second); !got.Activity.SeenAt.Equal(want) {
			t.Errorf("Touch(%+q): got seen at %s, want %s", spelling, got.Activity.SeenAt, want)
		}
		t.delete(got)
		t.wantMissing(got.Key)
	}
}

func keysOfApps(t *trial) {
	for n, spelling := range spellings {
		app := t.app + spelling
		key := core.Key{AppKey: app, ClientKey: "a"}
		mark := fmt.Sprint("app ", n)

		t.wantMissing(key)
		i := t.bound("a", "the app-wide secret of "+mark)
		i.Key, i.Site.InstallationID = key, mark
		t.put(i)

		// Each app claims the same token for another body.
		claim := core.Claim{AppKey: app, ID: [32]byte{1}, Body: [32]byte{byte(n)}, At: noon, ExpiresAt: noon.Add(time.Hour)}
		t.wantEqual(fmt.Sprintf("the claim of the app %+q", app), t.claim(claim), claim)
		t.revoke(core.Revocation{AppKey: app, Fingerprint: i.Newest(), Reason: mark, At: noon})
	}
	for n, spelling := range spellings {
		app := t.app + spelling
		mark := fmt.Sprint("app ", n)

		t.wantFound(app, core.ByInstallationID, mark, "a")
		t.wantBindings(app, map[string]int{"the app-wide secret of " + mark: 1})
		if page := t.list(app, "", 100); len(page) != 1 || page[0].Key.AppKey != app {
			t.Errorf("List(app %+q): got %d installations, want its only one", app, len(page))
		}
		if got := t.revocations(app); len(got) != 1 || got[0].AppKey != app || got[0].Reason != mark {
			t.Errorf("Revocations(app %+q): got %+v, want its only one", app, got)
		}
	}
}

func keysOf255Bytes(t *trial) {
	long := strings.Repeat("k", 254)
	wide := strings.Repeat("\u20ac", 84) // 252 bytes, three each
	for _, clientKey := range []string{long + "1", long + "2", wide + "\u20ac", wide + "\u20ad", wide + "abc"} {
		t.wantMissing(t.key(clientKey))
		t.wantStored(t.put(t.installation(clientKey)))
	}
}
