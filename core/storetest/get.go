package storetest

import (
	"fmt"
	"strings"
	"time"

	"github.com/hostbond/hostbond/core"
)

var getRules = []rule{
	{
		name:  "missing row",
		text:  stated("Get of a key that has no row returns ErrNotFound."),
		check: getMissing,
	},
	{
		name:  "every field",
		text:  stated("Every field of an installation comes back as it was put; Activity alone is not Put's to write."),
		check: getEveryField,
	},
	{
		name:  "zero values",
		text:  stated("A field that is put back to its zero value comes back zero; a zero time stays zero."),
		check: getZeroValues,
	},
	{
		name:  "times",
		text:  stated("A time comes back as the same second, from 1900 to 9999; the Unix epoch is not the zero time."),
		check: getTimes,
	},
	{
		name:  "time zones",
		text:  stated("A time comes back in UTC, whatever location it was put in."),
		check: getTimeZones,
	},
	{
		name:  "secret sizes",
		text:  stated("A secret comes back whole, at every length that core lets through."),
		check: getSecretSizes,
	},
	{
		name:  "secret bytes",
		text:  stated("A secret comes back byte for byte: it may hold NUL, quotes, and what is not UTF-8."),
		check: getSecretBytes,
	},
	{
		name:  "sealed secret",
		text:  stated("A secret put as Sealed, without a Value, comes back the same: opaque bytes and no Value."),
		check: getSealedSecret,
	},
	{
		name:  "bindings",
		text:  stated("A binding comes back as one, in every state. No copy of its secret is kept, should one be put."),
		check: getBindings,
	},
	{
		name:  "many secrets",
		text:  stated("A row holds 8 usable secrets of 4 KiB and 200 retired ones, and keeps their order."),
		check: getManySecrets,
	},
	{
		name:  "many claims",
		text:  stated("A row holds 16 applied claims, and keeps their order."),
		check: getManyClaims,
	},
	{
		name:  "site text",
		text:  stated("What a site says of itself comes back byte for byte: 2,000 characters, any script, 4-byte UTF-8."),
		check: getSiteText,
	},
}

func getMissing(t *trial) {
	t.putAll("a")
	t.wantMissing(t.key("b"))
	t.wantMissing(core.Key{AppKey: t.app + ".other", ClientKey: "a"})
	t.wantMissing(core.Key{AppKey: "a", ClientKey: t.app})
}

func getEveryField(t *trial) {
	var revision int64
	for seed := range seeds { // the first creates the row, the others overwrite every field
		row := full(t.key("a"), seed, time.UTC)
		row.Revision = revision
		row = t.put(row)
		t.wantStored(row)
		revision = row.Revision
	}
}

func getZeroValues(t *trial) {
	row := t.put(full(t.key("a"), 1, time.UTC))

	bare := &core.Installation{Key: row.Key, Revision: row.Revision, State: core.Installed, Signing: core.Unsigned}
	t.wantStored(t.put(bare))

	// The same from the start: a store must not supply a CreatedAt of its own either.
	t.wantStored(t.put(&core.Installation{Key: t.key("b"), State: core.Installed, Signing: core.Unsigned}))
}

func getTimes(t *trial) {
	for n, at := range []time.Time{
		time.Date(1900, time.January, 1, 0, 0, 0, 0, time.UTC),
		time.Date(1969, time.December, 31, 23, 59, 59, 0, time.UTC),
		time.Unix(0, 0).UTC(),
		time.Date(2024, time.February, 29, 23, 59, 59, 0, time.UTC),
		time.Date(2038, time.January, 19, 3, 14, 8, 0, time.UTC), // no 32-bit number of seconds
		time.Date(2106, time.February, 7, 6, 28, 16, 0, time.UTC),
		time.Date(9999, time.December, 31, 23, 59, 59, 0, time.UTC),
	} {
		i := t.installation(fmt.Sprint("row ", n))
		i.Secrets[0].OfferedAt = at
		i.LastOffer = at
		i.Run = core.Run{Fingerprint: i.Newest(), StartedAt: at, ArrivedAt: at}
		i.Watermark = at
		i.ActivationWatermark = at
		i.CreatedAt = at
		i.UpdatedAt = at
		t.wantStored(t.put(i))
	}
}

func getTimeZones(t *trial) {
	east := time.FixedZone("east", 5*60*60+45*60)
	west := time.FixedZone("west", -9*60*60-30*60)
	t.wantStored(t.put(full(t.key("east"), 1, east)))
	t.wantStored(t.put(full(t.key("west"), 1, west)))
}

func getSecretSizes(t *trial) {
	for _, size := range []int{core.MinSecretBytes, 64, 255, 256, 400, 1024, core.MaxSecretBytes} {
		t.wantSecret(fmt.Sprint("size ", size), strings.Repeat("s", size-1)+"$")
	}
}

func getSecretBytes(t *trial) {
	var every strings.Builder
	for b := range 256 {
		every.WriteByte(byte(b))
	}
	for clientKey, value := range map[string]string{
		"every byte":   every.String(),
		"not UTF-8":    "\xff\xfe\x80\xc3(\xf0\x28\x8c\x28" + "0123456789",
		"NUL":          "\x000123456\x00789abcdef\x00",
		"quotes":       `'"` + "`" + `\'\"; -- $1 ? :a @a %s`,
		"white space":  " \t\r\n  0123456789abcdef  \n\r\t ",
		"4-byte UTF-8": "\U0001F511\U0001F512\U0001F513\U0001F510",
		"decomposed":   "e\u0301 is not \u00e9, here",
	} {
		t.wantSecret(clientKey, value)
	}
}

func (t *trial) wantSecret(clientKey, value string) {
	t.Helper()
	i := t.installation(clientKey)
	i.Secrets[0].Value = t.secret(value)
	i.Secrets[0].Fingerprint = i.Secrets[0].Value.Fingerprint()
	t.wantStored(t.put(i))
}

func getSealedSecret(t *trial) {
	i := t.installation("a")
	sealed := make([]byte, 600)
	for n := range sealed {
		sealed[n] = byte(n * 7)
	}
	i.Secrets[0].Value, i.Secrets[0].Sealed = core.Secret{}, sealed

	// It must not wear off either: every lifecycle callback reads the row and puts it back.
	for range 3 {
		t.wantStored(t.put(i))
		i = t.get(i.Key)
	}
}

func getBindings(t *trial) {
	i := t.installation("a")
	appWide := func(state core.SecretState) string { return "the app-wide secret that is " + string(state) }
	for _, state := range []core.SecretState{core.Usable, core.Retired, core.Revoked} {
		i.Secrets = append(i.Secrets, t.binding(state, appWide(state)))
	}
	for _, state := range []core.SecretState{core.Retired, core.Revoked} { // which have no value either
		own := t.binding(state, "the own secret that is "+string(state))
		own.Bound = false
		i.Secrets = append(i.Secrets, own)
	}
	i = t.put(i)
	t.wantStored(i)

	for _, copyTo := range []func(*core.StoredSecret){
		func(s *core.StoredSecret) { s.Value = t.secret(appWide(s.State)) },
		func(s *core.StoredSecret) { s.Sealed = []byte("the secret before it was app-wide, if it were opened") },
	} {
		copied := i.Clone()
		for n := range copied.Secrets {
			if copied.Secrets[n].Bound {
				copyTo(&copied.Secrets[n])
			}
		}
		i.Revision = t.put(copied).Revision
		t.wantStored(i)
	}
}

func getManySecrets(t *trial) {
	i := t.installation("a")
	i.Secrets = nil
	for n := range 208 {
		value := t.secret(fmt.Sprintf("%03d%s", n, strings.Repeat("\xff", core.MaxSecretBytes-3)))
		s := core.StoredSecret{
			Fingerprint: value.Fingerprint(),
			State:       core.Retired,
			OfferedAt:   noon.Add(time.Duration(n) * time.Hour),
		}
		if n%26 == 0 {
			s.State, s.Value = core.Usable, value
		} else {
			s.RetiredAt = s.OfferedAt.Add(time.Hour)
		}
		i.Secrets = append(i.Secrets, s)
	}
	t.wantStored(t.put(i))
}

func getManyClaims(t *trial) {
	i := t.installation("a")
	i.Applied = make([][32]byte, 16)
	for n := range i.Applied {
		for b := range i.Applied[n] {
			i.Applied[n][b] = byte(255 - n - b*11)
		}
	}
	t.wantStored(t.put(i))
}

func getSiteText(t *trial) {
	i := t.installation("a")
	i.Site.BaseURL = "https://site.example/" + strings.Repeat("p", 2000)
	i.Site.DisplayURL = "https://bücher.example/ "
	i.Site.Description = strings.Repeat("Wir prüfen \U0001F680, 検証します, e\u0301 \u00e9 '\"`\\ %_\r\n\t", 40)
	i.Site.ServerVersion = "  1001.0.0-SNAPSHOT  "
	i.Site.ProductType = "JIRA"
	i.Site.CloudID = "null"
	t.wantStored(t.put(i))
}
